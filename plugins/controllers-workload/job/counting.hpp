// How the pods of a Job that ended become numbers in its status. Pure.
//
// In steps, each of which the store keeps before the next begins, so that a pod is counted once whatever fails in
// between: collect_ended() puts the pods' uids into status.uncountedTerminatedPods; the pods then lose their finalizer;
// count_released() turns uids whose pod has lost it into numbers; finish() makes the job complete or failed when
// nothing is left to count. Of an indexed job, indexes that succeeded are their own memory: their pods need no uid.
#pragma once

#include "plugins/controllers-workload/job/plan.hpp"

#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

struct Ended {
  std::vector<const kube::Pod*> release;  // those whose finalizer may go once the status is written
  bool is_all = true;                     // false: there were too many for one pass
};
// Puts ended pods into the status, and the interim condition of the outcome, which becomes the final one.
Ended collect_ended(JobView& view, int64_t now_ns);

// Counts the uids of the status whose pod has lost its finalizer (or is gone).
void count_released(JobStatus& status, const std::set<std::string>& uids_with_finalizer);

// True: the job has become what view.outcome says.
bool finish(JobView& view, int64_t now_ns);

}  // namespace orlop::workload
