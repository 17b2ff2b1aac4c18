// Where a pod may stand: node selectors, required node affinity, taints. The scheduler asks before it places a pod, a
// DaemonSet before it makes one. Pure functions. Definitions are Kubernetes' own
// (k8s.io/component-helpers/scheduling/corev1).
//
// A node is given by its name and its labels: any map-like of strings (protobuf's Map has find() and end()).
//
// Threads: any.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::kube {

using NodeSelectorRequirement = k8s::io::api::core::v1::NodeSelectorRequirement;
using NodeSelectorTerm = k8s::io::api::core::v1::NodeSelectorTerm;
using PodSpec = k8s::io::api::core::v1::PodSpec;
using Taint = k8s::io::api::core::v1::Taint;

namespace detail {

inline std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace detail

// `value`: of the label or field that the requirement names; nothing where there is none.
inline bool meets(const NodeSelectorRequirement& requirement, std::optional<std::string_view> value) {
  const std::string& op = requirement.operator_();
  const auto& values = requirement.values();
  const bool listed = value && std::find(values.begin(), values.end(), *value) != values.end();
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return value.has_value();
  if (op == "DoesNotExist") return !value;
  if (!value || values.size() != 1) return false;
  const auto left = detail::whole_number(*value);
  const auto right = detail::whole_number(values[0]);
  if (!left || !right) return false;
  return op == "Gt" ? *left > *right : op == "Lt" && *left < *right;
}

// All of the term's requirements hold. The one field that there is: metadata.name. An empty term matches nothing.
template <typename Labels>
bool matches_node(const NodeSelectorTerm& term, std::string_view name, const Labels& labels) {
  if (term.matchexpressions().empty() && term.matchfields().empty()) return false;
  for (const NodeSelectorRequirement& requirement : term.matchexpressions()) {
    const auto found = labels.find(requirement.key());
    const bool present = found != labels.end();
    if (!meets(requirement, present ? std::optional<std::string_view>(found->second) : std::nullopt)) return false;
  }
  for (const NodeSelectorRequirement& requirement : term.matchfields()) {
    if (requirement.key() != "metadata.name" || !meets(requirement, name)) return false;
  }
  return true;
}

// The pod's nodeSelector and its required node affinity.
template <typename Labels>
bool matches_node_affinity(const PodSpec& spec, std::string_view name, const Labels& labels) {
  for (const auto& [key, value] : spec.nodeselector()) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  const auto& affinity = spec.affinity().nodeaffinity();
  if (!affinity.has_requiredduringschedulingignoredduringexecution()) return true;
  const auto& terms = affinity.requiredduringschedulingignoredduringexecution().nodeselectorterms();
  return std::any_of(terms.begin(), terms.end(),
                     [&](const NodeSelectorTerm& term) { return matches_node(term, name, labels); });
}

// Whether one of the pod's tolerations bears the taint.
inline bool tolerates(const PodSpec& spec, const Taint& taint) {
  const auto& tolerations = spec.tolerations();
  return std::any_of(tolerations.begin(), tolerations.end(),
                     [&](const auto& toleration) { return tolerates(toleration, taint); });
}

}  // namespace orlop::kube
