// Images on this machine: present or to be pulled for a container, by its pull policy, told in events.
//
// Follows the kubelet: imagePullPolicy, ErrImagePull, then ImagePullBackOff from 10 s doubling to 300 s for each pod
// and image, InvalidImageName, ErrImageNeverPull, ImageInspectError, with its messages and events. Pulls of different
// images run side by side up to a bound; whoever waits for the same image with the same logins waits for one pull.
// Several logins that fit are tried one after the other. One difference: with policy Always, an image that is here is
// used while its registry cannot be reached at all, so that pods come back after a power cut before (or without) the
// network; a Warning event says so. A registry that answers with a refusal is obeyed.
//
// Threads: any. `on_change` runs on a thread of the kernel after a pull ended.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/pods.hpp"
#include "plugins/node-agent/images/pull_secrets.hpp"
#include "plugins/node-agent/pod_status.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::agent {

struct ImageState {
  enum class Phase { kPresent, kPulling, kFailed };
  Phase phase = Phase::kPulling;
  std::string reference;    // kPresent: what to start the container from
  WaitingReason waiting;    // kFailed: what the container's status says
  int64_t again_at_ns = 0;  // kFailed: when to ask again; 0: not before something changes
};

class Images {
 public:
  using OnChange = std::function<void(const std::set<ObjectKey>&)>;

  // pulls_max: how many images are pulled at the same time.
  Images(Host host, const RuntimeClient& runtime, EventRecorder& events, int64_t pulls_max, OnChange on_change);

  // Where the container's image stands; begins a pull where the policy asks for one. The pod's key is told when the
  // pull has ended. Failures: the store's; what is wrong with the image is in the state.
  Result<ImageState> ensure(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                            const cri::PodSandboxConfig& sandbox);

 private:
  // What one pod has got to with one image.
  struct Attempt {
    enum class State { kNew, kWaiting, kPulled, kFailed };
    State state = State::kNew;
    ObjectKey key;
    std::string pull;  // kWaiting: the pull's key
    int64_t asked_ns = 0;
    int64_t ended_ns = 0;
    int64_t pull_ms = 0;  // kPulled: of the pull itself
    int failures = 0;
    std::string error;
    bool unreachable = false;  // the last failure was of the network
    int64_t again_at_ns = 0;
    int64_t told_ns = 0;  // when an event last told of the failure
    bool told_once = false;
  };
  using AttemptKey = std::pair<std::string, std::string>;  // the pod's uid, the image
  struct Pull {
    std::string image;
    std::vector<Login> logins;
    size_t next_login = 0;
    std::vector<std::string> errors;
    cri::PodSandboxConfig sandbox;
    int64_t began_ns = 0;
  };

  struct Present {
    std::string reference;
    uint64_t size_bytes = 0;
  };

  ImageState refused(const kube::Pod& pod, const Container& container, const std::string& reason,
                     const std::string& message, std::string_view event, int64_t now);
  ImageState failed(const kube::Pod& pod, const Container& container, Attempt attempt, int64_t now);
  Result<ImageState> pull(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                          const cri::PodSandboxConfig& sandbox, const std::string& repository, int64_t now);
  void tell_pulled(const kube::Pod& pod, const Container& container, const Attempt& attempt, uint64_t size_bytes);
  // An empty reference: not here.
  Result<Present> look(const std::string& image) const;
  void begin_next();
  void send(const std::string& pull_key);
  void ended(const std::string& pull_key, const Status& status);
  void note_end(Attempt& attempt, const Pull& pull, const Status& status, int64_t now);
  bool may_tell(const AttemptKey& key, int64_t now);
  void forget_old(int64_t now);

  Host host_;
  const RuntimeClient& runtime_;
  EventRecorder& events_;
  const int64_t pulls_max_;
  OnChange on_change_;
  std::mutex mutex_;
  std::map<AttemptKey, Attempt> attempts_;  // guarded by mutex_, as is all below
  std::map<std::string, Pull> pulls_;       // by image and logins: queued or running
  std::deque<std::string> queue_;           // keys of pulls that have not begun
  int64_t running_ = 0;
};

}  // namespace orlop::agent
