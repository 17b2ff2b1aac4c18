// On which nodes a DaemonSet wants a pod, and the pod that it makes for one. Pure.
//
// Follows k8s.io/kubernetes pkg/controller/daemon: the template's node selector, required node affinity and node name;
// taints against its tolerations and those that every daemon has. The pod is pinned to its node by affinity and placed
// by the scheduler.
#pragma once

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/placement.hpp"
#include "orlop/pods.hpp"

#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

using DaemonSet = k8s::io::api::apps::v1::DaemonSet;
using Node = k8s::io::api::core::v1::Node;

// What decides of a node; a node that reports only that it lives stays the same.
struct NodeView {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<kube::Taint> taints;
};
NodeView view_of(const Node& node);
bool same_view(const Node& a, const Node& b);

struct Fit {
  bool should_run = false;  // a pod is to be there
  bool may_stay = false;    // one that is there is not removed
};

class Eligibility {
 public:
  explicit Eligibility(const DaemonSet& set);
  [[nodiscard]] Fit on(const NodeView& node) const;

 private:
  kube::PodSpec spec_;  // the template's, with every daemon's tolerations
};

// What every daemon bears: not-ready, unreachable, the pressures, unschedulable; on the host's network also a node
// whose network is not there yet.
void add_daemon_tolerations(kube::PodSpec& spec);

// The value of the label pod-template-generation; empty: the set has none.
std::string template_generation(const DaemonSet& set);

// A pod of the present template, without a name, for that node.
kube::Pod new_daemon(const DaemonSet& set, const std::string& hash, const std::string& node);
// The node that a pod is on or pinned to; empty: none.
std::string target_node(const kube::Pod& pod);
// Of the present template: by its revision's hash, or by the template's generation.
bool is_updated(const DaemonSet& set, const kube::Pod& pod, const std::string& hash);

}  // namespace orlop::workload
