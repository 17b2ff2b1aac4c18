// What becomes of a claim.
#include "orlop/kube/core_v1.hpp"
#include "plugins/controllers-volume/binding/binding.hpp"

#include <algorithm>
#include <utility>

namespace orlop::volumes {
namespace {

using Node = k8s::io::api::core::v1::Node;

std::string quoted_name(const std::string& name) {
  return "\"" + name + "\"";
}

bool has_finalizer(const Claim& claim, std::string_view name) {
  const auto& all = claim.metadata().finalizers();
  return std::find(all.begin(), all.end(), name) != all.end();
}

void remove_finalizer(Claim& claim, std::string_view name) {
  auto& all = *claim.mutable_metadata()->mutable_finalizers();
  const auto end = std::remove(all.begin(), all.end(), name);
  all.erase(end, all.end());
}

bool waits_for_consumer(const std::optional<StorageClass>& storage_class) {
  return storage_class && storage_class->volumebindingmode() == "WaitForFirstConsumer";
}

template <typename T>
void add_update(v1::CommitRequest& request, const T& object, uint64_t revision, std::string_view subresource) {
  auto write = make_write<T>(v1::UPDATE, object.metadata().namespace_(), object.metadata().name());
  write.set_if_revision(revision);
  write.set_subresource(std::string(subresource));
  write.set_skip_if_unchanged(true);
  write.set_value(serialize(object));
  *request.add_writes() = std::move(write);
}

// The claim's end of the binding; whether anything was missing.
bool point_to(Claim& claim, const PersistentVolume& volume) {
  const bool complete = claim.spec().volumename() == volume.metadata().name() &&
                        storage::has_annotation(claim, storage::kBindCompleted) && !has_finalizer(claim, kProvisioning);
  if (complete) return false;
  if (claim.spec().volumename() != volume.metadata().name()) {
    claim.mutable_spec()->set_volumename(volume.metadata().name());
    storage::annotate(claim, storage::kBoundByController, "yes");
  }
  storage::annotate(claim, storage::kBindCompleted, "yes");
  remove_finalizer(claim, kProvisioning);
  return true;
}

// The volume's end.
bool point_to(PersistentVolume& volume, const Claim& claim) {
  const bool reserved = storage::is_for(volume, claim);
  if (reserved && volume.spec().claimref().uid() == claim.metadata().uid()) return false;
  auto& ref = *volume.mutable_spec()->mutable_claimref();
  ref.set_kind("PersistentVolumeClaim");
  ref.set_apiversion("v1");
  ref.set_namespace_(claim.metadata().namespace_());
  ref.set_name(claim.metadata().name());
  ref.set_uid(claim.metadata().uid());
  if (!reserved) storage::annotate(volume, storage::kBoundByController, "yes");
  return true;
}

bool tell_bound(Claim& claim, const PersistentVolume& volume) {
  auto& status = *claim.mutable_status();
  const auto& modes = volume.spec().accessmodes();
  const auto has = status.capacity().find("storage");
  const auto gives = volume.spec().capacity().find("storage");
  const std::string had = has == status.capacity().end() ? "" : has->second.string();
  const std::string given = gives == volume.spec().capacity().end() ? "" : gives->second.string();
  const bool same_modes =
      std::equal(status.accessmodes().begin(), status.accessmodes().end(), modes.begin(), modes.end());
  if (status.phase() == "Bound" && same_modes && had == given) return false;
  status.set_phase("Bound");
  *status.mutable_accessmodes() = modes;
  *status.mutable_capacity() = volume.spec().capacity();
  return true;
}

}  // namespace

Result<Outcome> BindingController::sync_claim(StoredClaim claim) {
  if (storage::has_annotation(claim.object, storage::kBindCompleted)) return sync_bound_claim(std::move(claim));
  if (claim.object.metadata().has_deletiontimestamp()) {
    return has_finalizer(claim.object, kProvisioning) ? end_provisioning(std::move(claim)) : Outcome{};
  }
  return claim.object.spec().volumename().empty() ? sync_new_claim(std::move(claim)) : sync_claim_of(std::move(claim));
}

Result<Outcome> BindingController::sync_new_claim(StoredClaim claim) {
  // Before anything is looked at, so that no change falls in between.
  wait_for(claim.object, "class", storage::class_of(claim.object));
  if (!claim.object.spec().has_storageclassname() && !storage::has_annotation(claim.object, storage::kClassBeta)) {
    ORLOP_TRY(take_default_class(claim));
    wait_for(claim.object, "class", storage::class_of(claim.object));
  }
  const std::string class_name = storage::class_of(claim.object);
  ORLOP_ASSIGN(const auto storage_class, find_class(class_name));
  ORLOP_ASSIGN(const auto node, node_of(claim.object));
  const bool waits = waits_for_consumer(storage_class) && !node;
  if (const auto name = pool_.find(claim.object, node, waits)) {
    auto volume = volumes_.get("", *name);
    if (!volume && volume.code() != Code::kNotFound) return volume.status();
    const bool is_ours =
        volume && (volume->object.spec().has_claimref() ? storage::is_for(volume->object, claim.object)
                                                        : volume->object.status().phase() == "Available");
    if (is_ours) return bind(std::move(*volume), std::move(claim));
    // Somebody was quicker; what the pool knows is older than that.
    if (volume) {
      pool_.put(volume->object);
    } else {
      pool_.remove(*name);
    }
    return Status(Code::kConflict, "the volume " + *name + " has gone to another claim");
  }
  if (waits) {
    ORLOP_TRY(tell_waiting(claim.object));
    return leave_pending(std::move(claim));
  }
  if (!class_name.empty()) return provision(std::move(claim), storage_class);
  events_.about(claim.object, EventType::kNormal, "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set");
  return leave_pending(std::move(claim));
}

Result<Outcome> BindingController::sync_claim_of(StoredClaim claim) {
  const std::string& name = claim.object.spec().volumename();
  wait_for(claim.object, "volume", name);
  auto volume = volumes_.get("", name);
  if (volume.code() == Code::kNotFound) return leave_pending(std::move(claim));
  if (!volume) return volume.status();
  if (!volume->object.spec().has_claimref()) {
    const std::string unfit{storage::why_unfit(volume->object, claim.object)};
    if (unfit.empty()) return bind(std::move(*volume), std::move(claim));
    events_.about(claim.object, EventType::kWarning, "VolumeMismatch",
                  "Cannot bind to requested volume " + quoted_name(name) + ": " + unfit);
    return leave_pending(std::move(claim));
  }
  if (storage::is_for(volume->object, claim.object)) return bind(std::move(*volume), std::move(claim));
  events_.about(claim.object, EventType::kWarning, "FailedBinding",
                "volume " + quoted_name(name) + " already bound to a different claim.");
  return leave_pending(std::move(claim));
}

Result<Outcome> BindingController::sync_bound_claim(StoredClaim claim) {
  const std::string& name = claim.object.spec().volumename();
  if (name.empty()) {
    return lose(std::move(claim), "ClaimLost",
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
  }
  auto volume = volumes_.get("", name);
  if (volume.code() == Code::kNotFound) {
    return lose(std::move(claim), "ClaimLost",
                "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
  }
  if (!volume) return volume.status();
  const auto& spec = volume->object.spec();
  const bool is_ours = !spec.has_claimref() || spec.claimref().uid() == claim.object.metadata().uid() ||
                       storage::is_for(volume->object, claim.object);
  if (is_ours) return bind(std::move(*volume), std::move(claim));
  return lose(std::move(claim), "ClaimMisbound",
              "Two claims are bound to the same volume, this one is bound incorrectly");
}

Result<Outcome> BindingController::lose(StoredClaim claim, std::string_view reason, std::string_view message) {
  if (claim.object.status().phase() == "Lost") return Outcome{};
  claim.object.mutable_status()->set_phase("Lost");
  claim.object.mutable_status()->clear_accessmodes();
  claim.object.mutable_status()->clear_capacity();
  ORLOP_TRY(claims_.update_status(claim).status());
  events_.about(claim.object, EventType::kWarning, reason, message);
  return Outcome{};
}

Result<Outcome> BindingController::leave_pending(StoredClaim claim) {
  if (claim.object.status().phase() == "Pending") return Outcome{};
  claim.object.mutable_status()->set_phase("Pending");
  claim.object.mutable_status()->clear_accessmodes();
  claim.object.mutable_status()->clear_capacity();
  ORLOP_TRY(claims_.update_status(claim).status());
  return Outcome{};
}

// A claim that was made before there was a default class gets it once there is one.
Status BindingController::take_default_class(StoredClaim& claim) {
  const StorageClass* chosen = nullptr;
  ORLOP_ASSIGN(const auto all, classes_.list());
  for (const auto& candidate : all) {
    if (storage::annotation(candidate.object, storage::kDefaultClass) != "true") continue;
    const auto& made = candidate.object.metadata().creationtimestamp();
    if (chosen == nullptr || made.seconds() > chosen->metadata().creationtimestamp().seconds()) {
      chosen = &candidate.object;
    }
  }
  if (chosen == nullptr) return Status::ok();
  claim.object.mutable_spec()->set_storageclassname(chosen->metadata().name());
  ORLOP_ASSIGN(claim, claims_.update(claim));
  return Status::ok();
}

Status BindingController::tell_waiting(const Claim& claim) {
  std::string pod_name;
  ORLOP_TRY(
      Objects<kube::Pod>(host_).each(claim.metadata().namespace_(), "", [&](const RecordView&, const kube::Pod& pod) {
        const bool uses = kube::is_active(pod) && storage::uses_claim(pod, claim.metadata().name());
        if (uses) pod_name = pod.metadata().name();
        return !uses;
      }));
  if (pod_name.empty()) {
    events_.about(claim, EventType::kNormal, "WaitForFirstConsumer",
                  "waiting for first consumer to be created before binding");
  } else {
    events_.about(claim, EventType::kNormal, "WaitForPodScheduled", "waiting for pod " + pod_name + " to be scheduled");
  }
  return Status::ok();
}

// Where the scheduler has put the claim's first pod; nothing before that.
Result<std::optional<NodeLook>> BindingController::node_of(const Claim& claim) const {
  NodeLook out;
  out.name = storage::annotation(claim, storage::kSelectedNode);
  if (out.name.empty()) return std::optional<NodeLook>();
  auto node = Objects<Node>(host_).get("", out.name);
  if (!node && node.code() != Code::kNotFound) return node.status();
  if (!node) return std::optional<NodeLook>();
  for (const auto& [key, value] : node->object.metadata().labels()) out.labels[key] = value;
  return std::optional<NodeLook>(std::move(out));
}

Result<std::optional<StorageClass>> BindingController::find_class(const std::string& name) const {
  if (name.empty()) return std::optional<StorageClass>();
  auto found = classes_.get("", name);
  if (found) return std::optional<StorageClass>(std::move(found->object));
  if (found.code() == Code::kNotFound) return std::optional<StorageClass>();
  return found.status();
}

Result<Outcome> BindingController::bind(StoredVolume volume, StoredClaim claim) {
  v1::CommitRequest request;
  const bool volume_changes = point_to(volume.object, claim.object);
  const bool claim_changes = point_to(claim.object, volume.object);
  if (volume_changes) add_update(request, volume.object, volume.revision, "");
  if (claim_changes) add_update(request, claim.object, claim.revision, "");
  if (request.writes_size() > 0) {
    ORLOP_TRY(host_.commit_wait(request).status());
    // Read again: what the store made of them is what the phases are written to.
    ORLOP_ASSIGN(volume, volumes_.get("", volume.object.metadata().name()));
    ORLOP_ASSIGN(claim, claims_.get(claim.object.metadata().namespace_(), claim.object.metadata().name()));
  }
  ORLOP_TRY(write_bound(volume, claim));
  return Outcome{};
}

Status BindingController::write_bound(const StoredVolume& volume, const StoredClaim& claim) {
  v1::CommitRequest request;
  StoredVolume bound_volume = volume;
  StoredClaim bound_claim = claim;
  if (bound_volume.object.status().phase() != "Bound") {
    bound_volume.object.mutable_status()->set_phase("Bound");
    bound_volume.object.mutable_status()->clear_message();
    bound_volume.object.mutable_status()->clear_reason();
    add_update(request, bound_volume.object, bound_volume.revision, "status");
  }
  if (tell_bound(bound_claim.object, volume.object)) {
    add_update(request, bound_claim.object, bound_claim.revision, "status");
  }
  return request.writes_size() == 0 ? Status::ok() : host_.commit_wait(request).status();
}

}  // namespace orlop::volumes
