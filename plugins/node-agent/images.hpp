// Images on this machine: present or to be pulled, one pull at a time for each image whoever waits for it, with
// back-off.
//
// Follows the kubelet: imagePullPolicy, ErrImagePull, then ImagePullBackOff from 10 s doubling to 300 s. One
// difference: with policy Always, an image that is here is used while its registry cannot be reached at all, so that
// pods come back after a power cut before (or without) the network; a Warning event says so. A registry that answers
// with a refusal is obeyed. Threads: any. `on_change` runs on a thread of the kernel after a pull ended.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/pods.hpp"
#include "plugins/node-agent/pod_status.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace orlop::agent {

struct ImageState {
  enum class Phase { kPresent, kPulling, kFailed, kNever };
  Phase phase = Phase::kPulling;
  std::string reference;    // kPresent: what to start the container from
  bool pulled_now = false;  // kPresent: by the pull that has just ended, told once
  int64_t pull_ms = 0;      // of that pull
  uint64_t size_bytes = 0;
  bool without_registry = false;  // kPresent, policy Always: the registry could not be reached
  WaitingReason waiting;          // kFailed, kNever
  int64_t again_at_ns = 0;        // kFailed: when to ask again
  bool started_now = false;       // kPulling: by this call
};

class Images {
 public:
  using OnChange = std::function<void(const std::set<ObjectKey>&)>;

  Images(Host host, const RuntimeClient& runtime, OnChange on_change);

  // Where the container's image stands; begins a pull where the policy asks for one. The key is told when that changes.
  Result<ImageState> ensure(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                            const cri::PodSandboxConfig& sandbox);

 private:
  struct Pull {
    bool running = false;
    bool succeeded = false;
    bool unreachable = false;  // the last failure was of the network
    std::string error;
    int failures = 0;
    int64_t started_ns = 0;
    int64_t ended_ns = 0;
    int64_t again_at_ns = 0;
    std::set<ObjectKey> waiting;  // told when it ends
    std::set<ObjectKey> served;   // have been given this pull's result
  };

  Result<ImageState> present(const std::string& image) const;
  void begin(const std::string& image, const cri::PodSandboxConfig& sandbox);
  void ended(const std::string& image, const Status& status);

  Host host_;
  const RuntimeClient& runtime_;
  OnChange on_change_;
  std::mutex mutex_;
  std::map<std::string, Pull> pulls_;  // guarded by mutex_
};

}  // namespace orlop::agent
