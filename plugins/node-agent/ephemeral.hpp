// Ephemeral containers (`kubectl debug`), which have all that a container has but for what they must not have.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/pod_status.hpp"

namespace orlop::agent {

// The messages have the same fields under the same numbers (k8s.io/api/core/v1: EphemeralContainerCommon mirrors
// Container).
inline Container as_container(const k8s::io::api::core::v1::EphemeralContainer& ephemeral) {
  Container out;
  out.ParseFromString(ephemeral.ephemeralcontainercommon().SerializeAsString());
  return out;
}

}  // namespace orlop::agent
