// The runtime capability in memory: takes calls by method name and bytes, keeps time, answers.
#pragma once

#include "orlop/result.hpp"
#include "plugins/runtime-hollow/settings.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::hollow {

// The answer's bytes are valid during the call only; empty when the status is a failure.
using CallDone = std::function<void(const Status& status, std::string_view payload)>;

// Both in nanoseconds; a test holds them.
struct Clocks {
  std::function<int64_t()> monotonic;
  std::function<int64_t()> wall;
};

// Threads: any. `done` runs before return or within a later call of any function here, on that thread, under no lock.
class HollowRuntime {
 public:
  // `identity`: random; ids and the event log's instance are made of it.
  // kInvalid: the settings' address range makes no sense.
  static Result<std::unique_ptr<HollowRuntime>> make(const Settings& settings, Clocks clocks, uint64_t identity);
  ~HollowRuntime();

  // `deadline`: monotonic clock. kMethodNotAllowed: a method that needs a real process, or none at all.
  void call(std::string_view method, std::string payload, int64_t deadline, CallDone done);

  // Does what is due by now: containers that end, answers that were delayed, waits that are over.
  void tick();
  // The moment of the next thing that will be due (monotonic clock); nothing when there is none. To be asked after each
  // call and tick.
  [[nodiscard]] std::optional<int64_t> next_due() const;

  // Answers everyone who waits; later calls are refused.
  void stop();

  [[nodiscard]] size_t sandbox_count() const;

 private:
  struct Core;
  explicit HollowRuntime(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace orlop::hollow
