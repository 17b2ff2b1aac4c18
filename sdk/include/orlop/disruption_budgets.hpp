// What the controller of PodDisruptionBudgets and the eviction API must see in the same way: which pods a budget is
// about, and the condition that says whether one more may go.
//
// Pure functions, any thread. Definitions are Kubernetes' own (policy/v1, k8s.io/component-helpers
// apps/poddisruptionbudget).
#pragma once

#include "orlop/kube/policy_v1.hpp"
#include "orlop/pods.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::kube {

using PodDisruptionBudget = k8s::io::api::policy::v1::PodDisruptionBudget;
using Condition = k8s::io::apimachinery::pkg::apis::meta::v1::Condition;

inline constexpr std::string_view kDisruptionAllowed = "DisruptionAllowed";
inline constexpr std::string_view kSyncFailed = "SyncFailed";

// An empty selector selects every pod of the namespace, none at all selects nothing.
template <typename Labels>
bool selects(const PodDisruptionBudget& budget, const Labels& labels) {
  return budget.spec().has_selector() && matches(budget.spec().selector(), labels);
}

inline const Condition* find_condition(const PodDisruptionBudget& budget, std::string_view type) {
  for (const Condition& condition : budget.status().conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

// Adds or changes the condition DisruptionAllowed; the moment of transition moves with its status alone.
inline void set_disruption_allowed(PodDisruptionBudget& budget, bool allowed, std::string_view reason,
                                   std::string_view message, int64_t now_s) {
  Condition* condition = nullptr;
  for (Condition& existing : *budget.mutable_status()->mutable_conditions()) {
    if (existing.type() == kDisruptionAllowed) condition = &existing;
  }
  if (condition == nullptr) {
    condition = budget.mutable_status()->add_conditions();
    condition->set_type(std::string(kDisruptionAllowed));
  }
  const char* status = allowed ? "True" : "False";
  if (condition->status() != status) condition->mutable_lasttransitiontime()->set_seconds(now_s);
  condition->set_status(status);
  condition->set_reason(std::string(reason));
  condition->set_message(std::string(message));
  condition->set_observedgeneration(budget.status().observedgeneration());
}

// The same as the status' numbers have it.
inline void set_disruption_allowed(PodDisruptionBudget& budget, int64_t now_s) {
  const bool allowed = budget.status().disruptionsallowed() > 0;
  set_disruption_allowed(budget, allowed, allowed ? "SufficientPods" : "InsufficientPods", "", now_s);
}

}  // namespace orlop::kube
