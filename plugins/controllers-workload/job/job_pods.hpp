// What a Job reads from its pods and writes into them. Pure.
#pragma once

#include "orlop/kube/batch_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/job/conditions.hpp"

#include <cstdint>
#include <string>

namespace orlop::workload {

// Keeps a pod until it has been counted in its job's status.
inline constexpr char kTrackingFinalizer[] = "batch.kubernetes.io/job-tracking";
inline constexpr int32_t kNoIndex = -1;

inline bool is_indexed(const Job& job) {
  return job.spec().completionmode() == "Indexed";
}
inline bool is_suspended(const Job& job) {
  return job.spec().suspend();
}
// New pods come only when the old ones have ended, not already when they are being deleted.
inline bool replaces_failed_only(const Job& job) {
  return job.spec().podreplacementpolicy() == "Failed";
}
// Somebody else's controller looks after the job (spec.managedBy).
bool is_managed_elsewhere(const Job& job);

bool has_tracking_finalizer(const kube::Pod& pod);
// False: it had none.
bool remove_tracking_finalizer(kube::Pod& pod);

// kNoIndex: none, or one that makes no sense.
int32_t completion_index(const kube::Pod& pod);
// Whether it is an index that the job has.
bool has_valid_index(const Job& job, const kube::Pod& pod);
// How often the pod's index has failed before it; ignored failures apart.
int32_t index_failures(const kube::Pod& pod);
int32_t index_ignored_failures(const kube::Pod& pod);

// A pod under deletion counts as failed, unless the job replaces pods only once they have ended.
bool counts_as_failed(const kube::Pod& pod, const Job& job);

// When it ended, in nanoseconds since 1970: the last of its containers' ends, else when it became not ready, else when
// its deletion was asked for, else its creation.
int64_t ended_at_ns(const kube::Pod& pod);

// Name, annotation, label, host name and environment of the pod of an index. `replaced`: the failed pod of the index
// before it, or null; its count goes on in a job with a limit for each index.
void give_index(kube::Pod& pod, const Job& job, int32_t index, const kube::Pod* replaced);

}  // namespace orlop::workload
