// spec.podFailurePolicy and spec.successPolicy. Pure.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/controllers-workload/job/conditions.hpp"
#include "plugins/controllers-workload/job/indexes.hpp"

#include <optional>
#include <string>

namespace orlop::workload {

struct FailureVerdict {
  bool counts = true;                         // towards backoffLimit and backoffLimitPerIndex
  bool fails_index = false;                   // the index is given up at once
  std::optional<std::string> fails_job = {};  // why the whole job fails
};

// What the first rule that matches says of a failed pod; without one the failure counts.
FailureVerdict match_failure_policy(const Job& job, const kube::Pod& failed);

// "Matched rules at index N" when a rule is met by the indexes that succeeded.
std::optional<std::string> match_success_policy(const Job& job, const IndexSet& succeeded);

}  // namespace orlop::workload
