#include "plugins/controllers-workload/job/backoff.hpp"

#include "plugins/controllers-workload/job/job_pods.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

constexpr int64_t kFirstNs = 10'000'000'000;
constexpr int64_t kMostNs = 600'000'000'000;

}  // namespace

BackoffRecord advance(BackoffRecord record, const std::vector<const kube::Pod*>& succeeded,
                      const std::vector<const kube::Pod*>& failed) {
  if (succeeded.empty()) {
    record.failures += static_cast<int32_t>(failed.size());
    int64_t last = failed.empty() ? record.last_failure_ns : 0;
    for (const kube::Pod* pod : failed) last = std::max(last, ended_at_ns(*pod));
    record.last_failure_ns = last;
    return record;
  }
  int64_t last_success = 0;
  for (const kube::Pod* pod : succeeded) last_success = std::max(last_success, ended_at_ns(*pod));
  record = {};
  for (const kube::Pod* pod : failed) {
    const int64_t ended = ended_at_ns(*pod);
    if (ended <= last_success) continue;
    ++record.failures;
    record.last_failure_ns = std::max(record.last_failure_ns, ended);
  }
  return record;
}

int64_t remaining_ns(const BackoffRecord& record, int64_t now_ns) {
  if (record.failures <= 0) return 0;
  int64_t wait = kFirstNs;
  for (int32_t i = 1; i < record.failures && wait < kMostNs; ++i) wait *= 2;
  wait = std::min(wait, kMostNs);
  // A clock that was set back must not make the wait longer than it ever was.
  return std::clamp<int64_t>(record.last_failure_ns + wait - now_ns, 0, wait);
}

}  // namespace orlop::workload
