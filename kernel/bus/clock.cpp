#include "kernel/bus/clock.hpp"

#include <ctime>

namespace orlop::bus {
namespace {

int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t monotonic_ns() const override { return read_clock(CLOCK_MONOTONIC); }
  [[nodiscard]] int64_t wall_ns() const override { return read_clock(CLOCK_REALTIME); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace orlop::bus
