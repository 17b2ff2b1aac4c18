// Which pod goes first when the node is short of something, and what it is told. Pure.
//
// Follows the kubelet's ranking: pods that use more than they asked for before others, then by priority, then by how
// much more they use; the messages are its own.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/pressure/thresholds.hpp"
#include "plugins/node-agent/stats/disk_usage.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orlop::agent {

// What one pod uses; nothing measured: it goes before those that were.
struct PodMeasure {
  bool measured = false;
  uint64_t memory_bytes = 0;  // working set
  uint64_t processes = 0;
  std::map<std::string, uint64_t> container_memory;  // by name
  PodDisk disk;
};

struct Candidate {
  kube::Pod pod;
  PodMeasure use;
};

// The first is the first to go.
void rank(std::vector<Candidate>& candidates, Signal signal);

// "The node was low on resource: memory. Threshold quantity: …"
std::string eviction_message(const Candidate& candidate, const Threshold& threshold, const Observations& observations);

// Why the pod must go for what it keeps on the disk itself: an emptyDir, a container or the whole pod above its limit.
std::optional<std::string> local_storage_excess(const kube::Pod& pod, const PodDisk& disk);
// Whether the pod has any such limit, and so is to be measured.
bool has_local_storage_limit(const kube::Pod& pod);

}  // namespace orlop::agent
