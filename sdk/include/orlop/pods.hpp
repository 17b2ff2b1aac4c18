// Small questions about objects that several plugins ask: is a pod ready, who controls this, does a selector match.
// Pure functions. Definitions are Kubernetes' own (k8s.io/kubernetes pkg/api/v1/pod, pkg/controller, apimachinery
// labels).
#pragma once

#include "orlop/kube/core_v1.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::kube {

using Pod = k8s::io::api::core::v1::Pod;
using PodCondition = k8s::io::api::core::v1::PodCondition;
using ObjectMeta = k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;
using OwnerReference = k8s::io::apimachinery::pkg::apis::meta::v1::OwnerReference;
using LabelSelector = k8s::io::apimachinery::pkg::apis::meta::v1::LabelSelector;

inline const PodCondition* find_condition(const Pod& pod, std::string_view type) {
  for (const PodCondition& condition : pod.status().conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

inline bool is_ready(const Pod& pod) {
  const PodCondition* ready = find_condition(pod, "Ready");
  return ready != nullptr && ready->status() == "True";
}

// Ran to its end: Succeeded or Failed.
inline bool is_terminal(const Pod& pod) {
  return pod.status().phase() == "Succeeded" || pod.status().phase() == "Failed";
}
inline bool is_terminating(const Pod& pod) {
  return pod.metadata().has_deletiontimestamp();
}
// Counts towards a workload's replicas.
inline bool is_active(const Pod& pod) {
  return !is_terminal(pod) && !is_terminating(pod);
}

// When the pod became available (ready for min_ready_seconds), in seconds since 1970; nothing while it is not ready.
inline std::optional<int64_t> available_from_s(const Pod& pod, int32_t min_ready_seconds) {
  if (!is_ready(pod)) return std::nullopt;
  if (min_ready_seconds == 0) return 0;
  return find_condition(pod, "Ready")->lasttransitiontime().seconds() + min_ready_seconds;
}

// The one owner that controls the object, if any.
inline const OwnerReference* controller_of(const ObjectMeta& metadata) {
  for (const OwnerReference& owner : metadata.ownerreferences()) {
    if (owner.controller()) return &owner;
  }
  return nullptr;
}

// Whether this one toleration bears the taint.
inline bool tolerates(const k8s::io::api::core::v1::Toleration& toleration,
                      const k8s::io::api::core::v1::Taint& taint) {
  if (!toleration.effect().empty() && toleration.effect() != taint.effect()) return false;
  if (!toleration.key().empty() && toleration.key() != taint.key()) return false;
  if (toleration.operator_() == "Exists") return true;
  return !toleration.key().empty() && toleration.value() == taint.value();
}

// Works on any map-like of labels (protobuf's Map has find() and end()).
template <typename Labels>
bool matches(const LabelSelector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.matchlabels()) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  for (const auto& requirement : selector.matchexpressions()) {
    const auto found = labels.find(requirement.key());
    const bool present = found != labels.end();
    bool listed = false;
    for (const std::string& value : requirement.values()) listed = listed || (present && found->second == value);
    const std::string& op = requirement.operator_();
    if (op == "In" && !listed) return false;
    if (op == "NotIn" && listed) return false;
    if (op == "Exists" && !present) return false;
    if (op == "DoesNotExist" && present) return false;
  }
  return true;
}
inline bool is_empty(const LabelSelector& selector) {
  return selector.matchlabels().empty() && selector.matchexpressions().empty();
}

}  // namespace orlop::kube
