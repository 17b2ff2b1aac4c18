// Whether a pod that is bound here may run here: it must fit into what is left, by requests, and the node must be one
// that it may stand on. Pure.
//
// Follows the kubelet's own admission (pkg/kubelet/lifecycle/predicate.go): the same order, reasons and messages.
#pragma once

#include "orlop/pod_resources.hpp"
#include "orlop/pods.hpp"

#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

struct Refused {
  std::string reason;   // "OutOfcpu"; empty: the pod is admitted
  std::string message;  // "Node didn't have enough resource: …"
};

// `others`: the pods that were admitted before and have not ended.
Refused check_admission(const k8s::io::api::core::v1::Node& node, const std::vector<kube::Pod>& others,
                        const kube::Pod& pod);

// Under pressure critical pods come in, with memory alone short also those that ask for something or tolerate it.
// `conditions`: "MemoryPressure" and so on, those that hold.
Refused check_pressure(const std::set<std::string>& conditions, const kube::Pod& pod);

}  // namespace orlop::agent
