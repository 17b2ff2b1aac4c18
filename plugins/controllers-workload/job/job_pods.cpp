#include "plugins/controllers-workload/job/job_pods.hpp"

#include "plugins/controllers-workload/job/policies.hpp"
#include "plugins/controllers-workload/owned_pods.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace orlop::workload {
namespace {

constexpr char kIndexKey[] = "batch.kubernetes.io/job-completion-index";
constexpr char kFailureCountKey[] = "batch.kubernetes.io/job-index-failure-count";
constexpr char kIgnoredFailureCountKey[] = "batch.kubernetes.io/job-index-ignored-failure-count";
constexpr char kIndexVariable[] = "JOB_COMPLETION_INDEX";
constexpr size_t kNamePrefixMax = 58;  // of 63, five are the generated suffix
constexpr int64_t kSecondNs = 1'000'000'000;

std::optional<int32_t> number_in(const kube::Pod& pod, const char* key) {
  const auto found = pod.metadata().annotations().find(key);
  if (found == pod.metadata().annotations().end()) return std::nullopt;
  const std::string& text = found->second;
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

template <typename Time>
int64_t nanoseconds(const Time& time) {
  return time.seconds() * kSecondNs + time.nanos();
}

std::optional<int64_t> last_container_end_ns(const kube::Pod& pod) {
  std::optional<int64_t> last;
  for (const auto& status : pod.status().containerstatuses()) {
    if (!status.state().has_terminated() || !status.state().terminated().has_finishedat()) return std::nullopt;
    const int64_t ended = nanoseconds(status.state().terminated().finishedat());
    last = std::max(last.value_or(ended), ended);
  }
  return last;
}

void add_index_variable(k8s::io::api::core::v1::Container& container) {
  for (const auto& variable : container.env()) {
    if (variable.name() == kIndexVariable) return;
  }
  auto& variable = *container.add_env();
  variable.set_name(kIndexVariable);
  variable.mutable_valuefrom()->mutable_fieldref()->set_fieldpath(std::string("metadata.labels['") + kIndexKey + "']");
}

}  // namespace

bool is_managed_elsewhere(const Job& job) {
  return job.spec().has_managedby() && job.spec().managedby() != "kubernetes.io/job-controller";
}

bool has_tracking_finalizer(const kube::Pod& pod) {
  const auto& finalizers = pod.metadata().finalizers();
  return std::find(finalizers.begin(), finalizers.end(), kTrackingFinalizer) != finalizers.end();
}

bool remove_tracking_finalizer(kube::Pod& pod) {
  auto* finalizers = pod.mutable_metadata()->mutable_finalizers();
  const auto kept = std::remove(finalizers->begin(), finalizers->end(), kTrackingFinalizer);
  const bool had = kept != finalizers->end();
  finalizers->erase(kept, finalizers->end());
  return had;
}

int32_t completion_index(const kube::Pod& pod) {
  return number_in(pod, kIndexKey).value_or(kNoIndex);
}
bool has_valid_index(const Job& job, const kube::Pod& pod) {
  const int32_t index = completion_index(pod);
  return index != kNoIndex && index < job.spec().completions();
}
int32_t index_failures(const kube::Pod& pod) {
  return number_in(pod, kFailureCountKey).value_or(0);
}
int32_t index_ignored_failures(const kube::Pod& pod) {
  return number_in(pod, kIgnoredFailureCountKey).value_or(0);
}

bool counts_as_failed(const kube::Pod& pod, const Job& job) {
  if (pod.status().phase() == "Failed") return true;
  if (replaces_failed_only(job)) return false;
  return kube::is_terminating(pod) && pod.status().phase() != "Succeeded";
}

int64_t ended_at_ns(const kube::Pod& pod) {
  if (const auto ended = last_container_end_ns(pod)) return *ended;
  const auto* ready = kube::find_condition(pod, "Ready");
  if (ready != nullptr && ready->status() == "False" && ready->has_lasttransitiontime()) {
    return nanoseconds(ready->lasttransitiontime());
  }
  if (kube::is_terminating(pod)) {
    return nanoseconds(pod.metadata().deletiontimestamp()) - pod.metadata().deletiongraceperiodseconds() * kSecondNs;
  }
  return nanoseconds(pod.metadata().creationtimestamp());
}

void give_index(kube::Pod& pod, const Job& job, int32_t index, const kube::Pod* replaced) {
  const std::string number = std::to_string(index);
  const std::string suffix = "-" + number + "-";
  // The dash at the end is name_after()'s.
  const std::string prefix = job.metadata().name().substr(0, kNamePrefixMax - suffix.size());
  name_after(pod, prefix + "-" + number);
  auto& annotations = *pod.mutable_metadata()->mutable_annotations();
  annotations[kIndexKey] = number;
  (*pod.mutable_metadata()->mutable_labels())[kIndexKey] = number;
  pod.mutable_spec()->set_hostname(job.metadata().name() + "-" + number);
  for (auto& container : *pod.mutable_spec()->mutable_initcontainers()) add_index_variable(container);
  for (auto& container : *pod.mutable_spec()->mutable_containers()) add_index_variable(container);
  if (!job.spec().has_backofflimitperindex()) return;
  int32_t failures = 0, ignored = 0;
  if (replaced != nullptr) {
    failures = index_failures(*replaced);
    ignored = index_ignored_failures(*replaced);
    ++(match_failure_policy(job, *replaced).counts ? failures : ignored);
  }
  annotations[kFailureCountKey] = std::to_string(failures);
  if (ignored > 0) annotations[kIgnoredFailureCountKey] = std::to_string(ignored);
}

}  // namespace orlop::workload
