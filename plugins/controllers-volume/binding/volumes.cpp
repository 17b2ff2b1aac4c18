// What becomes of a volume.
#include "orlop/rpc.hpp"
#include "orlop/v1/node.pb.h"
#include "plugins/controllers-volume/binding/binding.hpp"

#include <algorithm>
#include <utility>

namespace orlop::volumes {
namespace {

constexpr int64_t kInUseAgainNs = 1'000'000'000;
constexpr int64_t kDriverAwayNs = 15'000'000'000;
constexpr char kHostName[] = "kubernetes.io/hostname";

bool deletes_first(const PersistentVolume& volume) {
  const auto& all = volume.metadata().finalizers();
  return std::find(all.begin(), all.end(), kDeletesVolume) != all.end();
}

// The one node that the volume is on; empty: it does not say.
std::string only_node_of(const PersistentVolume& volume) {
  for (const auto& term : volume.spec().nodeaffinity().required().nodeselectorterms()) {
    for (const auto& requirement : term.matchexpressions()) {
      const bool names = requirement.key() == kHostName && requirement.operator_() == "In";
      if (names && requirement.values_size() == 1) return requirement.values(0);
    }
  }
  return "";
}

}  // namespace

Result<Outcome> BindingController::sync_volume(StoredVolume volume) {
  const PersistentVolume& object = volume.object;
  const bool terminating = object.metadata().has_deletiontimestamp();
  if (!object.spec().has_claimref() || object.spec().claimref().uid().empty()) {
    if (terminating) return deletes_first(object) ? reclaim(std::move(volume)) : Outcome{};
    if (object.spec().has_claimref() && queue_ != nullptr) {
      queue_->add({object.spec().claimref().namespace_(), object.spec().claimref().name()});
    }
    ORLOP_TRY(set_phase(volume, "Available"));
    return Outcome{};
  }
  const auto& ref = object.spec().claimref();
  auto claim = claims_.get(ref.namespace_(), ref.name());
  if (!claim && claim.code() != Code::kNotFound) return claim.status();
  if (!claim || claim->object.metadata().uid() != ref.uid()) return release(std::move(volume));
  const std::string& bound_to = claim->object.spec().volumename();
  if (bound_to == object.metadata().name()) {
    ORLOP_TRY(set_phase(volume, "Bound"));
    return Outcome{};
  }
  // Deleted by a person before the claim has got it: the claim will have another.
  if (terminating && deletes_first(object)) return reclaim(std::move(volume));
  if (bound_to.empty()) {
    if (queue_ != nullptr) queue_->add({ref.namespace_(), ref.name()});
    return Outcome{};
  }
  const bool was_made_for_it = storage::has_annotation(object, storage::kProvisionedBy) &&
                               object.spec().persistentvolumereclaimpolicy() == "Delete";
  return was_made_for_it ? release(std::move(volume)) : unbind(std::move(volume));
}

Result<Outcome> BindingController::release(StoredVolume volume) {
  const std::string& phase = volume.object.status().phase();
  if (phase != "Released" && phase != "Failed") ORLOP_TRY(set_phase(volume, "Released"));
  // One that is on its way out and holds nothing back has been dealt with, or is none of ours.
  if (volume.object.metadata().has_deletiontimestamp() && !deletes_first(volume.object)) return Outcome{};
  return reclaim(std::move(volume));
}

Result<Outcome> BindingController::reclaim(StoredVolume volume) {
  const std::string& policy = volume.object.spec().persistentvolumereclaimpolicy();
  if (policy == "Delete") return delete_volume(std::move(volume));
  if (volume.object.metadata().has_deletiontimestamp()) return drop(std::move(volume));
  if (policy == "Recycle") return recycle(std::move(volume));
  if (policy == "Retain") return Outcome{};
  return fail(std::move(volume), "VolumeUnknownReclaimPolicy",
              {Code::kInvalid, "Volume has unrecognized PersistentVolumeReclaimPolicy"});
}

Result<Outcome> BindingController::delete_volume(StoredVolume volume) {
  const auto& source = volume.object.spec().persistentvolumesource();
  if (!source.has_csi()) {
    return fail(std::move(volume), "VolumeFailedDelete",
                {Code::kInvalid, "error getting deleter volume plugin for volume \"" + volume.object.metadata().name() +
                                     "\": no volume plugin matched"});
  }
  v1::DeleteVolumeRequest request;
  request.set_id(source.csi().volumehandle());
  const auto deleted = call<v1::DeleteVolumeResponse>(host_, {"storage", source.csi().driver(), settings_.call_ms},
                                                      "orlop.v1.StorageController/DeleteVolume", request);
  if (deleted || deleted.code() == Code::kNotFound) return drop(std::move(volume));
  // Another's driver, or one that starts again.
  if (deleted.code() == Code::kUnavailable) return Outcome{kDriverAwayNs};
  if (deleted.code() == Code::kConflict) {
    events_.about(volume.object, EventType::kNormal, "VolumeDelete", deleted.message());
    return Outcome{kInUseAgainNs};
  }
  return fail(std::move(volume), "VolumeFailedDelete", deleted.status());
}

// Nothing stands behind the object any more, or nothing that is ours to remove.
Result<Outcome> BindingController::drop(StoredVolume volume) {
  const std::string name = volume.object.metadata().name();
  const std::string uid = volume.object.metadata().uid();
  if (deletes_first(volume.object)) {
    auto& finalizers = *volume.object.mutable_metadata()->mutable_finalizers();
    finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), kDeletesVolume), finalizers.end());
    const Status written = volumes_.update(volume).status();
    if (written.code() == Code::kNotFound) return Outcome{};
    ORLOP_TRY(written);
  }
  const Status removed = volumes_.remove("", name, {}, uid);
  if (!removed && removed.code() != Code::kNotFound && removed.code() != Code::kConflict) return removed;
  return Outcome{};
}

Result<Outcome> BindingController::recycle(StoredVolume volume) {
  if (!volume.object.spec().persistentvolumesource().has_hostpath()) {
    return fail(std::move(volume), "VolumeFailedRecycle", {Code::kInvalid, "No recycler plugin found for the volume!"});
  }
  v1::RecycleRequest request;
  request.set_volume(volume.object.metadata().name());
  request.set_uid(volume.object.metadata().uid());
  const auto emptied = call<v1::RecycleResponse>(host_, {"node", only_node_of(volume.object), settings_.call_ms},
                                                 "orlop.v1.Node/Recycle", request);
  if (emptied.code() == Code::kUnavailable) return Outcome{kInUseAgainNs};
  if (!emptied) {
    return fail(std::move(volume), "VolumeFailedRecycle", {emptied.code(), "Recycle failed: " + emptied.message()});
  }
  events_.about(volume.object, EventType::kNormal, "VolumeRecycled", "Volume recycled");
  return unbind(std::move(volume));
}

// Back into the pool; one that a person has reserved stays so.
Result<Outcome> BindingController::unbind(StoredVolume volume) {
  PersistentVolume& object = volume.object;
  if (storage::has_annotation(object, storage::kBoundByController)) {
    object.mutable_spec()->clear_claimref();
    object.mutable_metadata()->mutable_annotations()->erase(std::string(storage::kBoundByController));
  } else {
    object.mutable_spec()->mutable_claimref()->clear_uid();
  }
  ORLOP_ASSIGN(volume, volumes_.update(volume));
  ORLOP_TRY(set_phase(volume, "Available"));
  return Outcome{};
}

Status BindingController::set_phase(StoredVolume& volume, std::string_view phase, std::string_view message) {
  auto& status = *volume.object.mutable_status();
  if (status.phase() == phase && status.message() == message) return Status::ok();
  status.set_phase(std::string(phase));
  status.set_message(std::string(message));
  ORLOP_ASSIGN(volume, volumes_.update_status(volume));
  return Status::ok();
}

// Told once; tried again with back-off.
Result<Outcome> BindingController::fail(StoredVolume volume, std::string_view reason, const Status& why) {
  const bool is_news = volume.object.status().phase() != "Failed";
  ORLOP_TRY(set_phase(volume, "Failed", why.message()));
  if (is_news) events_.about(volume.object, EventType::kWarning, reason, why.message());
  return why.code() == Code::kInvalid ? Result<Outcome>(Outcome{}) : Result<Outcome>(why);
}

}  // namespace orlop::volumes
