// Volumes that outlive the pod: persistentVolumeClaim and generic ephemeral volumes. Of a PersistentVolume's sources
// hostPath and local lead to their path; csi is published by the provider of capability `storage` of that driver.
//
// Below <data>/pods/<uid>/claims/ stands a file for each such volume, written before anything is mounted: what is to be
// unpublished when the pod goes, also after the agent's restart.
//
// Threads: any, but one at a time for one pod.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/host.hpp"
#include "orlop/storage.hpp"
#include "plugins/node-agent/config.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orlop::agent {

struct ClaimMount {
  std::string path;  // of the machine
  bool read_only = false;
};

class ClaimVolumes {
 public:
  // `config` outlives this.
  ClaimVolumes(Host host, const AgentConfig& config) : host_(host), config_(config) {}

  // Makes the volume ready for the pod's containers; again without effect. `folder`: where one that is published is
  // mounted. The failure's message is all that is to be told. kNotFound: something may still come; then the pod is
  // among the answers of claim_changed().
  Status prepare(const kube::Pod& pod, const storage::PodVolume& volume, const std::string& folder);
  // Of a volume that has been prepared since the agent's start.
  [[nodiscard]] std::optional<ClaimMount> find(const std::string& uid, const std::string& volume) const;
  // Unpublishes what the pod has; its folder is still there. kUnavailable, kTimeout and the provider's own failures: to
  // be tried again.
  Status remove(const std::string& uid);
  // The pods that wait for this claim.
  std::vector<ObjectKey> claim_changed(const ObjectKey& claim);

 private:
  struct Record {
    std::string driver;  // empty: nothing is to be unpublished
    std::string id;
    std::string once_volume;  // the PersistentVolume that no other pod may use; empty: several may
    std::string staging;      // where the driver has staged the volume; empty: it does not
  };
  struct Bound {
    storage::Claim claim;
    storage::PersistentVolume volume;
  };

  [[nodiscard]] std::string records_folder(const std::string& uid) const;
  [[nodiscard]] std::optional<Record> read_record(const std::string& uid, const std::string& volume) const;
  Status write_record(const std::string& uid, const std::string& volume, const Record& record) const;
  void each_record(
      const std::function<void(const std::string& uid, const std::string& volume, const Record&)>& visit) const;
  Result<Bound> find_bound(const kube::Pod& pod, const storage::PodVolume& volume);
  Status check_place(const kube::Pod& pod, const storage::PersistentVolume& volume) const;
  Status take(const kube::Pod& pod, const storage::PersistentVolume& volume);
  Status publish(const kube::Pod& pod, const storage::PodVolume& volume, const Bound& bound, const ClaimMount& mount,
                 Record record);
  Status unpublish(const std::string& uid, const std::string& volume, const Record& record);
  void load_holders();

  Host host_;
  const AgentConfig& config_;
  std::mutex staging_mutex_;  // held while a volume is staged or unstaged, before mutex_
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, ClaimMount>> known_;  // guarded by mutex_: by uid and volume
  std::map<ObjectKey, std::map<std::string, ObjectKey>> waiting_;   // guarded by mutex_: claim to uids and pods
  std::map<std::string, std::string> holders_;                      // guarded by mutex_: volume to uid
  bool holders_loaded_ = false;                                     // guarded by mutex_
};

}  // namespace orlop::agent
