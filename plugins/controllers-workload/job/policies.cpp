#include "plugins/controllers-workload/job/policies.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

namespace batchv1 = k8s::io::api::batch::v1;
using ContainerStatus = k8s::io::api::core::v1::ContainerStatus;
using ContainerStatuses = google::protobuf::RepeatedPtrField<ContainerStatus>;

const ContainerStatus* failed_container(const ContainerStatuses& statuses,
                                        const batchv1::PodFailurePolicyOnExitCodesRequirement& wanted) {
  for (const ContainerStatus& status : statuses) {
    if (!status.state().has_terminated()) continue;
    if (wanted.has_containername() && wanted.containername() != status.name()) continue;
    const int32_t code = status.state().terminated().exitcode();
    if (code == 0) continue;
    const bool listed = std::find(wanted.values().begin(), wanted.values().end(), code) != wanted.values().end();
    if ((wanted.operator_() == "In" && listed) || (wanted.operator_() == "NotIn" && !listed)) return &status;
  }
  return nullptr;
}

const kube::PodCondition* matching_condition(const kube::Pod& pod, const batchv1::PodFailurePolicyRule& rule) {
  for (const auto& condition : pod.status().conditions()) {
    for (const auto& pattern : rule.onpodconditions()) {
      if (condition.type() == pattern.type() && condition.status() == pattern.status()) return &condition;
    }
  }
  return nullptr;
}

// Why the pod matches the rule, as far as before "matching"; nothing when it does not.
std::optional<std::string> match(const batchv1::PodFailurePolicyRule& rule, const kube::Pod& pod) {
  const std::string name = pod.metadata().namespace_() + "/" + pod.metadata().name();
  if (rule.has_onexitcodes()) {
    const ContainerStatus* container = failed_container(pod.status().containerstatuses(), rule.onexitcodes());
    if (container == nullptr) {
      container = failed_container(pod.status().initcontainerstatuses(), rule.onexitcodes());
    }
    if (container == nullptr) return std::nullopt;
    return "Container " + container->name() + " for pod " + name + " failed with exit code " +
           std::to_string(container->state().terminated().exitcode());
  }
  const kube::PodCondition* condition = matching_condition(pod, rule);
  if (condition == nullptr) return std::nullopt;
  return "Pod " + name + " has condition " + condition->type();
}

}  // namespace

FailureVerdict match_failure_policy(const Job& job, const kube::Pod& failed) {
  const auto& rules = job.spec().podfailurepolicy().rules();
  for (int i = 0; i < rules.size(); ++i) {
    const batchv1::PodFailurePolicyRule& rule = rules.Get(i);
    const auto reason = match(rule, failed);
    if (!reason) continue;
    FailureVerdict verdict;
    if (rule.action() == "Ignore") {
      verdict.counts = false;
    } else if (rule.action() == "FailIndex") {
      verdict.fails_index = true;
    } else if (rule.action() == "FailJob") {
      verdict.fails_job = *reason + " matching FailJob rule at index " + std::to_string(i);
    } else if (rule.action() != "Count") {
      continue;
    }
    return verdict;
  }
  return {};
}

std::optional<std::string> match_success_policy(const Job& job, const IndexSet& succeeded) {
  if (!job.spec().has_successpolicy() || succeeded.empty()) return std::nullopt;
  const auto& rules = job.spec().successpolicy().rules();
  for (int i = 0; i < rules.size(); ++i) {
    const batchv1::SuccessPolicyRule& rule = rules.Get(i);
    bool met = false;
    if (rule.has_succeededindexes()) {
      const IndexSet wanted = IndexSet::parse(rule.succeededindexes(), job.spec().completions());
      if (wanted.empty()) continue;
      const int64_t both = wanted.overlap(succeeded);
      met = both == wanted.size() || (rule.has_succeededcount() && both >= rule.succeededcount());
    } else {
      met = rule.has_succeededcount() && succeeded.size() >= rule.succeededcount();
    }
    if (met) return "Matched rules at index " + std::to_string(i);
  }
  return std::nullopt;
}

}  // namespace orlop::workload
