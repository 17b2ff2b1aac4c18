// Which pods are garbage. Pure.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace orlop::cluster {

// Not ready, and with the taint node.kubernetes.io/out-of-service: whoever set it vouches that nothing runs there.
bool is_out_of_service(const k8s::io::api::core::v1::Node& node);

// Marks a pod that is not at its end as failed. With `node_is_gone` it gets the condition DisruptionTarget. False: it
// was at its end.
bool mark_failed(kube::Pod& pod, bool node_is_gone, int64_t now_s);

// The ended pods that exceed `kept`: evicted ones first, then the oldest.
std::vector<Stored<kube::Pod>> surplus(std::vector<Stored<kube::Pod>> ended, size_t kept);

}  // namespace orlop::cluster
