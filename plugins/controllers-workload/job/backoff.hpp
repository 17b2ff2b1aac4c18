// How long a Job waits before it replaces a failed pod: 10 s, doubled for each failure in a row, at most 10 minutes.
// Pure.
#pragma once

#include "plugins/controllers-workload/owned_pods.hpp"

#include <cstdint>
#include <vector>

namespace orlop::workload {

// A job's failures since its last success.
struct BackoffRecord {
  int32_t failures = 0;
  int64_t last_failure_ns = 0;  // since 1970
};

// The record after these pods ended, none of which it has counted yet.
BackoffRecord advance(BackoffRecord record, const std::vector<const kube::Pod*>& succeeded,
                      const std::vector<const kube::Pod*>& failed);

// Nanoseconds until the next pod may come; 0: now.
int64_t remaining_ns(const BackoffRecord& record, int64_t now_ns);

}  // namespace orlop::workload
