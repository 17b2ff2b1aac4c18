#include "plugins/sched-default/filters.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace orlop::sched {
namespace {

std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool meets(const core::NodeSelectorRequirement& requirement, const std::string* value) {
  const std::string& op = requirement.operator_();
  const bool listed = value != nullptr && std::find(requirement.values().begin(), requirement.values().end(), *value) !=
                                              requirement.values().end();
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return value != nullptr;
  if (op == "DoesNotExist") return value == nullptr;
  if (value == nullptr || requirement.values_size() != 1) return false;
  const auto left = number(*value);
  const auto right = number(requirement.values(0));
  if (!left || !right) return false;
  return op == "Gt" ? *left > *right : op == "Lt" && *left < *right;
}

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
  for (const auto& [key, value] : spec.nodeselector()) {
    const auto found = node.labels.find(key);
    if (found == node.labels.end() || found->second != value) return false;
  }
  const auto& affinity = spec.affinity().nodeaffinity();
  if (!affinity.has_requiredduringschedulingignoredduringexecution()) return true;
  const auto& terms = affinity.requiredduringschedulingignoredduringexecution().nodeselectorterms();
  return std::any_of(terms.begin(), terms.end(),
                     [&](const auto& term) { return matches_node_selector_term(term, node); });
}

bool matches_node_selector_term(const core::NodeSelectorTerm& term, const NodeInfo& node) {
  if (term.matchexpressions().empty() && term.matchfields().empty()) return false;
  for (const auto& requirement : term.matchexpressions()) {
    const auto found = node.labels.find(requirement.key());
    if (!meets(requirement, found == node.labels.end() ? nullptr : &found->second)) return false;
  }
  for (const auto& requirement : term.matchfields()) {
    if (requirement.key() != "metadata.name" || !meets(requirement, &node.name)) return false;
  }
  return true;
}

bool tolerates(const google::protobuf::RepeatedPtrField<core::Toleration>& tolerations, const core::Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(),
                     [&](const core::Toleration& toleration) { return kube::tolerates(toleration, taint); });
}

std::vector<std::string> why_not(const PodInfo& pod, const NodeInfo& node) {
  const auto& spec = pod.pod->spec();
  if (node.unschedulable) {
    core::Taint cordoned;
    cordoned.set_key("node.kubernetes.io/unschedulable");
    cordoned.set_effect("NoSchedule");
    if (!tolerates(spec.tolerations(), cordoned)) return {"node(s) were unschedulable"};
  }
  for (const core::Taint& taint : node.taints) {
    if (taint.effect() == "PreferNoSchedule" || tolerates(spec.tolerations(), taint)) continue;
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
