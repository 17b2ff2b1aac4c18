// Which pods of a ReplicaSet go first when there are too many.
#pragma once

#include "plugins/controllers-workload/owned_pods.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace orlop::workload {

// Orders `pods` so that those to delete first come first, by Kubernetes' rules: not assigned to a node before assigned;
// Pending before Unknown before Running; not ready before ready; lower controller.kubernetes.io/pod-deletion-cost; more
// pods of the same set on its node; ready for a shorter time; more restarts; younger. Ties are broken by name.
// `on_node`: how many pods there are on each node, of this set and those related to it (of one Deployment).
void rank_for_deletion(std::vector<StoredPod>& pods, const std::map<std::string, int>& on_node);
// The same by the pods of the set alone.
void rank_for_deletion(std::vector<StoredPod>& pods);

// Where one pod stands in that order: the smaller goes first. Of its cost and the number of pods on its node a caller
// whose rules know neither says 0.
using DeletionKey = std::tuple<int, int, int, int32_t, int, int64_t, int32_t, int64_t, std::string>;
DeletionKey deletion_key(const kube::Pod& pod, int32_t cost, int on_node);

}  // namespace orlop::workload
