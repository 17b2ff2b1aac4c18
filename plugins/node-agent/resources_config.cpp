#include "plugins/node-agent/resources_config.hpp"

#include "plugins/node-agent/cgroups/node_resources.hpp"

#include <algorithm>

namespace orlop::agent {

Result<ResourcesConfig> read_resources_config(const Config& config) {
  ResourcesConfig out;
  ORLOP_ASSIGN(out.system_reserved, parse_reserved("system_reserved", config.texts("system_reserved")));
  ORLOP_ASSIGN(out.own_reserved, parse_reserved("kube_reserved", config.texts("kube_reserved")));
  out.pids_max = config.integer("pod_pids_max", 0);
  EvictionOptions options;
  options.hard = config.texts("eviction_hard");
  options.soft = config.texts("eviction_soft");
  options.grace = config.texts("eviction_soft_grace");
  options.reclaim = config.texts("eviction_reclaim");
  ORLOP_ASSIGN(out.eviction.thresholds, parse_thresholds(options));
  out.eviction.pod_grace_s = config.integer("eviction_pod_grace_seconds", 0);
  out.eviction.transition_ns = config.integer("eviction_transition_seconds", 300) * 1'000'000'000;
  return out;
}

kube::Resources kept_free(const EvictionConfig& eviction, int64_t memory_capacity, int64_t disk_capacity) {
  kube::Resources out;
  for (const Threshold& threshold : eviction.thresholds) {
    if (!threshold.is_hard()) continue;
    if (threshold.signal == Signal::kMemoryAvailable)
      out.memory = std::max(out.memory, threshold.value.of(memory_capacity));
    if (threshold.signal == Signal::kNodeFsAvailable)
      out.ephemeral = std::max(out.ephemeral, threshold.value.of(disk_capacity));
  }
  return out;
}

}  // namespace orlop::agent
