// When a plugin that faulted is started again: at once the first time, then after 100 ms · 2^n up to 10 s; never again
// by itself after 5 faults within 10 s. A plugin that ran 10 s without a fault begins anew.
//
// Threads: one. Unit: nanoseconds of any steady clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

namespace orlop::lifecycle {

class RestartPolicy {
 public:
  static constexpr int64_t kFirstDelayNs = 100'000'000;
  static constexpr int64_t kDelayNsMax = 10'000'000'000;
  static constexpr int64_t kWindowNs = 10'000'000'000;
  static constexpr std::size_t kFaultsMax = 5;

  struct Verdict {
    bool quarantine = false;
    int64_t delay_ns = 0;
  };

  // `ran_ns`: how long it had been running; 0: it did not get that far.
  Verdict on_fault(int64_t now_ns, int64_t ran_ns) {
    if (ran_ns >= kWindowNs) consecutive_ = 0;
    faults_.push_back(now_ns);
    while (faults_.front() <= now_ns - kWindowNs) faults_.pop_front();
    if (faults_.size() >= kFaultsMax) return {true, 0};
    Verdict verdict;
    if (consecutive_ > 0) {
      verdict.delay_ns = std::min(kDelayNsMax, kFirstDelayNs << std::min<uint32_t>(consecutive_ - 1, 20));
    }
    ++consecutive_;
    return verdict;
  }

  // A person asked for a start: the past is forgotten.
  void reset() {
    faults_.clear();
    consecutive_ = 0;
  }

 private:
  std::deque<int64_t> faults_;  // moments, oldest first
  uint32_t consecutive_ = 0;
};

}  // namespace orlop::lifecycle
