// The folders that a pod's containers mount: emptyDir, hostPath, configMap, secret, downwardAPI and projected.
//
// Files of configMap, secret, downwardAPI and projected volumes are switched over atomically: a reader sees all of the
// old files or all of the new ones (a "..data" symlink that is renamed, as Kubernetes' AtomicWriter lays them out).
//
// Threads: any, but one at a time for one pod.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/environment.hpp"
#include "plugins/node-agent/pod_config.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::agent {

using Volume = k8s::io::api::core::v1::Volume;

struct FileContent {
  std::string bytes;
  uint32_t mode = 0644;
};
using Files = std::map<std::string, FileContent>;  // by path relative to the volume

class Volumes {
 public:
  Volumes(Host host, const AgentConfig& config);

  // Makes every volume of the pod, or brings its files up to date. Failures are those that the kubelet tells as
  // FailedMount: kNotFound (`configmap "x" not found`), kInvalid (a hostPath of the wrong type), kUnavailable (the
  // disk).
  Status prepare(const kube::Pod& pod, const std::string& host_ip);
  // Where each mount of the container leads. kInvalid: a subPath that leaves its volume, an unknown volume.
  Result<std::vector<Mount>> mounts(const kube::Pod& pod, const Container& container,
                                    const Environment& environment) const;
  // Writes the pod's /etc/hosts; the path is for a mount.
  Result<std::string> write_hosts_file(const kube::Pod& pod, const std::string& pod_ip) const;
  // Unmounts and removes all that prepare() made.
  Status remove(const std::string& pod_uid) const;
  // Uids of pods that have a folder here.
  [[nodiscard]] std::vector<std::string> known_pods() const;

 private:
  struct Context {
    const kube::Pod* pod;
    EnvironmentInputs inputs;
  };

  [[nodiscard]] std::string pod_folder(const std::string& uid) const { return config_.pods_folder + "/" + uid; }
  [[nodiscard]] std::string volume_folder(const std::string& uid, const std::string& volume) const;
  Status prepare_one(const Context& context, const Volume& volume);
  Result<Files> collect(const Context& context, const Volume& volume) const;
  Result<Files> collect_projected(const Context& context,
                                  const k8s::io::api::core::v1::ProjectedVolumeSource& source) const;

  Host host_;
  const AgentConfig& config_;
};

// Replaces the files of `folder` by `files`, atomically for its readers; nothing is done when they are the same.
Status write_atomically(const std::string& folder, const Files& files);

}  // namespace orlop::agent
