#include "plugins/controllers-workload/job/job.hpp"

#include "plugins/controllers-workload/job/counting.hpp"
#include "plugins/controllers-workload/job/tracking.hpp"
#include "plugins/controllers-workload/ownership.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kLookAgainMaxNs = 60'000'000'000;  // so that a wall clock that was set is noticed

bool is_namespace_going(const Status& status) {
  const auto& causes = status.causes();
  return std::any_of(causes.begin(), causes.end(),
                     [](const Cause& cause) { return cause.reason == "NamespaceTerminating"; });
}

}  // namespace

JobController::JobController(Host host, unsigned workers)
    : host_(host), workers_(workers), events_(host, "job-controller"), jobs_(host), pods_(host) {}

void JobController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  if (change.record.kind == "jobs.batch") {
    const std::string name(change.record.name);
    Job job;
    const bool is_gone = change.type == ChangeType::kDeleted ||
                         !job.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()));
    if (is_gone || finished_condition(job) != nullptr) {
      unfinished_[name_space].erase(name);
    } else {
      unfinished_[name_space].insert(name);
    }
    queue.add({name_space, name});
    return;
  }
  const bool controlled = enqueue_controllers<kube::Pod>(change, "Job", queue);
  if (controlled || change.type == ChangeType::kDeleted) return;
  // Nobody's pod: whichever job selects it may adopt it.
  for (const std::string& name : unfinished_[name_space]) queue.add({name_space, name});
}

Result<Outcome> JobController::reconcile(const ObjectKey& key) {
  auto stored = jobs_.get(key.name_space, key.name);
  if (!stored) {
    if (stored.code() != Code::kNotFound) return stored.status();
    forget_backoff(key);
    return Outcome{};
  }
  const Job& job = stored->object;
  if (finished_condition(job) != nullptr || is_managed_elsewhere(job)) {
    forget_backoff(key);
    return Outcome{};
  }
  const std::string& mode = job.spec().completionmode();
  if (!mode.empty() && mode != "NonIndexed" && mode != "Indexed") {
    events_.about(job, EventType::kWarning, "UnknownCompletionMode",
                  "Skipped Job sync because completion mode is unknown");
    return Outcome{};
  }
  const auto& metadata = job.metadata();
  PodOwner owner{metadata.namespace_(), controller_reference(job), &job.spec().selector(),
                 metadata.has_deletiontimestamp()};
  owner.finalizer = kTrackingFinalizer;
  ORLOP_ASSIGN(auto pods, claim_pods(pods_, owner));
  const int64_t now_ns = host_.wall_now_ns();
  JobView view;
  look(view, job, std::move(pods), backoff_of(key, metadata.uid()), now_ns);
  const Status changed = change(view, now_ns);
  ORLOP_TRY(track(key, *stored, view, now_ns));
  ORLOP_TRY(changed);
  return Outcome{std::min(view.again_after_ns, kLookAgainMaxNs)};
}

Status JobController::change(JobView& view, int64_t now_ns) {
  auto active = static_cast<int32_t>(view.active.size());
  Removed removed;
  Status created;
  const bool deleting = view.job.metadata().has_deletiontimestamp();
  const bool goes_on = !view.outcome;
  if (!goes_on) {
    removed = remove(view.job, view.active, false);
    // What could not be removed still has to be counted.
    if (removed.pods != active) view.outcome.reset();
  } else if (!deleting) {
    const PodChanges changes = change_pods(view, now_ns);
    removed = remove(view.job, changes.remove, true);
    int32_t made = 0;
    created = create(view, changes, made);
    active += made;
  }
  auto& status = *view.job.mutable_status();
  status.set_active(active - removed.pods);
  status.set_ready(view.ready - removed.ready);
  status.set_terminating(view.terminating + removed.pods);
  if (goes_on) {
    note_success(view, now_ns);
    if (!view.outcome && !deleting) tell_suspension(view, note_suspension(view, now_ns));
  }
  return removed.status ? created : removed.status;
}

JobController::Removed JobController::remove(const Job& job, const std::vector<const kube::Pod*>& pods,
                                             bool uncounted) {
  Removed out;
  for (const kube::Pod* pod : pods) {
    const Status removed = remove_one(job, *pod, uncounted);
    if (!removed) {
      if (out.status) out.status = removed;
      continue;
    }
    ++out.pods;
    out.ready += kube::is_ready(*pod) ? 1 : 0;
  }
  return out;
}

Status JobController::remove_one(const Job& job, const kube::Pod& pod, bool uncounted) {
  const auto& metadata = pod.metadata();
  if (uncounted) ORLOP_TRY(release_active(pod));
  const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
  if (removed) {
    events_.about(job, EventType::kNormal, "SuccessfulDelete", "Deleted pod: " + metadata.name());
    return removed;
  }
  if (removed.code() == Code::kNotFound) return Status::ok();
  if (removed.code() != Code::kConflict) {
    events_.about(job, EventType::kWarning, "FailedDelete", "Error deleting: " + removed.message());
  }
  return removed;
}

// Not when it has ended by now: then it counts.
Status JobController::release_active(const kube::Pod& pod) {
  auto stored = pods_.get(pod.metadata().namespace_(), pod.metadata().name());
  if (!stored) return stored.code() == Code::kNotFound ? Status::ok() : stored.status();
  if (stored->object.metadata().uid() != pod.metadata().uid() || !kube::is_active(stored->object)) {
    return {Code::kConflict, "pod \"" + pod.metadata().name() + "\" has changed"};
  }
  return remove_tracking_finalizer(stored->object) ? pods_.update(*stored).status() : Status::ok();
}

Status JobController::create(const JobView& view, const PodChanges& changes, int32_t& created) {
  std::vector<kube::Pod> pods;
  for (int32_t i = 0; i < changes.create; ++i) {
    pods.push_back(new_pod(view, changes.indexes.empty() ? kNoIndex : changes.indexes[static_cast<size_t>(i)]));
  }
  const Status status = create_pods(host_, pods, [&](const std::string& name) {
    ++created;
    events_.about(view.job, EventType::kNormal, "SuccessfulCreate", "Created pod: " + name);
  });
  // In a namespace that goes away, nothing can be made and nobody needs to be told.
  if (is_namespace_going(status)) return Status::ok();
  if (!status && status.code() != Code::kConflict) {
    events_.about(view.job, EventType::kWarning, "FailedCreate", "Error creating: " + status.message());
  }
  return status;
}

void JobController::tell_suspension(const JobView& view, Suspension suspension) {
  if (suspension == Suspension::kSuspended) {
    events_.about(view.job, EventType::kNormal, "Suspended", "Job suspended");
  } else if (suspension == Suspension::kResumed) {
    events_.about(view.job, EventType::kNormal, "Resumed", "Job resumed");
  }
}

Status JobController::track(const ObjectKey& key, Stored<Job>& stored, JobView& view, int64_t now_ns) {
  const Ended ended = collect_ended(view, now_ns);
  ORLOP_ASSIGN(const bool written, flush(stored, view));
  if (written) keep_backoff(key, view.job.metadata().uid(), view.backoff);

  const Released released = release_pods(pods_, ended.release);
  std::set<std::string> with_finalizer;
  for (const StoredPod& pod : view.pods) {
    const std::string& uid = pod.object.metadata().uid();
    if (has_tracking_finalizer(pod.object) && !released.uids.contains(uid)) with_finalizer.insert(uid);
  }
  count_released(*view.job.mutable_status(), with_finalizer);
  const bool finished = released.status && ended.is_all && finish(view, now_ns);
  ORLOP_TRY(flush(stored, view).status());
  if (finished) tell_finished(view.job, *view.outcome);
  return released.status;
}

Result<bool> JobController::flush(Stored<Job>& stored, const JobView& view) {
  if (stored.object.status().SerializeAsString() == view.job.status().SerializeAsString()) return false;
  *stored.object.mutable_status() = view.job.status();
  ORLOP_ASSIGN(stored, jobs_.update_status(stored));
  return true;
}

void JobController::tell_finished(const Job& job, const JobCondition& outcome) {
  if (outcome.type() != kJobComplete) {
    events_.about(job, EventType::kWarning, outcome.reason(), outcome.message());
    return;
  }
  if (job.spec().has_completions() && job.status().succeeded() > job.spec().completions()) {
    events_.about(job, EventType::kWarning, "TooManySucceededPods",
                  "Too many succeeded pods running after completion count reached");
  }
  events_.about(job, EventType::kNormal, "Completed", "Job completed");
}

BackoffRecord JobController::backoff_of(const ObjectKey& key, const std::string& job_uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = backoff_.find(key);
  return found != backoff_.end() && found->second.job_uid == job_uid ? found->second.record : BackoffRecord{};
}

void JobController::keep_backoff(const ObjectKey& key, const std::string& job_uid, const BackoffRecord& record) {
  const std::lock_guard lock(mutex_);
  if (record.failures == 0) {
    backoff_.erase(key);
  } else {
    backoff_[key] = {job_uid, record};
  }
}

void JobController::forget_backoff(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  backoff_.erase(key);
}

}  // namespace orlop::workload
