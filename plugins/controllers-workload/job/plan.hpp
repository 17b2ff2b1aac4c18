// What a Job needs done, from the job and its pods as they are. Pure: nothing here reads or writes the store.
//
// One pass over a job is: look() at it; change_pods() says which pods to make and remove, or, once the job is to
// finish, all active ones go; note_suspension(); then its pods that ended are counted. Counting is in steps, each of
// which the store keeps before the next begins, so that a pod is counted once whatever fails in between:
// collect_ended() puts the pods' uids into status.uncountedTerminatedPods; the pods then lose their finalizer;
// count_released() turns uids whose pod has lost it into numbers; finish() makes the job complete or failed when
// nothing is left to count.
#pragma once

#include "plugins/controllers-workload/job/backoff.hpp"
#include "plugins/controllers-workload/job/conditions.hpp"
#include "plugins/controllers-workload/job/indexes.hpp"
#include "plugins/controllers-workload/job/job_pods.hpp"
#include "plugins/controllers-workload/owned_pods.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

struct JobView {
  Job job;  // its status is what is to be written
  std::vector<StoredPod> pods;
  std::vector<const kube::Pod*> active;  // into pods, as all pointers here

  int32_t ready = 0;        // of the active pods
  int32_t terminating = 0;  // under deletion and not ended
  int64_t succeeded = 0;    // also those that are not counted in the status yet
  int64_t failed = 0;
  std::set<std::string> uncounted_succeeded;  // uids, as the status had them
  std::set<std::string> uncounted_failed;

  BackoffRecord backoff;
  IndexSet counted_indexes;    // as the status had them
  IndexSet succeeded_indexes;  // also those of pods that are not counted yet
  std::optional<IndexSet> failed_indexes;
  // In a job with a limit for each index: the failed pod that stays until its successor has taken its count over.
  std::map<int32_t, const kube::Pod*> awaiting_successor;

  // What is to become of the job: Failed, FailureTarget, SuccessCriteriaMet, Complete. Unset: it goes on.
  std::optional<JobCondition> outcome;
  int64_t again_after_ns = 0;  // when time alone will change something; 0: never
};

// `backoff` as it was after the last pass that was written. The view's pointers are into itself: it must not be copied.
void look(JobView& view, Job job, std::vector<StoredPod> pods, const BackoffRecord& backoff, int64_t now_ns);

struct PodChanges {
  std::vector<const kube::Pod*> remove;  // and they do not count as failed
  int32_t create = 0;
  std::vector<int32_t> indexes;  // of those to create; empty unless the job is indexed
};
// For a job that goes on. May set view.again_after_ns: a failed pod's successor waits.
PodChanges change_pods(JobView& view, int64_t now_ns);

// Sets the outcome when all that the job asked for has succeeded and nothing runs any more.
void note_success(JobView& view, int64_t now_ns);

enum class Suspension { kNoChange, kSuspended, kResumed };
// The condition Suspended, and a new startTime when the job goes on.
Suspension note_suspension(JobView& view, int64_t now_ns);

// A pod for the job, with its finalizer; index kNoIndex: not indexed.
kube::Pod new_pod(const JobView& view, int32_t index);

// Which of the active pods go so that at least `least` do: those of repeated, missing or too high indexes first.
std::vector<const kube::Pod*> choose_for_removal(const Job& job, const std::vector<const kube::Pod*>& active,
                                                 size_t least);

}  // namespace orlop::workload
