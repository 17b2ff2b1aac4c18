// What the hollow runtime is told, and what a pod may tell it by annotations.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::hollow {

struct Settings {
  std::string ip_range = "10.128.0.0/9";  // addresses of pods that do not use the host's network
  std::chrono::nanoseconds latency{0};    // of each call that changes something
  std::vector<std::string> images;        // present from the start
  // Pulls of names that begin with this fail, so that tests see what becomes of such pods.
  std::string missing_image_prefix = "missing.hollow.orlop.dev/";
};

// "250ms", "1.5s", "2m", "1h", "10" (seconds). kInvalid: anything else, or negative.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

// How a container ends by itself.
struct ExitPlan {
  std::chrono::nanoseconds after{0};
  int32_t code = 0;
};

// The keys that are asked for, the more particular one first: NAME.hollow.orlop.dev/exit-after for the container called
// NAME, then hollow.orlop.dev/exit-after; the same with exit-code. `lookup` gives a key's value or nullptr. Without an
// exit-after the container runs until it is stopped. kInvalid: a value makes no sense.
template <typename Lookup>
Result<std::optional<ExitPlan>> exit_plan(std::string_view container, const Lookup& lookup);

// What a container is said to use, all the time that it runs.
struct Load {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
};

// The keys that are asked for, as with exit_plan(): NAME.hollow.orlop.dev/cpu, then hollow.orlop.dev/cpu; the same with
// memory. Quantities, as in a pod's resources. kInvalid: a value is none.
template <typename Lookup>
Result<Load> load_of(std::string_view container, const Lookup& lookup);

// What a command in the container ends with: NAME.hollow.orlop.dev/exec-code, then hollow.orlop.dev/exec-code; 0 when
// nothing is said. kInvalid: not 0 to 255.
template <typename Lookup>
Result<int32_t> exec_code(std::string_view container, const Lookup& lookup);

// Addresses of a range, each given once until it is taken back; one that was taken back is given again as late as
// possible. Threads: one at a time.
class IpPool {
 public:
  // kInvalid: not an IPv4 range like 10.1.0.0/16, or one of fewer than four addresses.
  static Result<IpPool> parse(std::string_view range);

  // In host byte order. kTooManyRequests: all are in use.
  Result<uint32_t> take();
  void give_back(uint32_t address);

 private:
  uint32_t first_ = 0;
  uint32_t last_ = 0;
  uint32_t next_ = 0;
  std::vector<uint32_t> returned_;
  size_t returned_from_ = 0;
};

std::string format_ip(uint32_t address);

// --- implementation of the templates above ---

Result<std::optional<ExitPlan>> make_exit_plan(const std::string* after, const std::string* code);
Result<Load> make_load(const std::string* cpu, const std::string* memory);
Result<int32_t> make_exec_code(const std::string* code);

template <typename Lookup>
const std::string* find_word(std::string_view container, std::string_view word, const Lookup& lookup) {
  const std::string general = "hollow.orlop.dev/" + std::string(word);
  const std::string* value = lookup(std::string(container) + "." + general);
  return value != nullptr ? value : lookup(general);
}

template <typename Lookup>
Result<std::optional<ExitPlan>> exit_plan(std::string_view container, const Lookup& lookup) {
  return make_exit_plan(find_word(container, "exit-after", lookup), find_word(container, "exit-code", lookup));
}

template <typename Lookup>
Result<Load> load_of(std::string_view container, const Lookup& lookup) {
  return make_load(find_word(container, "cpu", lookup), find_word(container, "memory", lookup));
}

template <typename Lookup>
Result<int32_t> exec_code(std::string_view container, const Lookup& lookup) {
  return make_exec_code(find_word(container, "exec-code", lookup));
}

}  // namespace orlop::hollow
