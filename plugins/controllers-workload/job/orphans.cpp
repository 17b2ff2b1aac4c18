#include "plugins/controllers-workload/job/orphans.hpp"

#include "plugins/controllers-workload/job/tracking.hpp"

namespace orlop::workload {
namespace {

template <typename T>
bool read(std::string_view bytes, T& object) {
  return !bytes.empty() && object.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

JobOrphanController::JobOrphanController(Host host) : jobs_(host), pods_(host) {}

void JobOrphanController::reset() {
  unfinished_.clear();
  tracked_.clear();
}

void JobOrphanController::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.record.kind == "jobs.batch") {
    observe_job(change, queue);
  } else {
    observe_pod(change, queue);
  }
}

void JobOrphanController::observe_job(const ChangeView& change, KeyQueue& queue) {
  Job job, previous;
  const bool exists = change.type != ChangeType::kDeleted && read(change.record.value, job);
  const bool existed = read(change.previous_value, previous);
  // One job may have taken the place of another within what was missed.
  const auto is_over = [&](const std::string& uid) {
    unfinished_.erase(uid);
    const auto found = tracked_.find(uid);
    if (found == tracked_.end()) return;
    for (const ObjectKey& pod : found->second) queue.add(pod);
  };
  if (existed && (!exists || previous.metadata().uid() != job.metadata().uid())) is_over(previous.metadata().uid());
  if (!exists) return;
  if (finished_condition(job) != nullptr) {
    is_over(job.metadata().uid());
  } else {
    unfinished_.insert(job.metadata().uid());
  }
}

void JobOrphanController::observe_pod(const ChangeView& change, KeyQueue& queue) {
  const ObjectKey key{std::string(change.record.name_space), std::string(change.record.name)};
  kube::Pod pod, previous;
  const auto job_of = [](const kube::Pod& of) {
    const auto* controller = kube::controller_of(of.metadata());
    return controller == nullptr ? std::string() : controller->uid();
  };
  if (read(change.previous_value, previous)) {
    const auto found = tracked_.find(job_of(previous));
    if (found != tracked_.end()) {
      found->second.erase(key);
      if (found->second.empty()) tracked_.erase(found);
    }
  }
  if (change.type == ChangeType::kDeleted || !read(change.record.value, pod) || !has_tracking_finalizer(pod)) return;
  const std::string job = job_of(pod);
  tracked_[job].insert(key);
  if (!unfinished_.contains(job)) queue.add(key);
}

Result<Outcome> JobOrphanController::reconcile(const ObjectKey& key) {
  const auto pod = pods_.get(key.name_space, key.name);
  if (!pod) return pod.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(pod.status());
  if (!has_tracking_finalizer(pod->object)) return Outcome{};
  ORLOP_ASSIGN(const bool looked_after, is_looked_after(pod->object));
  if (looked_after) return Outcome{};
  ORLOP_TRY(release_pods(pods_, {&pod->object}).status);
  return Outcome{};
}

Result<bool> JobOrphanController::is_looked_after(const kube::Pod& pod) const {
  const auto* controller = kube::controller_of(pod.metadata());
  if (controller == nullptr) return false;
  // Somebody else's pod: so is the finalizer.
  if (controller->kind() != "Job" || controller->apiversion() != "batch/v1") return true;
  const auto job = jobs_.get(pod.metadata().namespace_(), controller->name());
  if (!job) return job.code() == Code::kNotFound ? Result<bool>(false) : Result<bool>(job.status());
  if (job->object.metadata().uid() != controller->uid()) return false;
  return is_managed_elsewhere(job->object) || finished_condition(job->object) == nullptr;
}

}  // namespace orlop::workload
