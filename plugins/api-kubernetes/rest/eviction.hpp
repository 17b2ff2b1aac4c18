// Whether a pod may be evicted, and what its disruption budget is then: the rules of the Eviction API.
//
// Pure; any thread. What it follows: policy/v1 Eviction, and the upstream API server's order of looks and its words.
#pragma once

#include "orlop/disruption_budgets.hpp"
#include "orlop/objects.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orlop::rest {

using StoredBudget = Stored<kube::PodDisruptionBudget>;

struct EvictionPlan {
  // The pod must be as it was read: it counts for no budget now, and may if it changes.
  bool pod_unchanged = false;
  // With its status after the eviction: to be written in the same transaction.
  std::optional<StoredBudget> budget;
  std::string budget_name;  // of the one that selects the pod, if any
};

// `budgets`: those of the pod's namespace. kTooManyRequests: not now. kForbidden: a budget's status makes no sense.
// kInternal: two budgets select the pod.
Result<EvictionPlan> plan_eviction(const kube::Pod& pod, const std::vector<StoredBudget>& budgets, int64_t now_s);

// The refusal when a budget's numbers may be stale: come again soon.
Status budget_in_progress(const std::string& budget_name);

// The pod as an evicted one is left behind: with the condition DisruptionTarget.
void mark_evicted(kube::Pod& pod, int64_t now_s);

}  // namespace orlop::rest
