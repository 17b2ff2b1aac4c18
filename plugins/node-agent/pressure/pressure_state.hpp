// What a series of looks at the machine means: which conditions the node has and which thresholds are to be acted upon.
// Pure: time comes in.
//
// Follows the kubelet: a threshold counts from the moment that it is first met, until its minimum reclaim is free
// again; a condition holds for the transition period after it was last met.
//
// Threads: one at a time.
#pragma once

#include "plugins/node-agent/pressure/thresholds.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::agent {

// The conditions under which the node is, as others may ask. Threads: any.
class NodeConditions {
 public:
  void set(std::set<std::string> conditions) {
    const std::lock_guard lock(mutex_);
    conditions_ = std::move(conditions);
  }
  // "MemoryPressure", "DiskPressure", "PIDPressure"
  [[nodiscard]] std::set<std::string> get() const {
    const std::lock_guard lock(mutex_);
    return conditions_;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> conditions_;  // guarded by mutex_
};

struct PressureDecision {
  std::set<std::string> conditions;
  std::vector<Threshold> act;  // their grace is over; memory first
  bool near = false;           // something could be crossed soon, or has been: look again soon
};

class PressureState {
 public:
  explicit PressureState(const EvictionConfig& config) : config_(config), entries_(config.thresholds.size()) {}
  PressureDecision look(const Observations& observations, int64_t now_ns);

 private:
  struct Entry {
    std::optional<int64_t> first_ns;  // since when it has been met
    bool acted = false;               // its grace was over at the last look
  };

  const EvictionConfig& config_;
  std::vector<Entry> entries_;              // as config_.thresholds
  std::map<std::string, int64_t> last_ns_;  // when a condition was last met
};

}  // namespace orlop::agent
