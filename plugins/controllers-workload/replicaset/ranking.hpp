// Which pods of a ReplicaSet go first when there are too many.
#pragma once

#include "plugins/controllers-workload/owned_pods.hpp"

#include <vector>

namespace orlop::workload {

// Orders `pods` so that those to delete first come first, by Kubernetes' rules: not assigned to a node before assigned;
// Pending before Unknown before Running; not ready before ready; lower controller.kubernetes.io/pod-deletion-cost; more
// pods of the same set on its node; ready for a shorter time; more restarts; younger. Ties are broken by name.
void rank_for_deletion(std::vector<StoredPod>& pods);

}  // namespace orlop::workload
