// A pod's specification in the runtime's terms. Pure: everything from outside comes in as an argument.
//
// Follows the kubelet's translation (labels, log paths, host name, cgroup parents, expansion of $(VAR)), with stricter
// defaults where a pod does not ask otherwise: seccomp RuntimeDefault, no_new_privs, masked paths.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/expand.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/volumes/volumes.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace orlop::agent {

// <namespace>_<name>_<uid>
std::string pod_log_folder(const AgentConfig& config, const kube::Pod& pod);
// The cgroup that all of the pod's containers are in, by its quality of service.
std::string pod_cgroup(const kube::Pod& pod);

cri::PodSandboxConfig sandbox_config(const AgentConfig& config, const kube::Pod& pod, uint32_t attempt,
                                     const std::vector<std::string>& host_dns_servers,
                                     const std::vector<std::string>& host_dns_searches);

cri::ContainerConfig container_config(const AgentConfig& config, const kube::Pod& pod, const Container& container,
                                      uint32_t attempt, const std::string& image_ref, const Environment& environment,
                                      const std::vector<Mount>& mounts, int64_t memory_total);

// Changes when the container's definition does, so that a running one must be replaced.
std::string definition_hash(const Container& container);

}  // namespace orlop::agent
