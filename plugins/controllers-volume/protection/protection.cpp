#include "plugins/controllers-volume/protection/protection.hpp"

#include <algorithm>

namespace orlop::volumes {
namespace {

constexpr char kClaimFinalizer[] = "kubernetes.io/pvc-protection";
constexpr char kVolumeFinalizer[] = "kubernetes.io/pv-protection";

template <typename Object>
bool has_finalizer(const Object& object, const char* name) {
  const auto& all = object.metadata().finalizers();
  return std::find(all.begin(), all.end(), name) != all.end();
}

// Puts the finalizer onto a living object that lacks it, takes it off a dying one that nobody uses.
template <typename T>
Status settle(const Objects<T>& objects, Stored<T> stored, const char* name, bool in_use) {
  const bool dying = stored.object.metadata().has_deletiontimestamp();
  auto& finalizers = *stored.object.mutable_metadata()->mutable_finalizers();
  if (dying == has_finalizer(stored.object, name)) {
    if (!dying) {
      stored.object.mutable_metadata()->add_finalizers(name);
    } else if (in_use) {
      return Status::ok();
    } else {
      finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), name), finalizers.end());
    }
    const Status written = objects.update(stored).status();
    return written.code() == Code::kNotFound ? Status::ok() : written;
  }
  return Status::ok();
}

}  // namespace

void ProtectionController::observe(const ChangeView& change, KeyQueue& queue) {
  const RecordView& record = change.record;
  if (record.kind != "pods") {
    if (change.type != ChangeType::kDeleted) queue.add({std::string(record.name_space), std::string(record.name)});
    if (record.kind != "persistentvolumeclaims" || change.type != ChangeType::kDeleted) return;
    storage::Claim claim;
    if (!claim.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) return;
    if (!claim.spec().volumename().empty()) queue.add({"", claim.spec().volumename()});
    return;
  }
  kube::Pod pod;
  if (!pod.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) return;
  // Only its end can let a claim go.
  if (change.type != ChangeType::kDeleted) return;
  for (const auto& volume : pod.spec().volumes()) {
    if (const auto claim = storage::claim_name(pod, volume)) queue.add({pod.metadata().namespace_(), *claim});
  }
}

Result<Outcome> ProtectionController::reconcile(const ObjectKey& key) {
  return key.name_space.empty() ? protect_volume(key.name) : protect_claim(key);
}

Result<Outcome> ProtectionController::protect_claim(const ObjectKey& key) {
  auto claim = claims_.get(key.name_space, key.name);
  if (!claim) return claim.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(claim.status());
  bool in_use = false;
  if (claim->object.metadata().has_deletiontimestamp() && has_finalizer(claim->object, kClaimFinalizer)) {
    ORLOP_ASSIGN(in_use, has_pods(key));
  }
  ORLOP_TRY(settle(claims_, std::move(*claim), kClaimFinalizer, in_use));
  return Outcome{};
}

Result<Outcome> ProtectionController::protect_volume(const std::string& name) {
  auto volume = volumes_.get("", name);
  if (!volume) return volume.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(volume.status());
  bool in_use = false;
  if (volume->object.metadata().has_deletiontimestamp()) {
    ORLOP_ASSIGN(in_use, has_claim(volume->object));
  }
  ORLOP_TRY(settle(volumes_, std::move(*volume), kVolumeFinalizer, in_use));
  return Outcome{};
}

Result<bool> ProtectionController::has_pods(const ObjectKey& claim) const {
  bool found = false;
  ORLOP_TRY(Objects<kube::Pod>(host_).each(claim.name_space, "", [&](const RecordView&, const kube::Pod& pod) {
    // One without a node yet will not be started with a claim that is going.
    found = !pod.spec().nodename().empty() && storage::uses_claim(pod, claim.name);
    return !found;
  }));
  return found;
}

Result<bool> ProtectionController::has_claim(const storage::PersistentVolume& volume) const {
  if (volume.status().phase() == "Bound") return true;
  const auto& ref = volume.spec().claimref();
  if (ref.uid().empty()) return false;
  // Bound, though its phase has not been written yet.
  auto claim = claims_.get(ref.namespace_(), ref.name());
  if (!claim && claim.code() != Code::kNotFound) return claim.status();
  return claim && claim->object.metadata().uid() == ref.uid() &&
         claim->object.spec().volumename() == volume.metadata().name();
}

}  // namespace orlop::volumes
