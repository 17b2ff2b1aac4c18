#include "plugins/controllers-workload/deployment/status.hpp"

#include <algorithm>
#include <string>

namespace orlop::workload {
namespace {

using DeploymentCondition = k8s::io::api::apps::v1::DeploymentCondition;
using DeploymentStatus = k8s::io::api::apps::v1::DeploymentStatus;

// Upstream's word for "no deadline": the largest int32.
constexpr int32_t kNoDeadline = 2147483647;
constexpr char kCreateFailed[] = "ReplicaSetCreateError";

DeploymentCondition* find(DeploymentStatus& status, std::string_view type) {
  for (DeploymentCondition& condition : *status.mutable_conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

void set_condition(DeploymentStatus& status, std::string_view type, bool value, std::string_view reason,
                   std::string_view message, int64_t now_s, bool touch) {
  DeploymentCondition* condition = find(status, type);
  const std::string truth = value ? "True" : "False";
  if (condition == nullptr) {
    condition = status.add_conditions();
    condition->set_type(std::string(type));
  }
  const bool same = condition->status() == truth && condition->reason() == reason;
  if (!same || touch) condition->mutable_lastupdatetime()->set_seconds(now_s);
  if (condition->status() != truth) condition->mutable_lasttransitiontime()->set_seconds(now_s);
  condition->set_status(truth);
  condition->set_reason(std::string(reason));
  condition->set_message(std::string(message));
}

// What keeps a set from making its pods stands in the Deployment, too: the newest set's reason before the others'.
void copy_failure(DeploymentStatus& status, const ReplicaSet* newest, const std::vector<const ReplicaSet*>& all,
                  int64_t now_s) {
  std::vector<const ReplicaSet*> sets(all);
  if (newest != nullptr) sets.insert(sets.begin(), newest);
  for (const ReplicaSet* set : sets) {
    for (const auto& condition : set->status().conditions()) {
      if (condition.type() != "ReplicaFailure") continue;
      set_condition(status, "ReplicaFailure", condition.status() == "True", condition.reason(), condition.message(),
                    now_s, false);
      return;
    }
  }
  auto* conditions = status.mutable_conditions();
  for (int i = conditions->size() - 1; i >= 0; --i) {
    if (conditions->Get(i).type() == "ReplicaFailure") conditions->DeleteSubrange(i, 1);
  }
}

bool made_progress(const DeploymentStatus& before, const DeploymentStatus& after) {
  const int32_t old_before = before.replicas() - before.updatedreplicas();
  const int32_t old_after = after.replicas() - after.updatedreplicas();
  return after.updatedreplicas() > before.updatedreplicas() || old_after < old_before ||
         after.readyreplicas() > before.readyreplicas() || after.availablereplicas() > before.availablereplicas();
}

}  // namespace

bool is_complete(const Deployment& deployment, const DeploymentStatus& status) {
  const int32_t wanted = deployment.spec().replicas();
  return status.updatedreplicas() == wanted && status.replicas() == wanted && status.availablereplicas() == wanted &&
         status.observedgeneration() >= deployment.metadata().generation();
}

void note_create_failure(Deployment& deployment, const std::string& message, int64_t now_s) {
  if (deployment.spec().progressdeadlineseconds() == kNoDeadline) return;
  set_condition(*deployment.mutable_status(), "Progressing", false, kCreateFailed, message, now_s, false);
}

int64_t fill_status(Deployment& deployment, const ReplicaSet* newest, const std::vector<const ReplicaSet*>& all,
                    int64_t now_s) {
  const DeploymentStatus before = deployment.status();
  DeploymentStatus& status = *deployment.mutable_status();
  int32_t replicas = 0, ready = 0, available = 0, wanted_by_sets = 0;
  for (const ReplicaSet* set : all) {
    replicas += set->status().replicas();
    ready += set->status().readyreplicas();
    available += set->status().availablereplicas();
    wanted_by_sets += set->spec().replicas();
  }
  status.set_observedgeneration(deployment.metadata().generation());
  status.set_replicas(replicas);
  status.set_updatedreplicas(newest != nullptr ? newest->status().replicas() : 0);
  status.set_readyreplicas(ready);
  status.set_availablereplicas(available);
  status.set_unavailablereplicas(std::max(0, wanted_by_sets - available));

  const Limits limits = limits_of(deployment);
  const bool enough = available >= limits.replicas - limits.max_unavailable;
  set_condition(status, "Available", enough, enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
                now_s, false);
  copy_failure(status, newest, all, now_s);

  const int32_t deadline_s = deployment.spec().progressdeadlineseconds();
  if (deadline_s == kNoDeadline || deadline_s == 0) return 0;
  const std::string set_name = newest != nullptr ? newest->metadata().name() : std::string();
  const DeploymentCondition* progressing = find(status, "Progressing");
  const bool was_complete = progressing != nullptr && progressing->reason() == "NewReplicaSetAvailable";
  const bool same_sets = before.updatedreplicas() == before.replicas() && status.updatedreplicas() == status.replicas();
  if (deployment.spec().paused()) {
    if (progressing == nullptr || progressing->reason() != "DeploymentPaused") {
      set_condition(status, "Progressing", false, "DeploymentPaused", "Deployment is paused", now_s, true);
      find(status, "Progressing")->set_status("Unknown");
    }
    return 0;
  }
  if (progressing != nullptr && progressing->reason() == "DeploymentPaused") {
    set_condition(status, "Progressing", false, "DeploymentResumed", "Deployment is resumed", now_s, true);
    find(status, "Progressing")->set_status("Unknown");
    return deadline_s;
  }
  if (is_complete(deployment, status)) {
    set_condition(status, "Progressing", true, "NewReplicaSetAvailable",
                  set_name.empty() ? "Deployment \"" + deployment.metadata().name() + "\" has successfully progressed."
                                   : "ReplicaSet \"" + set_name + "\" has successfully progressed.",
                  now_s, false);
    return 0;
  }
  // The last word was of another version, or of none: the time starts anew.
  if (newest != nullptr && progressing != nullptr && progressing->reason() != "DeploymentResumed" &&
      (progressing->reason() == kCreateFailed ||
       progressing->message().find('"' + set_name + '"') == std::string::npos)) {
    const bool is_old = newest->metadata().annotations().contains(kRevisionHistoryAnnotation);
    set_condition(status, "Progressing", true, is_old ? "FoundNewReplicaSet" : "NewReplicaSetCreated",
                  std::string(is_old ? "Found" : "Created") + " new replica set \"" + set_name + "\"", now_s, true);
    return deadline_s;
  }
  // A finished rollout whose pods come and go is no new rollout: its Progressing stays as it is.
  if (was_complete && same_sets && newest != nullptr) return 0;
  if (progressing == nullptr) {
    set_condition(status, "Progressing", true, "NewReplicaSetCreated", "Created new replica set \"" + set_name + "\"",
                  now_s, true);
    return deadline_s;
  }
  if (was_complete || made_progress(before, status)) {
    set_condition(status, "Progressing", true, "ReplicaSetUpdated", "ReplicaSet \"" + set_name + "\" is progressing.",
                  now_s, true);
    return deadline_s;
  }
  const int64_t late_at_s = progressing->lastupdatetime().seconds() + deadline_s;
  if (now_s < late_at_s) return late_at_s - now_s;
  set_condition(status, "Progressing", false, "ProgressDeadlineExceeded",
                "ReplicaSet \"" + set_name + "\" has timed out progressing.", now_s, false);
  return 0;
}

}  // namespace orlop::workload
