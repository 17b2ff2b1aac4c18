#include "plugins/controllers-workload/deployment/history.hpp"

#include <charconv>
#include <string>

namespace orlop::workload {
namespace {

constexpr char kLastAppliedAnnotation[] = "kubectl.kubernetes.io/last-applied-configuration";

constexpr size_t kHistoryTextMost = 2000;

// Which annotations of a Deployment say something of itself and not of its version.
bool is_copied(const std::string& name) {
  return name != kLastAppliedAnnotation && name != kRevisionAnnotation && name != kRevisionHistoryAnnotation &&
         name != kDesiredReplicasAnnotation && name != kMaxReplicasAnnotation;
}

bool set_annotation(ReplicaSet& set, const std::string& name, const std::string& value) {
  auto& slot = (*set.mutable_metadata()->mutable_annotations())[name];
  if (slot == value) return false;
  slot = value;
  return true;
}

}  // namespace

int64_t number_annotation(const kube::ObjectMeta& metadata, const char* name) {
  const auto found = metadata.annotations().find(name);
  int64_t number = 0;
  if (found != metadata.annotations().end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  }
  return number;
}

kube::OwnerReference owner_reference(const Deployment& deployment) {
  kube::OwnerReference owner;
  owner.set_apiversion("apps/v1");
  owner.set_kind("Deployment");
  owner.set_name(deployment.metadata().name());
  owner.set_uid(deployment.metadata().uid());
  owner.set_controller(true);
  owner.set_blockownerdeletion(true);
  return owner;
}

ReplicaSet new_replica_set(const Deployment& deployment, int32_t replicas, const Limits& limits, int64_t revision) {
  const std::string hash = template_hash(deployment.spec().template_(), deployment.status().collisioncount());
  ReplicaSet set;
  auto& metadata = *set.mutable_metadata();
  metadata.set_name(deployment.metadata().name().substr(0, 242) + "-" + hash);
  metadata.set_namespace_(deployment.metadata().namespace_());
  *metadata.add_ownerreferences() = owner_reference(deployment);
  auto& spec = *set.mutable_spec();
  spec.set_replicas(replicas);
  spec.set_minreadyseconds(deployment.spec().minreadyseconds());
  *spec.mutable_selector() = deployment.spec().selector();
  (*spec.mutable_selector()->mutable_matchlabels())[kHashLabel] = hash;
  *spec.mutable_template_() = deployment.spec().template_();
  (*spec.mutable_template_()->mutable_metadata()->mutable_labels())[kHashLabel] = hash;
  *metadata.mutable_labels() = spec.template_().metadata().labels();
  copy_annotations(deployment, revision, limits, set);
  return set;
}

bool copy_annotations(const Deployment& deployment, int64_t revision, const Limits& limits, ReplicaSet& set) {
  bool changed = false;
  for (const auto& [name, value] : deployment.metadata().annotations()) {
    if (is_copied(name)) changed = set_annotation(set, name, value) || changed;
  }
  const int64_t current = number_annotation(set.metadata(), kRevisionAnnotation);
  if (current < revision) {
    if (current > 0) {
      std::string history;
      const auto found = set.metadata().annotations().find(kRevisionHistoryAnnotation);
      if (found != set.metadata().annotations().end()) history = found->second + ",";
      history += std::to_string(current);
      // The oldest go when it gets too long.
      while (history.size() > kHistoryTextMost) history.erase(0, history.find(',') + 1);
      set_annotation(set, kRevisionHistoryAnnotation, history);
    }
    changed = set_annotation(set, kRevisionAnnotation, std::to_string(revision)) || changed;
  }
  changed = note_sizes(deployment.spec().replicas(), limits, set) || changed;
  if (set.spec().minreadyseconds() != deployment.spec().minreadyseconds()) {
    set.mutable_spec()->set_minreadyseconds(deployment.spec().minreadyseconds());
    changed = true;
  }
  return changed;
}

bool note_sizes(int32_t replicas, const Limits& limits, ReplicaSet& set) {
  const bool desired = set_annotation(set, kDesiredReplicasAnnotation, std::to_string(replicas));
  const bool most = set_annotation(set, kMaxReplicasAnnotation, std::to_string(replicas + limits.max_surge));
  return desired || most;
}

bool is_scaling_event(const Deployment& deployment, const std::vector<Stored<ReplicaSet>>& newest,
                      const std::vector<Stored<ReplicaSet>>& old) {
  for (const auto* sets : {&newest, &old}) {
    for (const auto& set : *sets) {
      if (set.object.spec().replicas() == 0) continue;
      const int64_t desired = number_annotation(set.object.metadata(), kDesiredReplicasAnnotation);
      if (desired != 0 && desired != deployment.spec().replicas()) return true;
    }
  }
  return false;
}

}  // namespace orlop::workload
