#include "plugins/sched-default/filters.hpp"

#include "orlop/placement.hpp"

namespace orlop::sched {
namespace {

bool ports_conflict(const PodInfo& pod, const NodeInfo& node) {
  for (const auto& [protocol, address, port] : pod.host_ports) {
    for (const auto& [used, count] : node.host_ports) {
      const auto& [used_protocol, used_address, used_port] = used;
      if (protocol != used_protocol || port != used_port) continue;
      if (address.empty() || used_address.empty() || address == used_address) return true;
    }
  }
  return false;
}

void check_resources(const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
  if (node.pods + 1 > node.pods_max) reasons.emplace_back("Too many pods");
  const Resources& wanted = pod.requests;
  const Resources& all = node.allocatable;
  const Resources& used = node.used;
  if (wanted.cpu_milli > 0 && wanted.cpu_milli > all.cpu_milli - used.cpu_milli)
    reasons.emplace_back("Insufficient cpu");
  if (wanted.memory > 0 && wanted.memory > all.memory - used.memory) reasons.emplace_back("Insufficient memory");
  if (wanted.ephemeral > 0 && wanted.ephemeral > all.ephemeral - used.ephemeral) {
    reasons.emplace_back("Insufficient ephemeral-storage");
  }
  for (const auto& [name, amount] : wanted.extended) {
    if (amount == 0) continue;
    const auto have = all.extended.find(name);
    const auto taken = used.extended.find(name);
    const int64_t free =
        (have == all.extended.end() ? 0 : have->second) - (taken == used.extended.end() ? 0 : taken->second);
    if (amount > free) reasons.push_back("Insufficient " + name);
  }
}

}  // namespace

bool matches_node_affinity(const core::PodSpec& spec, const NodeInfo& node) {
  return kube::matches_node_affinity(spec, node.name, node.labels);
}

bool matches_node_selector_term(const core::NodeSelectorTerm& term, const NodeInfo& node) {
  return kube::matches_node(term, node.name, node.labels);
}

std::vector<std::string> why_not(const PodInfo& pod, const NodeInfo& node) {
  const auto& spec = pod.pod->spec();
  if (node.unschedulable) {
    core::Taint cordoned;
    cordoned.set_key("node.kubernetes.io/unschedulable");
    cordoned.set_effect("NoSchedule");
    if (!kube::tolerates(spec, cordoned)) return {"node(s) were unschedulable"};
  }
  for (const core::Taint& taint : node.taints) {
    if (taint.effect() == "PreferNoSchedule" || kube::tolerates(spec, taint)) continue;
    return {"node(s) had untolerated taint {" + taint.key() + ": " + taint.value() + "}"};
  }
  if (!matches_node_affinity(spec, node)) return {"node(s) didn't match Pod's node affinity/selector"};
  if (!pod.host_ports.empty() && ports_conflict(pod, node)) {
    return {"node(s) didn't have free ports for the requested pod ports"};
  }
  std::vector<std::string> reasons;
  check_resources(pod, node, reasons);
  return reasons;
}

}  // namespace orlop::sched
