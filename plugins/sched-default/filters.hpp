// Whether one pod may stand on one node, and if not, why: the reasons are upstream's own words. Pure.
//
// Follows the filters of the Kubernetes scheduler: NodeUnschedulable, NodeName, TaintToleration, NodeAffinity,
// NodePorts, NodeResourcesFit, and (in neighbours.hpp) InterPodAffinity and PodTopologySpread.
#pragma once

#include "plugins/sched-default/model.hpp"

#include <string>
#include <vector>

namespace orlop::sched {

// Empty when it fits; else every reason that counts by itself ("Insufficient cpu", "Insufficient memory").
std::vector<std::string> why_not(const PodInfo& pod, const NodeInfo& node);

// The pod's nodeSelector and required node affinity.
bool matches_node_affinity(const core::PodSpec& spec, const NodeInfo& node);
bool matches_node_selector_term(const core::NodeSelectorTerm& term, const NodeInfo& node);

}  // namespace orlop::sched
