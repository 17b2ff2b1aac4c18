// The one pending wake_at() of a plugin: the earliest moment that was asked for wins.
//
// Threads: any. After close() the function does not run any more; close() does not wait for one that runs.
#pragma once

#include "kernel/bus/timer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace orlop::lifecycle {

class WakeTimer : public std::enable_shared_from_this<WakeTimer> {
 public:
  WakeTimer(bus::Timer& timer, std::function<void()> wake) : timer_(timer), wake_(std::move(wake)) {}

  void at(int64_t monotonic_ns) {
    std::lock_guard lock(mutex_);
    if (closed_ || (id_ != 0 && moment_ <= monotonic_ns)) return;
    if (id_ != 0) timer_.cancel(id_);
    moment_ = monotonic_ns;
    const uint64_t round = ++round_;
    id_ = timer_.at(monotonic_ns, [self = shared_from_this(), round] { self->fire(round); });
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (id_ != 0) timer_.cancel(id_);
    id_ = 0;
  }

 private:
  void fire(uint64_t round) {
    {
      std::lock_guard lock(mutex_);
      if (closed_ || round != round_) return;
      id_ = 0;
    }
    wake_();
  }

  bus::Timer& timer_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  bus::Timer::Id id_ = 0;  // guarded by mutex_, as is all below
  int64_t moment_ = 0;
  uint64_t round_ = 0;
  bool closed_ = false;
};

}  // namespace orlop::lifecycle
