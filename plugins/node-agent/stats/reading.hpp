// What was used at one moment, and rates between two moments. Pure.
#pragma once

#include "orlop/v1/node.pb.h"
#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace orlop::agent {

struct ContainerReading {
  std::string name;
  CgroupUsage usage;
};

struct PodReading {
  v1::PodReference reference;
  int64_t started_unix_ns = 0;
  CgroupUsage usage;
  std::map<std::string, ContainerReading> containers;  // by id; those that run
};

struct Reading {
  int64_t monotonic_ns = 0;
  int64_t unix_ns = 0;
  CgroupUsage machine;
  std::map<std::string, PodReading> pods;  // by uid
};

// The last readings, so that there is always one from about a window ago.
class ReadingHistory {
 public:
  static constexpr int64_t kShareNs = 1'000'000'000;    // a reading so young is as good as a new one
  static constexpr int64_t kWindowNs = 10'000'000'000;  // a rate's window is at least so long where readings allow it
  static constexpr int64_t kKeepNs = 60'000'000'000;    // older ones say nothing about now

  void add(Reading reading);
  // Null when there is none.
  [[nodiscard]] const Reading* newest() const { return readings_.empty() ? nullptr : &readings_.back(); }
  [[nodiscard]] bool is_fresh(int64_t monotonic_ns) const {
    return !readings_.empty() && monotonic_ns - readings_.back().monotonic_ns < kShareNs;
  }
  // What the newest one is to be compared with; null when there is none.
  [[nodiscard]] const Reading* baseline() const;

 private:
  std::deque<Reading> readings_;  // oldest first
};

// `pods` of the request alone, all when it names none. The file systems' figures are not filled in.
v1::StatsResponse make_stats(const ReadingHistory& history, const v1::StatsRequest& request);

}  // namespace orlop::agent
