#include "plugins/controllers-workload/disruption/stale_targets.hpp"

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kStaleSeconds = 120;

bool is_target(const kube::Pod& pod) {
  if (!kube::is_active(pod)) return false;
  const kube::PodCondition* condition = kube::find_condition(pod, "DisruptionTarget");
  return condition != nullptr && condition->status() == "True" && condition->reason() != "TerminationByKubelet";
}

}  // namespace

void StaleTargets::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.type == ChangeType::kDeleted) return;
  // Nearly no pod has the condition, and its name is found faster than the pod is decoded.
  if (change.record.value.find("DisruptionTarget") == std::string_view::npos) return;
  kube::Pod pod;
  if (!pod.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) return;
  if (is_target(pod)) queue.add({std::string(change.record.name_space), std::string(change.record.name)});
}

Result<Outcome> StaleTargets::reconcile(const ObjectKey& key) {
  auto pod = pods_.get(key.name_space, key.name);
  if (pod.code() == Code::kNotFound) return Outcome{};
  if (!pod) return pod.status();
  if (!is_target(pod->object)) return Outcome{};
  const int64_t now_ns = host_.wall_now_ns();
  for (auto& condition : *pod->object.mutable_status()->mutable_conditions()) {
    if (condition.type() != "DisruptionTarget") continue;
    const int64_t left_ns = (condition.lasttransitiontime().seconds() + kStaleSeconds) * kSecondNs - now_ns;
    if (left_ns > 0) return Outcome{left_ns};
    condition.set_status("False");
    condition.clear_reason();
    condition.clear_message();
    condition.mutable_lasttransitiontime()->set_seconds(now_ns / kSecondNs);
  }
  const Status written = pods_.update_status(*pod).status();
  if (!written && written.code() != Code::kNotFound) return written;
  return Outcome{};
}

}  // namespace orlop::workload
