// Which pods of a ReplicaSet go first when there are too many.
#pragma once

#include "plugins/controllers-workload/owned_pods.hpp"

#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

// Orders `pods` so that those to delete first come first, by Kubernetes' rules: not assigned to a node before assigned;
// Pending before Unknown before Running; not ready before ready; lower controller.kubernetes.io/pod-deletion-cost; more
// pods of the same set on its node; ready for a shorter time; more restarts; younger. Ties are broken by name.
// `on_node`: how many pods there are on each node, of this set and those related to it (of one Deployment).
void rank_for_deletion(std::vector<StoredPod>& pods, const std::map<std::string, int>& on_node);
// The same by the pods of the set alone.
void rank_for_deletion(std::vector<StoredPod>& pods);

}  // namespace orlop::workload
