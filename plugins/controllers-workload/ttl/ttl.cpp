#include "plugins/controllers-workload/ttl/ttl.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kLookAgainMaxNs = 60 * kSecondNs;  // so that a wall clock that was set is noticed

}  // namespace

std::optional<int64_t> expires_at_s(const Job& job) {
  const JobCondition* finished = finished_condition(job);
  if (finished == nullptr || !job.spec().has_ttlsecondsafterfinished() || job.metadata().has_deletiontimestamp()) {
    return std::nullopt;
  }
  return finished->lasttransitiontime().seconds() + job.spec().ttlsecondsafterfinished();
}

void TtlAfterFinishedController::observe(const ChangeView& change, KeyQueue& queue) {
  Job job;
  if (change.type == ChangeType::kDeleted ||
      !job.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) {
    return;
  }
  if (expires_at_s(job)) queue.add({std::string(change.record.name_space), std::string(change.record.name)});
}

Result<Outcome> TtlAfterFinishedController::reconcile(const ObjectKey& key) {
  const auto job = jobs_.get(key.name_space, key.name);
  if (!job) return job.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(job.status());
  const auto expires_s = expires_at_s(job->object);
  if (!expires_s) return Outcome{};
  const int64_t left_ns = *expires_s * kSecondNs - host_.wall_now_ns();
  if (left_ns > 0) return Outcome{std::min(left_ns, kLookAgainMaxNs)};

  // Only while it is as it was read: its time to live may have been prolonged.
  v1::CommitRequest request;
  auto write = make_write<Job>(v1::DELETE, key.name_space, key.name);
  write.set_if_uid(job->object.metadata().uid());
  write.set_if_revision(job->revision);
  write.mutable_delete_options()->set_propagation_policy("Foreground");
  *request.add_writes() = std::move(write);
  const Status removed = host_.commit_wait(request).status();
  if (!removed && removed.code() != Code::kNotFound) return removed;
  return Outcome{};
}

}  // namespace orlop::workload
