// The folders that a pod's containers mount. See README.md.
//
// Threads: object_changed() and take_retry() any; all else any, but one at a time for one pod.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/environment.hpp"
#include "plugins/node-agent/machine.hpp"
#include "plugins/node-agent/volumes/claims.hpp"
#include "plugins/node-agent/volumes/mounter.hpp"
#include "plugins/node-agent/volumes/object_users.hpp"
#include "plugins/node-agent/volumes/payload.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::agent {

struct Mount {
  std::string host_path;
  std::string container_path;
  bool read_only = false;
  std::string propagation;  // "", HostToContainer, Bidirectional
  bool recursive_read_only = false;
};

class Volumes {
 public:
  // All outlive this.
  Volumes(Host host, const AgentConfig& config, const Machine& machine, Mounter& mounter)
      : host_(host), config_(config), machine_(machine), mounter_(mounter), claims_(host, config) {}

  struct Prepared {
    int64_t again_at_ns = 0;  // of the monotonic clock: when a token is due; 0: only when something changes
    std::vector<std::string>
        stale;  // told as FailedMount: volumes that stay as they were, since they cannot be renewed
  };
  // Makes every volume of the pod, or brings its files up to date. At once when nothing has changed since. Failures are
  // told as FailedMount and carry its text ("MountVolume.SetUp failed for volume …", "Unable to attach or mount
  // volumes: …"): kNotFound, kInvalid, kUnavailable, and what a storage provider says.
  Result<Prepared> prepare(const kube::Pod& pod);
  // Where each mount of the container leads; paths below a volume are mounted anew. kInvalid, kNotFound: in the
  // kubelet's words. `recursive_read_only`: whether the runtime can do that.
  Result<std::vector<Mount>> mounts(const kube::Pod& pod, const Container& container, const Environment& environment,
                                    bool recursive_read_only);
  // Writes the pod's /etc/hosts; the path is for a mount.
  Result<std::string> write_hosts_file(const kube::Pod& pod, const std::vector<std::string>& pod_ips) const;
  // Unmounts and removes all that was made for the pod, and forgets it.
  Status remove(const std::string& pod_uid);
  // Uids of pods that have a folder here.
  [[nodiscard]] std::vector<std::string> known_pods() const;
  // Whether prepare() was called for the pod since the agent's start.
  [[nodiscard]] bool is_in_use(const std::string& pod_uid) const;

  // A ConfigMap or Secret came, changed or went: the pods that are to be prepared or started again.
  std::vector<ObjectKey> object_changed(const ObjectReference& object);
  // A claim came, changed or went: the pods that wait for it.
  std::vector<ObjectKey> claim_changed(const ObjectKey& claim) { return claims_.claim_changed(claim); }
  // A container of the pod cannot start for want of an object: the pod is among the answers of object_changed() once
  // one of those comes that its containers' variables are made of.
  void wait_for_variables(const kube::Pod& pod);
  // Whether such an object has come since it was last asked.
  bool take_retry(const std::string& pod_uid);

 private:
  struct Token {
    std::string text;
    int64_t renew_at_ns = 0;  // of the monotonic clock
  };
  struct PodState {
    bool prepared = false;
    std::string metadata;                                         // that the files tell of
    std::map<std::pair<std::string, std::string>, Token> tokens;  // by volume and path
  };

  [[nodiscard]] std::string pod_folder(const std::string& uid) const { return config_.pods_folder + "/" + uid; }
  [[nodiscard]] std::string volume_folder(const std::string& uid, const std::string& volume) const {
    return pod_folder(uid) + "/volumes/" + volume;
  }
  // Where the volume's content is on the machine.
  [[nodiscard]] std::string root_of(const kube::Pod& pod, const Volume& volume) const;
  PodState& state_of(const std::string& uid);
  Status prepare_one(const kube::Pod& pod, PodState& state, const Volume& volume);
  Status write_payload(const kube::Pod& pod, PodState& state, const Volume& volume, const std::string& folder);
  Result<std::string> token_for(const kube::Pod& pod, Token& token, const TokenProjection& projection) const;
  Result<std::string> sub_path_mount(const kube::Pod& pod, const Container& container, int index, const Volume& volume,
                                     const std::string& sub_path);

  Host host_;
  const AgentConfig& config_;
  const Machine& machine_;
  Mounter& mounter_;
  ClaimVolumes claims_;
  ObjectUsers by_volumes_;
  ObjectUsers by_variables_;

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<PodState>> states_;  // guarded by mutex_: the map, not what it leads to
  std::set<std::string> changed_;                            // guarded by mutex_: uids whose files may be old
  std::set<std::string> retry_;                              // guarded by mutex_: uids, see take_retry()
};

}  // namespace orlop::agent
