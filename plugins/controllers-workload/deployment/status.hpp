// What a Deployment tells about its rollout: counts and conditions. Pure: the clock comes in as a number.
#pragma once

#include "plugins/controllers-workload/deployment/plan.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::workload {

// Fills deployment.status from its ReplicaSets. `newest` may be null. Returns after how many seconds the status may
// change by time alone (the progress deadline); 0: never.
int64_t fill_status(Deployment& deployment, const ReplicaSet* newest, const std::vector<const ReplicaSet*>& all,
                    int64_t now_s);

// Notes in deployment.status that the newest version's set cannot be made.
void note_create_failure(Deployment& deployment, const std::string& message, int64_t now_s);

// All replicas are of the newest template and available, and no old ones are left.
bool is_complete(const Deployment& deployment, const k8s::io::api::apps::v1::DeploymentStatus& status);

}  // namespace orlop::workload
