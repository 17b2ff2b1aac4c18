// The two clocks that the kernel reads, as an interface so that a test may hold them.
//
// Threads: every method from any thread. Unit: nanoseconds.
#pragma once

#include <cstdint>

namespace orlop::bus {

class Clock {
 public:
  virtual ~Clock() = default;
  // CLOCK_MONOTONIC: the same in every process of the machine, never set back.
  [[nodiscard]] virtual int64_t monotonic_ns() const = 0;
  // Since 1970-01-01T00:00:00Z.
  [[nodiscard]] virtual int64_t wall_ns() const = 0;
};

// The machine's own clocks. Lives as long as the process.
const Clock& system_clock();

}  // namespace orlop::bus
