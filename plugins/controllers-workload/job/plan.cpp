#include "plugins/controllers-workload/job/plan.hpp"

#include "plugins/controllers-workload/job/policies.hpp"
#include "plugins/controllers-workload/replicaset/ranking.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int32_t kChangesMax = 500;  // pods made or removed in one pass

std::set<std::string> set_of(const google::protobuf::RepeatedPtrField<std::string>& uids) {
  return {uids.begin(), uids.end()};
}

std::set<int32_t> indexes_of(const std::vector<const kube::Pod*>& pods) {
  std::set<int32_t> out;
  for (const kube::Pod* pod : pods) {
    const int32_t index = completion_index(*pod);
    if (index != kNoIndex) out.insert(index);
  }
  return out;
}

// The pods that nobody has counted yet and that the job can count.
template <typename Which>
std::vector<const kube::Pod*> uncounted_pods(const JobView& view, const std::set<std::string>& known, Which which) {
  std::vector<const kube::Pod*> out;
  for (const StoredPod& stored : view.pods) {
    const kube::Pod& pod = stored.object;
    if (!has_tracking_finalizer(pod) || known.contains(pod.metadata().uid())) continue;
    if (is_indexed(view.job) && !has_valid_index(view.job, pod)) continue;
    if (which(pod)) out.push_back(&pod);
  }
  return out;
}

void count(JobView& view) {
  for (const StoredPod& stored : view.pods) {
    const kube::Pod& pod = stored.object;
    if (kube::is_active(pod)) {
      view.active.push_back(&pod);
      view.ready += kube::is_ready(pod) ? 1 : 0;
    } else if (!kube::is_terminal(pod)) {
      ++view.terminating;
    }
  }
  const auto& uncounted = view.job.status().uncountedterminatedpods();
  view.uncounted_succeeded = set_of(uncounted.succeeded());
  view.uncounted_failed = set_of(uncounted.failed());
}

void look_at_indexes(JobView& view) {
  const Job& job = view.job;
  const int32_t completions = job.spec().completions();
  view.counted_indexes = IndexSet::parse(job.status().completedindexes(), completions);
  std::set<int32_t> succeeded, failed;
  for (const StoredPod& stored : view.pods) {
    const kube::Pod& pod = stored.object;
    if (!has_tracking_finalizer(pod) || !has_valid_index(job, pod)) continue;
    if (pod.status().phase() == "Succeeded") succeeded.insert(completion_index(pod));
    if (!job.spec().has_backofflimitperindex() || !counts_as_failed(pod, job)) continue;
    const FailureVerdict verdict = match_failure_policy(job, pod);
    if (verdict.fails_index || (verdict.counts && index_failures(pod) >= job.spec().backofflimitperindex())) {
      failed.insert(completion_index(pod));
    }
  }
  view.succeeded_indexes = view.counted_indexes;
  view.succeeded_indexes.merge(IndexSet(succeeded));
  view.succeeded = view.succeeded_indexes.size();
  if (!job.spec().has_backofflimitperindex()) return;
  view.failed_indexes = IndexSet::parse(job.status().failedindexes(), completions);
  view.failed_indexes->merge(IndexSet(failed));
}

void find_awaiting_successor(JobView& view) {
  const std::set<int32_t> active = indexes_of(view.active);
  const auto failures = [](const kube::Pod& pod) { return index_failures(pod) + index_ignored_failures(pod); };
  const auto failed = uncounted_pods(view, {}, [&](const kube::Pod& pod) { return counts_as_failed(pod, view.job); });
  for (const kube::Pod* pod : failed) {
    const int32_t index = completion_index(*pod);
    if (view.succeeded_indexes.contains(index) || view.failed_indexes->contains(index) || active.contains(index)) {
      continue;
    }
    const kube::Pod*& last = view.awaiting_successor[index];
    if (last == nullptr || (failures(*last) <= failures(*pod) && ended_at_ns(*pod) >= ended_at_ns(*last))) {
      last = pod;
    }
  }
}

// Restarts of containers in pods that restart them: what backoffLimit counts there.
bool is_past_restarts(const JobView& view) {
  if (view.job.spec().template_().spec().restartpolicy() != "OnFailure") return false;
  int64_t restarts = 0;
  for (const StoredPod& stored : view.pods) {
    const auto& status = stored.object.status();
    if (status.phase() != "Running" && status.phase() != "Pending") continue;
    for (const auto& container : status.initcontainerstatuses()) restarts += container.restartcount();
    for (const auto& container : status.containerstatuses()) restarts += container.restartcount();
  }
  const int32_t limit = view.job.spec().backofflimit();
  return limit == 0 ? restarts > 0 : restarts >= limit;
}

std::optional<std::string> failure_by_policy(const JobView& view) {
  if (!view.job.spec().has_podfailurepolicy()) return std::nullopt;
  for (const StoredPod& stored : view.pods) {
    if (!counts_as_failed(stored.object, view.job)) continue;
    auto verdict = match_failure_policy(view.job, stored.object);
    if (verdict.fails_job) return verdict.fails_job;
  }
  return std::nullopt;
}

// Nanoseconds until the job has been active for too long; nothing when it may be for ever.
std::optional<int64_t> until_deadline_ns(const Job& job, int64_t now_ns) {
  if (!job.spec().has_activedeadlineseconds() || !job.status().has_starttime() || is_suspended(job)) {
    return std::nullopt;
  }
  return (job.status().starttime().seconds() + job.spec().activedeadlineseconds()) * kSecondNs - now_ns;
}

void come_again_after(JobView& view, int64_t after_ns) {
  view.again_after_ns = view.again_after_ns == 0 ? after_ns : std::min(view.again_after_ns, after_ns);
}

void decide_outcome(JobView& view, int64_t now_ns) {
  const Job& job = view.job;
  const int64_t now_s = now_ns / kSecondNs;
  const auto fails = [&](std::string_view reason, std::string_view message) {
    view.outcome = make_condition(kJobFailureTarget, true, reason, message, now_s);
  };
  if (has_condition(job, kJobSuccessCriteriaMet)) {
    view.outcome = *find_condition(job, kJobSuccessCriteriaMet);
    return;
  }
  if (has_condition(job, kJobFailureTarget)) {
    const JobCondition& target = *find_condition(job, kJobFailureTarget);
    view.outcome = make_condition(kJobFailed, true, target.reason(), target.message(), now_s);
    return;
  }
  if (const auto message = failure_by_policy(view)) return fails("PodFailurePolicy", *message);
  if (view.failed > job.spec().backofflimit() || is_past_restarts(view)) {
    return fails("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  if (const auto left = until_deadline_ns(job, now_ns)) {
    if (*left <= 0) return fails("DeadlineExceeded", "Job was active longer than specified deadline");
    come_again_after(view, *left);
  }
  if (!is_indexed(job)) return;
  if (view.failed_indexes) {
    const int64_t failed = view.failed_indexes->size();
    if (job.spec().has_maxfailedindexes() && failed > job.spec().maxfailedindexes()) {
      return fails("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
    }
    if (failed > 0 && failed + view.succeeded >= job.spec().completions()) {
      return fails("FailedIndexes", "Job has failed indexes");
    }
  }
  if (const auto message = match_success_policy(job, view.succeeded_indexes)) {
    view.outcome = make_condition(kJobSuccessCriteriaMet, true, "SuccessPolicy", *message, now_s);
  }
}

int64_t wanted_active(const JobView& view) {
  const auto& spec = view.job.spec();
  const auto active = static_cast<int64_t>(view.active.size());
  // Without completions, the first success says that the work is done: what runs may end, nothing new begins.
  if (!spec.has_completions()) return view.succeeded > 0 ? active : spec.parallelism();
  return std::clamp<int64_t>(spec.completions() - view.succeeded, 0, spec.parallelism());
}

// The indexes whose pods may be made now. Those that have to wait set view.again_after_ns when nothing else can be
// done.
std::vector<int32_t> indexes_to_create(JobView& view, size_t count, int64_t now_ns) {
  IndexSet taken = view.succeeded_indexes;
  taken.merge(IndexSet(indexes_of(view.active)));
  if (replaces_failed_only(view.job)) {
    std::vector<const kube::Pod*> ending;
    for (const StoredPod& stored : view.pods) {
      if (kube::is_terminating(stored.object) && !kube::is_terminal(stored.object)) ending.push_back(&stored.object);
    }
    taken.merge(IndexSet(indexes_of(ending)));
  }
  if (view.failed_indexes) taken.merge(*view.failed_indexes);
  std::vector<int32_t> indexes = taken.lowest_missing(count, view.job.spec().completions());
  if (!view.job.spec().has_backofflimitperindex()) return indexes;
  int64_t least_ns = 0;
  std::erase_if(indexes, [&](int32_t index) {
    const auto found = view.awaiting_successor.find(index);
    if (found == view.awaiting_successor.end()) return false;
    const kube::Pod& last = *found->second;
    const BackoffRecord record{index_failures(last) + index_ignored_failures(last) + 1, ended_at_ns(last)};
    const int64_t left_ns = remaining_ns(record, now_ns);
    if (left_ns > 0) least_ns = least_ns == 0 ? left_ns : std::min(least_ns, left_ns);
    return left_ns > 0;
  });
  if (least_ns > 0) come_again_after(view, least_ns);
  return indexes;
}

}  // namespace

void look(JobView& view, Job job, std::vector<StoredPod> pods, const BackoffRecord& backoff, int64_t now_ns) {
  view.job = std::move(job);
  view.pods = std::move(pods);
  auto& status = *view.job.mutable_status();
  status.mutable_uncountedterminatedpods();
  count(view);
  const auto succeeded = uncounted_pods(view, view.uncounted_succeeded,
                                        [](const kube::Pod& pod) { return pod.status().phase() == "Succeeded"; });
  const auto failed = uncounted_pods(view, view.uncounted_failed,
                                     [&](const kube::Pod& pod) { return counts_as_failed(pod, view.job); });
  view.succeeded = status.succeeded() + static_cast<int64_t>(succeeded.size() + view.uncounted_succeeded.size());
  view.failed = status.failed() + static_cast<int64_t>(view.uncounted_failed.size());
  for (const kube::Pod* pod : failed) view.failed += match_failure_policy(view.job, *pod).counts ? 1 : 0;
  if (!status.has_starttime() && !is_suspended(view.job)) {
    status.mutable_starttime()->set_seconds(now_ns / kSecondNs);
  }
  view.backoff = advance(backoff, succeeded, failed);
  if (is_indexed(view.job)) look_at_indexes(view);
  decide_outcome(view, now_ns);
  if (is_indexed(view.job) && view.failed_indexes) find_awaiting_successor(view);
}

PodChanges change_pods(JobView& view, int64_t now_ns) {
  PodChanges out;
  const auto active = static_cast<int64_t>(view.active.size());
  if (is_suspended(view.job)) {
    out.remove = view.active;
    return out;
  }
  const int64_t wanted = wanted_active(view);
  out.remove = choose_for_removal(view.job, view.active, static_cast<size_t>(std::max<int64_t>(0, active - wanted)));
  if (out.remove.size() > kChangesMax) out.remove.resize(kChangesMax);
  // Removing comes first; what is missing then is made in the next pass.
  if (!out.remove.empty()) return out;

  const int64_t missing = wanted - active - (replaces_failed_only(view.job) ? view.terminating : 0);
  if (missing <= 0) return out;
  if (!view.job.spec().has_backofflimitperindex()) {
    const int64_t left_ns = remaining_ns(view.backoff, now_ns);
    if (left_ns > 0) {
      come_again_after(view, left_ns);
      return out;
    }
  }
  out.create = static_cast<int32_t>(std::min<int64_t>(missing, kChangesMax));
  if (!is_indexed(view.job)) return out;
  out.indexes = indexes_to_create(view, static_cast<size_t>(out.create), now_ns);
  out.create = static_cast<int32_t>(out.indexes.size());
  return out;
}

void note_success(JobView& view, int64_t now_ns) {
  const auto& spec = view.job.spec();
  const int64_t needed = spec.has_completions() ? spec.completions() : 1;
  if (view.succeeded < needed || view.job.status().active() > 0) return;
  view.outcome = make_condition(kJobSuccessCriteriaMet, true, "CompletionsReached",
                                "Reached expected number of succeeded pods", now_ns / kSecondNs);
}

Suspension note_suspension(JobView& view, int64_t now_ns) {
  auto& status = *view.job.mutable_status();
  const int64_t now_s = now_ns / kSecondNs;
  if (is_suspended(view.job)) {
    const bool changed =
        ensure_condition(status, make_condition(kJobSuspended, true, "JobSuspended", "Job suspended", now_s));
    return changed ? Suspension::kSuspended : Suspension::kNoChange;
  }
  if (!ensure_condition(status, make_condition(kJobSuspended, false, "JobResumed", "Job resumed", now_s))) {
    return Suspension::kNoChange;
  }
  status.mutable_starttime()->set_seconds(now_s);
  return Suspension::kResumed;
}

kube::Pod new_pod(const JobView& view, int32_t index) {
  const Job& job = view.job;
  kube::Pod pod = pod_from_template(job.spec().template_(), job.metadata().namespace_(), controller_reference(job));
  if (!has_tracking_finalizer(pod)) pod.mutable_metadata()->add_finalizers(kTrackingFinalizer);
  if (index == kNoIndex) {
    name_after(pod, job.metadata().name());
    return pod;
  }
  const auto replaced = view.awaiting_successor.find(index);
  give_index(pod, job, index, replaced == view.awaiting_successor.end() ? nullptr : replaced->second);
  return pod;
}

std::vector<const kube::Pod*> choose_for_removal(const Job& job, const std::vector<const kube::Pod*>& active,
                                                 size_t least) {
  const auto goes_first = [](const kube::Pod* a, const kube::Pod* b) {
    return deletion_key(*a, 0, 0) < deletion_key(*b, 0, 0);
  };
  std::vector<const kube::Pod*> remove, left;
  if (is_indexed(job)) {
    std::map<int32_t, std::vector<const kube::Pod*>> by_index;
    for (const kube::Pod* pod : active) {
      (has_valid_index(job, *pod) ? by_index[completion_index(*pod)] : remove).push_back(pod);
    }
    for (auto& [index, pods] : by_index) {
      std::sort(pods.begin(), pods.end(), goes_first);
      remove.insert(remove.end(), pods.begin(), pods.end() - 1);
      left.push_back(pods.back());
    }
  } else {
    left = active;
  }
  if (remove.size() < least) {
    std::sort(left.begin(), left.end(), goes_first);
    remove.insert(remove.end(), left.begin(), left.begin() + static_cast<ptrdiff_t>(least - remove.size()));
  }
  return remove;
}

}  // namespace orlop::workload
