// Tells at once when pods have taken so much memory that the machine may be short of it, so that nobody has to look
// often.
//
// With cgroups of version 1 the kernel counts: an event when all pods together use more than was said. With version 2
// there is no such event, and the kernel's pressure stall information stands in: an event once programs have waited for
// memory for 100 ms of a second. Where there is neither, descriptor() is -1 and the slow look has to do.
//
// Threads: one at a time.
#pragma once

#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

class MemoryAlarm {
 public:
  // `cgroup`: the one of all pods.
  MemoryAlarm(const CgroupTree& tree, std::string cgroup);
  ~MemoryAlarm();
  MemoryAlarm(const MemoryAlarm&) = delete;
  MemoryAlarm& operator=(const MemoryAlarm&) = delete;

  // From now on: when the pods use so much more than they do.
  void arm(uint64_t more_bytes);
  // To be polled for POLLIN | POLLPRI; changes with arm().
  [[nodiscard]] int descriptor() const { return descriptor_; }
  // Takes what was told, so that the next poll waits again.
  void clear() const;

 private:
  void disarm();

  const CgroupTree& tree_;
  std::string cgroup_;
  int descriptor_ = -1;
};

}  // namespace orlop::agent
