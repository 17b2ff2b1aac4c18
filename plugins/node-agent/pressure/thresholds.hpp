// When a node counts as short of something: signals, thresholds, and which of them are met. Pure.
//
// Follows the kubelet (pkg/kubelet/eviction): its signals, forms ("memory.available<100Mi", "nodefs.available<10%"),
// defaults and the rules of grace and minimum reclaim.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::agent {

enum class Signal : uint8_t {
  kMemoryAvailable,
  kNodeFsAvailable,
  kNodeFsInodesFree,
  kImageFsAvailable,
  kImageFsInodesFree,
  kPidAvailable
};

const char* name_of(Signal signal);       // "memory.available"
const char* resource_of(Signal signal);   // "memory", "ephemeral-storage", "inodes", "pids"
const char* condition_of(Signal signal);  // "MemoryPressure", "DiskPressure", "PIDPressure"

// Bytes or a count, or a part of the capacity.
struct Amount {
  int64_t absolute = 0;
  double percent = 0;  // counts when not 0
  [[nodiscard]] int64_t of(int64_t capacity) const {
    return percent > 0 ? static_cast<int64_t>(static_cast<double>(capacity) * percent / 100) : absolute;
  }
};

struct Threshold {
  Signal signal = Signal::kMemoryAvailable;
  Amount value;
  int64_t grace_ns = 0;  // 0: a hard one
  Amount reclaim;        // so much more must be free before it counts as over
  [[nodiscard]] bool is_hard() const { return grace_ns == 0; }
};

struct EvictionConfig {
  std::vector<Threshold> thresholds;
  int64_t pod_grace_s = 0;                  // the most that a pod gets when a soft threshold is met
  int64_t transition_ns = 300'000'000'000;  // a condition stays for so long after it was last met
};

struct EvictionOptions {
  std::vector<std::string> hard;     // "memory.available<100Mi"
  std::vector<std::string> soft;     // the same form
  std::vector<std::string> grace;    // "memory.available=1m30s", one for each soft threshold
  std::vector<std::string> reclaim;  // "memory.available=50Mi"
};

// kInvalid, with the option's name: a form that cannot be read, an unknown signal, a soft threshold without a grace.
Result<std::vector<Threshold>> parse_thresholds(const EvictionOptions& options);

struct Observation {
  int64_t available = 0;
  int64_t capacity = 0;
};
using Observations = std::map<Signal, Observation>;

// `with_reclaim`: whether it is still met when the minimum reclaim counts too.
bool is_met(const Threshold& threshold, const Observations& observations, bool with_reclaim);

}  // namespace orlop::agent
