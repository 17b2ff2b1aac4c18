// The ReplicaSet that stands for one version of a Deployment, and the annotations by which versions are counted. Pure.
#pragma once

#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/deployment/plan.hpp"

#include <cstdint>
#include <vector>

namespace orlop::workload {

// The annotation's number; 0 when absent or not a number.
int64_t number_annotation(const kube::ObjectMeta& metadata, const char* name);

kube::OwnerReference owner_reference(const Deployment& deployment);

// A new ReplicaSet of the Deployment's present template.
ReplicaSet new_replica_set(const Deployment& deployment, int32_t replicas, const Limits& limits, int64_t revision);

// Brings the newest set's annotations up to date: those of the Deployment (but kubectl's last-applied), its revision
// number (with the numbers that it had before) and sizes. Returns whether anything changed.
bool copy_annotations(const Deployment& deployment, int64_t revision, const Limits& limits, ReplicaSet& set);

// Notes for which size of the Deployment a set was scaled. Returns whether that changed.
bool note_sizes(int32_t replicas, const Limits& limits, ReplicaSet& set);

// Somebody changed the Deployment's replicas since its sets were last scaled.
bool is_scaling_event(const Deployment& deployment, const std::vector<Stored<ReplicaSet>>& newest,
                      const std::vector<Stored<ReplicaSet>>& old);

}  // namespace orlop::workload
