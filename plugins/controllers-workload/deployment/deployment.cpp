#include "plugins/controllers-workload/deployment/deployment.hpp"

#include "orlop/object_meta.hpp"
#include "plugins/controllers-workload/config-restart/references.hpp"
#include "plugins/controllers-workload/deployment/history.hpp"
#include "plugins/controllers-workload/deployment/status.hpp"
#include "plugins/controllers-workload/ownership.hpp"
#include "plugins/controllers-workload/while_unchanged.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

}  // namespace

DeploymentController::DeploymentController(Host host, unsigned workers)
    : host_(host),
      workers_(workers),
      events_(host, "deployment-controller"),
      deployments_(host),
      sets_(host),
      pods_(host) {}

void DeploymentController::observe(const ChangeView& change, KeyQueue& queue) {
  const ObjectKey key{std::string(change.record.name_space), std::string(change.record.name)};
  if (change.record.kind == "deployments.apps") {
    observe_deployment(change, key);
    queue.add(key);
  } else if (change.record.kind == "replicasets.apps") {
    observe_set(change, key);
    const bool controlled = enqueue_controllers<ReplicaSet>(change, "Deployment", queue);
    if (controlled || change.type == ChangeType::kDeleted) return;
    for (const std::string& name : names_[key.name_space]) queue.add({key.name_space, name});
  } else if (change.type == ChangeType::kDeleted) {
    // Only Recreate waits for a pod to be gone: a set does not count those that are ending.
    const auto pod = meta::parse(change.record.value);
    if (!pod) return;
    for (const std::string_view uid : pod->owner_uids) {
      const auto found = deployment_of_set_.find(uid);
      if (found != deployment_of_set_.end() && recreated_.contains(found->second)) queue.add(found->second);
    }
  }
}

void DeploymentController::observe_deployment(const ChangeView& change, const ObjectKey& key) {
  if (change.type == ChangeType::kDeleted) {
    names_[key.name_space].erase(key.name);
    recreated_.erase(key);
    return;
  }
  names_[key.name_space].insert(key.name);
  Deployment deployment;
  const bool recreate =
      deployment.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size())) &&
      deployment.spec().strategy().type() == "Recreate";
  if (recreate) {
    recreated_.insert(key);
  } else {
    recreated_.erase(key);
  }
}

void DeploymentController::observe_set(const ChangeView& change, const ObjectKey& key) {
  ReplicaSet set;
  if (!set.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) return;
  const auto* owner = kube::controller_of(set.metadata());
  if (change.type == ChangeType::kDeleted || owner == nullptr || owner->kind() != "Deployment") {
    deployment_of_set_.erase(set.metadata().uid());
  } else {
    deployment_of_set_[set.metadata().uid()] = {key.name_space, owner->name()};
  }
}

void DeploymentController::reset() {
  names_.clear();
  recreated_.clear();
  deployment_of_set_.clear();
}

Result<Outcome> DeploymentController::reconcile(const ObjectKey& key) {
  auto deployment = deployments_.get(key.name_space, key.name);
  if (!deployment) {
    return deployment.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(deployment.status());
  }
  ORLOP_ASSIGN(Rollout rollout, gather(std::move(*deployment)));
  const Deployment& object = rollout.deployment.object;
  if (object.metadata().has_deletiontimestamp()) return update_status(rollout);
  if (waits_for_config(object.metadata(), object.spec().template_())) return update_status(rollout);
  if (object.spec().paused()) {
    ORLOP_TRY(scale_all(rollout));
    ORLOP_TRY(clean_history(rollout));
    return update_status(rollout);
  }
  const bool was_scaled = is_scaling_event(object, rollout.newest, rollout.old);
  if (was_scaled) {
    ORLOP_TRY(scale_all(rollout));
    return update_status(rollout);
  }
  if (limits_of(object).recreate) {
    ORLOP_ASSIGN(const bool waiting, recreate(rollout));
    if (waiting) return update_status(rollout);
  } else {
    ORLOP_TRY(ensure_newest(rollout));
    ORLOP_TRY(roll(rollout));
  }
  ORLOP_TRY(clean_history(rollout));
  return update_status(rollout);
}

Result<std::vector<Stored<ReplicaSet>>> DeploymentController::claim_sets(const StoredDeployment& deployment) {
  const auto& metadata = deployment.object.metadata();
  const auto& selector = deployment.object.spec().selector();
  ORLOP_ASSIGN(auto owned, sets_.list(metadata.namespace_(), "owner/" + metadata.uid()));
  std::vector<StoredSet> claimed;
  for (StoredSet& set : owned) {
    const auto* owner = kube::controller_of(set.object.metadata());
    if (owner == nullptr || owner->uid() != metadata.uid()) continue;
    if (metadata.has_deletiontimestamp() || kube::matches(selector, set.object.metadata().labels())) {
      claimed.push_back(std::move(set));
    } else {
      ORLOP_TRY(release(set, metadata.uid()));
    }
  }
  if (metadata.has_deletiontimestamp() || kube::is_empty(selector)) return claimed;
  std::string term;
  for (const auto& [name, value] : selector.matchlabels()) term = "label/" + name + "=" + value;
  ORLOP_ASSIGN(auto candidates, sets_.list(metadata.namespace_(), term));
  for (StoredSet& set : candidates) {
    if (kube::controller_of(set.object.metadata()) != nullptr || set.object.metadata().has_deletiontimestamp() ||
        !kube::matches(selector, set.object.metadata().labels())) {
      continue;
    }
    *set.object.mutable_metadata()->add_ownerreferences() = owner_reference(deployment.object);
    ORLOP_ASSIGN(StoredSet adopted, sets_.update(set));
    claimed.push_back(std::move(adopted));
  }
  return claimed;
}

// Its labels are no longer ours: it goes its own way.
Status DeploymentController::release(StoredSet& set, const std::string& owner_uid) {
  auto* owners = set.object.mutable_metadata()->mutable_ownerreferences();
  for (int i = owners->size() - 1; i >= 0; --i) {
    if (owners->Get(i).uid() == owner_uid) owners->DeleteSubrange(i, 1);
  }
  return sets_.update(set).status();
}

Result<DeploymentController::Rollout> DeploymentController::gather(StoredDeployment deployment) {
  ORLOP_ASSIGN(auto sets, claim_sets(deployment));
  std::sort(sets.begin(), sets.end(), [](const StoredSet& a, const StoredSet& b) {
    const auto& left = a.object.metadata();
    const auto& right = b.object.metadata();
    if (left.creationtimestamp().seconds() != right.creationtimestamp().seconds()) {
      return left.creationtimestamp().seconds() < right.creationtimestamp().seconds();
    }
    return left.name() < right.name();
  });
  Rollout rollout{std::move(deployment), {}, {}};
  for (StoredSet& set : sets) {
    const bool is_newest = rollout.newest.empty() &&
                           same_template(set.object.spec().template_(), rollout.deployment.object.spec().template_());
    (is_newest ? rollout.newest : rollout.old).push_back(std::move(set));
  }
  return rollout;
}

Status DeploymentController::ensure_newest(Rollout& rollout) {
  int64_t highest = 0;
  for (const StoredSet& set : rollout.old) {
    highest = std::max(highest, number_annotation(set.object.metadata(), kRevisionAnnotation));
  }
  if (rollout.newest.empty()) return create_newest(rollout, highest + 1);
  return number_newest(rollout, highest + 1);
}

Status DeploymentController::create_newest(Rollout& rollout, int64_t revision) {
  Deployment& deployment = rollout.deployment.object;
  const Limits limits = limits_of(deployment);
  int32_t others = 0;
  for (const StoredSet& set : rollout.old) {
    ORLOP_ASSIGN(const SetSize size, size_of(set.object, true));
    others += size.most();
  }
  const int32_t room = limits.recreate ? limits.replicas : limits.replicas + limits.max_surge - others;
  const int32_t replicas = std::max(0, std::min(room, limits.replicas));
  const ReplicaSet set = new_replica_set(deployment, replicas, limits, revision);
  // A version that is no longer the Deployment's may name a configuration that is gone already.
  auto created = create_while(unchanged(rollout.deployment), sets_, set);
  if (!created && created.code() == Code::kConflict) return created.status();
  if (!created && created.code() == Code::kAlreadyExists) {
    auto existing = sets_.get(set.metadata().namespace_(), set.metadata().name());
    if (!existing) return existing.status();
    const auto* owner = kube::controller_of(existing->object.metadata());
    if (owner != nullptr && owner->uid() == deployment.metadata().uid() &&
        same_template(existing->object.spec().template_(), deployment.spec().template_())) {
      return {Code::kConflict, "the new replica set has just appeared"};
    }
    // Two templates with one hash: the next name is made with another collision count.
    deployment.mutable_status()->set_collisioncount(deployment.status().collisioncount() + 1);
    ORLOP_TRY(deployments_.update_status(rollout.deployment).status());
    return {Code::kConflict, "two templates have the same hash"};
  }
  if (!created) {
    const std::string message =
        "Failed to create new replica set \"" + set.metadata().name() + "\": " + created.message();
    events_.about(deployment, EventType::kWarning, "FailedCreate", message);
    note_create_failure(deployment, message, host_.wall_now_ns() / kSecondNs);
    ORLOP_TRY(deployments_.update_status(rollout.deployment).status());
    return created.status();
  }
  rollout.newest.push_back(std::move(*created));
  if (replicas > 0) {
    events_.about(deployment, EventType::kNormal, "ScalingReplicaSet",
                  "Scaled up replica set " + set.metadata().name() + " from 0 to " + std::to_string(replicas));
  }
  return number_newest(rollout, revision);
}

// The newest set carries the highest revision; coming back to an older template gives it a new number.
Status DeploymentController::number_newest(Rollout& rollout, int64_t revision) {
  StoredSet& set = rollout.newest.front();
  Deployment& deployment = rollout.deployment.object;
  if (copy_annotations(deployment, revision, limits_of(deployment), set.object)) {
    ORLOP_ASSIGN(set, sets_.update(set));
  }
  const std::string text = set.object.metadata().annotations().at(kRevisionAnnotation);
  auto& annotations = *deployment.mutable_metadata()->mutable_annotations();
  const auto found = annotations.find(kRevisionAnnotation);
  if (found != annotations.end() && found->second == text) return Status::ok();
  annotations[kRevisionAnnotation] = text;
  ORLOP_ASSIGN(rollout.deployment, deployments_.update(rollout.deployment));
  return Status::ok();
}

// At rest the sets' own counts say it all. In the middle of a rollout their pods are counted: a set that has been told
// to shrink has its pods for a little longer, and there must never be too many, nor too few that are available.
Result<SetSize> DeploymentController::size_of(const ReplicaSet& set, bool count_pods) const {
  SetSize size{
      .name = set.metadata().name(),
      .replicas = set.spec().replicas(),
      .available = set.status().availablereplicas(),
      .max_replicas_annotation = static_cast<int32_t>(number_annotation(set.metadata(), kMaxReplicasAnnotation)),
      .created_s = set.metadata().creationtimestamp().seconds(),
      .active = set.status().replicas()};
  if (!count_pods) return size;
  size.available = size.active = 0;
  const int64_t now_s = host_.wall_now_ns() / kSecondNs;
  ORLOP_TRY(pods_.each(set.metadata().namespace_(), "owner/" + set.metadata().uid(),
                       [&](const RecordView&, const kube::Pod& pod) {
                         if (!kube::is_active(pod)) return true;
                         ++size.active;
                         const auto from = kube::available_from_s(pod, set.spec().minreadyseconds());
                         if (from && *from <= now_s) ++size.available;
                         return true;
                       }));
  return size;
}

Result<DeploymentController::Sizes> DeploymentController::sizes_of(const Rollout& rollout) const {
  const auto is_idle = [](const StoredSet& set) {
    return set.object.spec().replicas() == 0 && set.object.status().replicas() == 0 &&
           set.object.status().observedgeneration() >= set.object.metadata().generation();
  };
  const bool moves = !std::all_of(rollout.old.begin(), rollout.old.end(), is_idle) || rollout.newest.empty() ||
                     rollout.newest.front().object.spec().replicas() != rollout.deployment.object.spec().replicas();
  Sizes sizes;
  for (const StoredSet& set : rollout.old) {
    ORLOP_ASSIGN(SetSize size, size_of(set.object, moves && !is_idle(set)));
    sizes.old.push_back(std::move(size));
  }
  if (!rollout.newest.empty()) {
    ORLOP_ASSIGN(sizes.newest, size_of(rollout.newest.front().object, moves));
  }
  return sizes;
}

Status DeploymentController::scale_all(Rollout& rollout) {
  ORLOP_ASSIGN(Sizes sizes, sizes_of(rollout));
  SetSize* newest = rollout.newest.empty() ? nullptr : &sizes.newest;
  const Limits limits = limits_of(rollout.deployment.object);
  share_out(limits, newest, sizes.old);
  if (limits.recreate) {
    if (newest != nullptr) ORLOP_TRY(hold_back(rollout, *newest));
    for (SetSize& size : sizes.old) ORLOP_TRY(hold_back(rollout, size));
  }
  return apply_sizes(rollout, newest, sizes.old);
}

Status DeploymentController::roll(Rollout& rollout) {
  ORLOP_ASSIGN(Sizes sizes, sizes_of(rollout));
  SetSize& newest = sizes.newest;
  const int32_t unavailable = std::max(0, newest.replicas - newest.available);
  if (!step_rolling(limits_of(rollout.deployment.object), newest, sizes.old, unavailable)) return Status::ok();
  return apply_sizes(rollout, &newest, sizes.old);
}

Result<bool> DeploymentController::runs(const ReplicaSet& set) const {
  bool running = false;
  ORLOP_TRY(pods_.each(set.metadata().namespace_(), "owner/" + set.metadata().uid(),
                       [&](const RecordView&, const kube::Pod& pod) {
                         running = !kube::is_terminal(pod);
                         return !running;
                       }));
  return running;
}

// Recreate: no set grows while pods of another one run, not even those that are ending.
Status DeploymentController::hold_back(const Rollout& rollout, SetSize& size) const {
  std::vector<const StoredSet*> sets;
  for (const StoredSet& set : rollout.old) sets.push_back(&set);
  for (const StoredSet& set : rollout.newest) sets.push_back(&set);
  bool others_run = false;
  int32_t before = size.replicas;
  for (const StoredSet* set : sets) {
    if (set->object.metadata().name() == size.name) {
      before = set->object.spec().replicas();
      continue;
    }
    ORLOP_ASSIGN(const bool running, runs(set->object));
    others_run = others_run || running;
  }
  if (others_run) size.replicas = std::min(size.replicas, before);
  return Status::ok();
}

// Returns whether old pods are still on their way out.
Result<bool> DeploymentController::recreate(Rollout& rollout) {
  bool scaled = false;
  for (StoredSet& set : rollout.old) {
    if (set.object.spec().replicas() == 0) continue;
    ORLOP_TRY(scale_one(rollout.deployment.object, set, 0));
    scaled = true;
  }
  if (scaled) return true;
  for (const StoredSet& set : rollout.old) {
    ORLOP_ASSIGN(const bool running, runs(set.object));
    if (running) return true;
  }
  ORLOP_TRY(ensure_newest(rollout));
  ORLOP_TRY(scale_one(rollout.deployment.object, rollout.newest.front(), rollout.deployment.object.spec().replicas()));
  return false;
}

Status DeploymentController::apply_sizes(Rollout& rollout, const SetSize* newest, const std::vector<SetSize>& old) {
  if (newest != nullptr) ORLOP_TRY(scale_one(rollout.deployment.object, rollout.newest.front(), newest->replicas));
  for (const SetSize& size : old) {
    for (StoredSet& set : rollout.old) {
      if (set.object.metadata().name() == size.name) {
        ORLOP_TRY(scale_one(rollout.deployment.object, set, size.replicas));
      }
    }
  }
  return Status::ok();
}

Status DeploymentController::scale_one(const Deployment& deployment, StoredSet& set, int32_t replicas) {
  const int32_t before = set.object.spec().replicas();
  const bool noted = note_sizes(deployment.spec().replicas(), limits_of(deployment), set.object);
  if (before == replicas && !noted) return Status::ok();
  set.object.mutable_spec()->set_replicas(replicas);
  ORLOP_ASSIGN(set, sets_.update(set));
  if (before == replicas) return Status::ok();
  events_.about(deployment, EventType::kNormal, "ScalingReplicaSet",
                std::string(replicas > before ? "Scaled up" : "Scaled down") + " replica set " +
                    set.object.metadata().name() + " from " + std::to_string(before) + " to " +
                    std::to_string(replicas));
  return Status::ok();
}

Status DeploymentController::clean_history(Rollout& rollout) {
  const Deployment& deployment = rollout.deployment.object;
  if (!deployment.spec().has_revisionhistorylimit() || !is_complete(deployment, deployment.status()))
    return Status::ok();
  std::vector<StoredSet*> idle;
  for (StoredSet& set : rollout.old) {
    const auto& object = set.object;
    if (object.spec().replicas() == 0 && object.status().replicas() == 0 &&
        !object.metadata().has_deletiontimestamp() &&
        object.status().observedgeneration() >= object.metadata().generation()) {
      idle.push_back(&set);
    }
  }
  std::sort(idle.begin(), idle.end(), [](const StoredSet* a, const StoredSet* b) {
    return number_annotation(a->object.metadata(), kRevisionAnnotation) <
           number_annotation(b->object.metadata(), kRevisionAnnotation);
  });
  const auto keep = static_cast<size_t>(deployment.spec().revisionhistorylimit());
  for (size_t i = 0; i + keep < idle.size(); ++i) {
    ORLOP_TRY(remove_while(unchanged(rollout.deployment), sets_, idle[i]->object));
  }
  return Status::ok();
}

Result<Outcome> DeploymentController::update_status(Rollout& rollout) {
  std::vector<const ReplicaSet*> all;
  for (const StoredSet& set : rollout.old) all.push_back(&set.object);
  const ReplicaSet* newest = rollout.newest.empty() ? nullptr : &rollout.newest.front().object;
  if (newest != nullptr) all.push_back(newest);
  const int64_t again_s = fill_status(rollout.deployment.object, newest, all, host_.wall_now_ns() / kSecondNs);
  const Status written = deployments_.update_status(rollout.deployment).status();
  if (!written && written.code() != Code::kNotFound) return written;
  return Outcome{again_s * kSecondNs};
}

}  // namespace orlop::workload
