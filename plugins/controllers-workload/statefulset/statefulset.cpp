#include "plugins/controllers-workload/statefulset/statefulset.hpp"

#include "plugins/controllers-workload/config-restart/references.hpp"
#include "plugins/controllers-workload/ownership.hpp"
#include "plugins/controllers-workload/statefulset/retention.hpp"

#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

std::string capitalized(std::string_view verb) {
  std::string out(verb);
  out.front() = static_cast<char>(out.front() - 'a' + 'A');
  return out;
}

RevisionOwner revision_owner(const Stored<StatefulSet>& stored) {
  const StatefulSet& set = stored.object;
  return {&set.metadata(),           &set.spec().selector(), &set.spec().template_(),
          controller_reference(set), unchanged(stored),      kDataHashLabel};
}

}  // namespace

StatefulSetController::StatefulSetController(Host host, unsigned workers)
    : host_(host),
      workers_(workers),
      events_(host, "statefulset-controller"),
      sets_(host),
      pods_(host),
      claims_(host),
      history_(host) {}

void StatefulSetController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  const std::string name(change.record.name);
  if (change.record.kind == "statefulsets.apps") {
    if (change.type == ChangeType::kDeleted) {
      names_[name_space].erase(name);
    } else {
      names_[name_space].insert(name);
    }
    queue.add({name_space, name});
    return;
  }
  if (change.record.kind == "persistentvolumeclaims") {
    // A pod may wait for a former one's claim to go. Its name ends with the name of a pod of the set.
    if (change.type != ChangeType::kDeleted) return;
    for (const std::string& set : names_[name_space]) {
      const size_t at = name.rfind("-" + set + "-");
      if (at != std::string::npos && ordinal_of(std::string_view(name).substr(at + 1), set) >= 0) {
        queue.add({name_space, set});
      }
    }
    return;
  }
  const bool controlled = enqueue_controllers<kube::Pod>(change, "StatefulSet", queue);
  // Nobody's pod may be adopted by its name, and one that goes may have stood where a member should.
  if (controlled && change.type != ChangeType::kDeleted) return;
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos) return;
  const std::string set = name.substr(0, dash);
  if (ordinal_of(name, set) >= 0 && names_[name_space].contains(set)) queue.add({name_space, set});
}

Result<Outcome> StatefulSetController::reconcile(const ObjectKey& key) {
  auto set = sets_.get(key.name_space, key.name);
  if (!set) return set.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(set.status());
  if (waits_for_config(set->object.metadata(), set->object.spec().template_())) return Outcome{};
  ORLOP_ASSIGN(World world, gather(std::move(*set)));
  Status carried_out;
  const Members members = members_of(world);
  for (const Step& step : plan_members(members)) {
    carried_out = carry_out(world, step);
    if (!carried_out) break;
  }
  return finish(world, carried_out);
}

Result<StatefulSetController::World> StatefulSetController::gather(StoredSet stored) {
  World world;
  world.set = std::move(stored);
  const StatefulSet& set = world.set.object;
  const auto& metadata = set.metadata();
  const PodOwner owner{metadata.namespace_(), controller_reference(set), &set.spec().selector(),
                       metadata.has_deletiontimestamp(),
                       [&](const kube::Pod& pod) { return ordinal_of(pod.metadata().name(), metadata.name()) >= 0; }};
  ORLOP_ASSIGN(world.pods, claim_pods(pods_, owner));
  ORLOP_ASSIGN(world.claims, read_claims(set, world.pods));
  ORLOP_TRY(settle_revisions(world));
  return world;
}

// Which revision pods are of that stay, and which those become that are made or updated.
Status StatefulSetController::settle_revisions(World& world) {
  const StatefulSet& set = world.set.object;
  const RevisionOwner owner = revision_owner(world.set);
  world.collisions = set.status().collisioncount();
  world.current_revision = set.status().currentrevision();
  world.update_revision = set.status().updaterevision();
  world.current_template = set.spec().template_();
  ORLOP_ASSIGN(world.revisions, history_.claim(owner));
  if (set.metadata().has_deletiontimestamp()) return Status::ok();
  ORLOP_ASSIGN(const ControllerRevision update, history_.ensure(owner, world.revisions, world.collisions));
  world.update_revision = update.metadata().name();
  for (const StoredRevision& revision : world.revisions) {
    if (revision.object.metadata().name() != world.current_revision) continue;
    ORLOP_ASSIGN(world.current_template, template_of(revision.object));
    return Status::ok();
  }
  world.current_revision = world.update_revision;
  return Status::ok();
}

Result<StatefulSetController::Claims> StatefulSetController::read_claims(const StatefulSet& set,
                                                                         const std::vector<StoredPod>& pods) {
  Claims claims;
  if (set.spec().volumeclaimtemplates().empty()) return claims;
  std::set<int> ordinals;
  for (int i = 0; i < set.spec().replicas(); ++i) ordinals.insert(first_ordinal(set) + i);
  for (const StoredPod& pod : pods) {
    ordinals.insert(ordinal_of(pod.object.metadata().name(), set.metadata().name()));
  }
  for (const int ordinal : ordinals) {
    for (const Claim& claim_template : set.spec().volumeclaimtemplates()) {
      const std::string name = claim_name(set, claim_template, ordinal);
      auto claim = claims_.get(set.metadata().namespace_(), name);
      if (claim) {
        claims[name] = std::move(*claim);
      } else if (claim.code() != Code::kNotFound) {
        return claim.status();
      }
    }
  }
  return claims;
}

Members StatefulSetController::members_of(const World& world) const {
  Members members;
  members.set = &world.set.object;
  for (const StoredPod& pod : world.pods) members.pods.push_back(&pod.object);
  for (const auto& [name, claim] : world.claims) members.claims[name] = &claim.object;
  members.current_revision = world.current_revision;
  members.update_revision = world.update_revision;
  members.now_s = host_.wall_now_ns() / kSecondNs;
  return members;
}

Status StatefulSetController::carry_out(World& world, const Step& step) {
  switch (step.action) {
    case Step::Action::kCreate:
      return create(world, step);
    case Step::Action::kMakeClaims:
      return make_claims(world, step, *step.pod);
    case Step::Action::kMend:
      return mend(world, step);
    case Step::Action::kMendClaims:
      return mend_claims(world, step);
    case Step::Action::kDelete:
      return remove(world, step);
  }
  return Status::ok();
}

Status StatefulSetController::create(World& world, const Step& step) {
  const StatefulSet& set = world.set.object;
  const PodTemplateSpec& pod_template = step.of_update ? set.spec().template_() : world.current_template;
  const kube::Pod pod =
      new_member(set, pod_template, step.of_update ? world.update_revision : world.current_revision, step.ordinal);
  Status made = make_claims(world, step, pod);
  if (!made) {
    if (made.code() != Code::kConflict) tell(set, "create", pod.metadata().name(), made);
    return made;
  }
  made = pods_.create(pod).status();
  // Somebody else's pod of that name is in the way: it is waited for.
  if (made.code() != Code::kAlreadyExists) tell(set, "create", pod.metadata().name(), made);
  return made;
}

Status StatefulSetController::make_claims(World& world, const Step& step, const kube::Pod& pod) {
  const StatefulSet& set = world.set.object;
  const auto& pod_name = pod.metadata().name();
  Status failed;
  for (Claim& claim : claims_of(set, step.ordinal)) {
    const std::string& name = claim.metadata().name();
    const auto found = world.claims.find(name);
    if (found != world.claims.end()) {
      Claim& there = found->second.object;
      if (there.metadata().has_deletiontimestamp()) {
        failed = Status(Code::kUnavailable, "pvc " + name + " is being deleted");
      } else if (!has_right_owners(there, set, pod)) {
        give_owners(there, set, pod);
        ORLOP_ASSIGN(found->second, claims_.update(found->second));
      }
      continue;
    }
    if (!has_right_owners(claim, set, pod)) give_owners(claim, set, pod);
    const Status made = claims_.create(claim).status();
    if (made) {
      events_.about(
          set, EventType::kNormal, "SuccessfulCreate",
          "create Claim " + name + " Pod " + pod_name + " in StatefulSet " + set.metadata().name() + " success");
    } else if (made.code() != Code::kAlreadyExists) {
      events_.about(set, EventType::kWarning, "FailedCreate",
                    "create Claim " + name + " for Pod " + pod_name + " in StatefulSet " + set.metadata().name() +
                        " failed error: " + made.message());
      failed = Status(made.code(), "failed to create PVC " + name + ": " + made.message());
    }
  }
  return failed;
}

Status StatefulSetController::mend(World& world, const Step& step) {
  const StatefulSet& set = world.set.object;
  Status mended = mend_claims(world, step);
  for (StoredPod& pod : world.pods) {
    if (&pod.object != step.pod || !mended) continue;
    const bool identity = has_identity(set, pod.object);
    const bool storage = has_storage(set, pod.object);
    if (identity && storage) return Status::ok();
    StoredPod changed = pod;
    if (!identity) give_identity(set, changed.object);
    if (!storage) give_storage(set, changed.object);
    mended = storage ? Status::ok() : make_claims(world, step, changed.object);
    if (mended) mended = pods_.update(changed).status();
  }
  if (mended.code() != Code::kConflict) tell(set, "update", step.pod->metadata().name(), mended);
  return mended;
}

Status StatefulSetController::mend_claims(World& world, const Step& step) {
  const StatefulSet& set = world.set.object;
  for (const Claim& claim_template : set.spec().volumeclaimtemplates()) {
    const auto found = world.claims.find(claim_name(set, claim_template, step.ordinal));
    if (found == world.claims.end() || has_right_owners(found->second.object, set, *step.pod)) continue;
    give_owners(found->second.object, set, *step.pod);
    ORLOP_ASSIGN(found->second, claims_.update(found->second));
  }
  return Status::ok();
}

Status StatefulSetController::remove(World& world, const Step& step) {
  const auto& metadata = step.pod->metadata();
  const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
  if (removed.code() == Code::kNotFound) return Status::ok();
  tell(world.set.object, "delete", metadata.name(), removed);
  // It no longer counts as one of its revision: a new one is made by what the status then says.
  for (StoredPod& pod : world.pods) {
    if (removed && &pod.object == step.pod) {
      pod.object.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(host_.wall_now_ns() / kSecondNs);
    }
  }
  return removed;
}

void StatefulSetController::tell(const StatefulSet& set, std::string_view verb, const std::string& pod_name,
                                 const Status& status) {
  const std::string what = std::string(verb) + " Pod " + pod_name + " in StatefulSet " + set.metadata().name();
  if (status) {
    events_.about(set, EventType::kNormal, "Successful" + capitalized(verb), what + " successful");
  } else {
    events_.about(set, EventType::kWarning, "Failed" + capitalized(verb), what + " failed error: " + status.message());
  }
}

Result<Outcome> StatefulSetController::finish(World& world, const Status& carried_out) {
  const Members members = members_of(world);
  StoredSet set = world.set;
  *set.object.mutable_status() = status_of(members, world.collisions);
  const Status written = sets_.update_status(set).status();
  if (!carried_out) return carried_out;
  if (!written) return written.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(written);
  if (!set.object.metadata().has_deletiontimestamp()) {
    std::set<std::string> live{world.current_revision, world.update_revision};
    for (const kube::Pod* pod : members.pods) live.insert(revision_of(*pod));
    const auto& spec = set.object.spec();
    ORLOP_TRY(history_.remove_surplus(world.revisions, live,
                                      spec.has_revisionhistorylimit() ? spec.revisionhistorylimit() : 10));
  }
  const int64_t next_s = next_look_s(members);
  return Outcome{next_s == 0 ? 0 : (next_s - members.now_s) * kSecondNs};
}

}  // namespace orlop::workload
