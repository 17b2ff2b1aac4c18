// The scale of whatever has one: Deployment, ReplicaSet, StatefulSet, ReplicationController.
//
// Threads: any; every function blocks, on the store at most.
#pragma once

#include "orlop/host.hpp"
#include "orlop/pods.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::workload {

struct Scale {
  kube::ObjectMeta metadata;  // of the object that is scaled
  uint64_t revision = 0;
  int32_t wanted = 0;   // spec.replicas
  int32_t current = 0;  // status.replicas
  kube::LabelSelector selector;
};

// How a kind of an apiVersion is named as a resource, "deployments.apps"; empty: no such kind is served.
std::string_view resource_of(std::string_view api_version, std::string_view kind);
// Of a resource as resource_of() names it.
bool has_scale(std::string_view resource);

// Nothing: there is no object of that name. The resource must have a scale.
Result<std::optional<Scale>> read_scale(const Host& host, std::string_view resource, const std::string& name_space,
                                        const std::string& name);
// Of the object as it was read. kConflict: it has changed since.
Status write_scale(const Host& host, std::string_view resource, const Scale& scale, int32_t replicas);

}  // namespace orlop::workload
