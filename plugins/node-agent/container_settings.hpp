// What a container is created from: its variables, its mounts, its user, as the runtime wants them.
//
// Threads: the pod's worker.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/volumes/volumes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::agent {

class ContainerSettings {
 public:
  ContainerSettings(AgentContext& context, Volumes& volumes) : context_(context), volumes_(volumes) {}

  // kNotFound, kInvalid: told as CreateContainerConfigError, in the kubelet's words. Where an object is missing the pod
  // is looked at again once it comes. Others: of the disk and the runtime.
  Result<cri::ContainerConfig> make(const Pass& pass, const Container& container, uint32_t attempt,
                                    const std::string& image_reference);

 private:
  Result<Environment> environment_of(const kube::Pod& pod, const EnvironmentInputs& inputs);
  Result<std::vector<Mount>> mounts_of(const kube::Pod& pod, const Container& container, const Environment& environment,
                                       const std::vector<std::string>& pod_ips);
  // Holds the container to runAsNonRoot, and fills in the image's user where a group alone is given.
  Status settle_user(const kube::Pod& pod, const Container& container, const std::string& image_reference,
                     cri::LinuxContainerSecurityContext& security) const;
  // Asked for when a mount wants it.
  [[nodiscard]] bool mounts_read_only_recursively(const Container& container) const;

  AgentContext& context_;
  Volumes& volumes_;
};

// The addresses of the pod, the first one first; those of the machine for a pod on its network.
std::vector<std::string> addresses_of(const Pass& pass, const Machine& machine);

}  // namespace orlop::agent
