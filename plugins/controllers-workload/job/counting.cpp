#include "plugins/controllers-workload/job/counting.hpp"

#include "plugins/controllers-workload/job/policies.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int kUncountedMax = 500;  // uids in the status, which would grow too large otherwise

// Whether the pod's finalizer may go: it is counted, or nobody will count it.
bool may_release(const JobView& view, const kube::Pod& pod, bool failed) {
  if (view.job.metadata().has_deletiontimestamp() || view.outcome || pod.status().phase() == "Succeeded") return true;
  if (!failed) return false;
  const auto found = view.awaiting_successor.find(completion_index(pod));
  return found == view.awaiting_successor.end() || found->second != &pod;
}

// The interim condition goes into the status now, the final one stays as the outcome.
void announce_outcome(JobView& view, int64_t now_s) {
  if (!view.outcome) return;
  if (view.outcome->type() == kJobFailureTarget) {
    ensure_condition(*view.job.mutable_status(), *view.outcome);
    view.outcome = make_condition(kJobFailed, true, view.outcome->reason(), view.outcome->message(), now_s);
  } else if (view.outcome->type() == kJobSuccessCriteriaMet) {
    if (!has_condition(view.job, kJobSuccessCriteriaMet)) *view.job.mutable_status()->add_conditions() = *view.outcome;
    view.outcome = make_condition(kJobComplete, true, view.outcome->reason(), view.outcome->message(), now_s);
  }
}

void write_indexes(JobView& view) {
  auto& status = *view.job.mutable_status();
  status.set_succeeded(static_cast<int32_t>(view.succeeded_indexes.size()));
  status.set_completedindexes(view.succeeded_indexes.text());
  if (view.failed_indexes) status.set_failedindexes(view.failed_indexes->text());
}

}  // namespace

Ended collect_ended(JobView& view, int64_t now_ns) {
  Ended out;
  auto& status = *view.job.mutable_status();
  auto& uncounted = *status.mutable_uncountedterminatedpods();
  const bool indexed = is_indexed(view.job);
  std::set<std::string> with_finalizer;
  std::vector<const kube::Pod*> candidates;
  for (const StoredPod& stored : view.pods) {
    if (!has_tracking_finalizer(stored.object)) continue;
    with_finalizer.insert(stored.object.metadata().uid());
    candidates.push_back(&stored.object);
  }
  count_released(status, with_finalizer);
  if (indexed) {
    std::stable_sort(candidates.begin(), candidates.end(), [](const kube::Pod* a, const kube::Pod* b) {
      return completion_index(*a) < completion_index(*b);
    });
  }
  const bool others_failed =
      view.outcome && view.outcome->type() != kJobSuccessCriteriaMet;  // what has not ended by then has failed
  std::set<int32_t> newly_succeeded;
  for (const kube::Pod* pod : candidates) {
    const std::string& uid = pod->metadata().uid();
    const bool failed = counts_as_failed(*pod, view.job);
    if (!may_release(view, *pod, failed)) continue;
    out.release.push_back(pod);
    if (pod->status().phase() == "Succeeded" && !view.uncounted_failed.contains(uid)) {
      if (!indexed) {
        if (!view.uncounted_succeeded.contains(uid)) uncounted.add_succeeded(uid);
      } else if (has_valid_index(view.job, *pod) && !view.counted_indexes.contains(completion_index(*pod))) {
        newly_succeeded.insert(completion_index(*pod));
      }
    } else if ((failed || others_failed) && !view.uncounted_failed.contains(uid) &&
               (!indexed || has_valid_index(view.job, *pod)) && match_failure_policy(view.job, *pod).counts) {
      uncounted.add_failed(uid);
    }
    const int total = static_cast<int>(newly_succeeded.size()) + uncounted.succeeded_size() + uncounted.failed_size();
    if (total >= kUncountedMax) {
      out.is_all = false;
      break;
    }
  }
  if (indexed) write_indexes(view);
  announce_outcome(view, now_ns / kSecondNs);
  return out;
}

void count_released(JobStatus& status, const std::set<std::string>& uids_with_finalizer) {
  auto& uncounted = *status.mutable_uncountedterminatedpods();
  const auto take = [&](google::protobuf::RepeatedPtrField<std::string>& uids) {
    const int before = uids.size();
    uids.erase(std::remove_if(uids.begin(), uids.end(),
                              [&](const std::string& uid) { return !uids_with_finalizer.contains(uid); }),
               uids.end());
    return before - uids.size();
  };
  const int succeeded = take(*uncounted.mutable_succeeded());
  const int failed = take(*uncounted.mutable_failed());
  if (succeeded > 0) status.set_succeeded(status.succeeded() + succeeded);
  if (failed > 0) status.set_failed(status.failed() + failed);
}

bool finish(JobView& view, int64_t now_ns) {
  if (!view.outcome) return false;
  auto& status = *view.job.mutable_status();
  const auto& uncounted = status.uncountedterminatedpods();
  if (uncounted.succeeded_size() + uncounted.failed_size() > 0 || status.terminating() > 0) return false;
  ensure_condition(status, *view.outcome);
  if (view.outcome->type() == kJobComplete) status.mutable_completiontime()->set_seconds(now_ns / kSecondNs);
  return true;
}

}  // namespace orlop::workload
