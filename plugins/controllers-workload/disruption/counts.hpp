// What a PodDisruptionBudget's status should be: pure arithmetic, no kernel, no clock.
//
// Follows policy/v1 PodDisruptionBudget and the upstream disruption controller.
#pragma once

#include "orlop/disruption_budgets.hpp"
#include "orlop/objects.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::workload {

using Budget = kube::PodDisruptionBudget;

// How long an evicted pod may take until its deletion is seen; then it counts as healthy again.
inline constexpr int64_t kDeletionTimeoutSeconds = 120;

// Whether the budget's numbers need the sum of what the pods' controllers want; else the number of pods will do.
bool needs_scales(const Budget& budget);

struct Counts {
  int32_t expected = 0;
  int32_t desired_healthy = 0;
  int32_t current_healthy = 0;
  // Pods of the status' disruptedPods that are not on their way yet, with the moment of their eviction.
  std::vector<std::pair<std::string, int64_t>> disrupted;
  // Entries that were dropped because their pod stayed.
  std::vector<std::string> not_deleted;
  int64_t recheck_s = 0;  // when the oldest of `disrupted` is given up; 0: there is none
};

// `scale`: the sum of the replicas of the pods' controllers.
Counts count(const Budget& budget, const std::vector<Stored<kube::Pod>>& pods, int32_t scale, int64_t now_s);

// The status by these counts, for the budget's present generation.
void set_status(Budget& budget, const Counts& counts, int64_t now_s);

}  // namespace orlop::workload
