// What the machine as a whole uses and has left. The functions on text are pure.
#pragma once

#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::agent {

struct DiskSpace {
  uint64_t capacity_bytes = 0;
  uint64_t available_bytes = 0;  // to those without privileges
  uint64_t inodes = 0;
  uint64_t inodes_free = 0;
};

// Of /proc/meminfo. The working set is all that is not free but for inactive file pages.
CgroupUsage memory_of_machine(std::string_view meminfo);
// Bytes until programs would have to be killed or swapped: total without the working set, the kubelet's
// memory.available.
uint64_t memory_available(std::string_view meminfo);
// Time that all processors spent not idle: the first line of /proc/stat.
uint64_t cpu_of_machine(std::string_view proc_stat, int64_t ticks_per_second);

// The same of this machine.
CgroupUsage machine_usage(const CgroupTree& tree);
uint64_t machine_memory_available();
// Zeros when the folder is not there.
DiskSpace disk_space(const std::string& folder);

}  // namespace orlop::agent
