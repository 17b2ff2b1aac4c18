// The settings of what pods may use: what is reserved, how many processes, when pods are evicted.
#pragma once

#include "orlop/config.hpp"
#include "orlop/pod_resources.hpp"
#include "orlop/result.hpp"
#include "plugins/node-agent/pressure/thresholds.hpp"

#include <cstdint>

namespace orlop::agent {

struct ResourcesConfig {
  kube::Resources system_reserved;
  kube::Resources own_reserved;
  int64_t pids_max = 0;  // for each pod; 0: no limit
  EvictionConfig eviction;
};

// kInvalid: with the option's name and how it is written.
Result<ResourcesConfig> read_resources_config(const Config& config);

// What hard thresholds keep free of memory and of the disk.
kube::Resources kept_free(const EvictionConfig& eviction, int64_t memory_capacity, int64_t disk_capacity);

}  // namespace orlop::agent
