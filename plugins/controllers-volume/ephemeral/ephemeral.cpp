#include "plugins/controllers-volume/ephemeral/ephemeral.hpp"

namespace orlop::volumes {

void EphemeralController::observe(const ChangeView& change, KeyQueue& queue) {
  const RecordView& record = change.record;
  const auto size = static_cast<int>(record.value.size());
  if (record.kind == "pods") {
    kube::Pod pod;
    if (change.type == ChangeType::kDeleted || !pod.ParseFromArray(record.value.data(), size)) return;
    const auto& volumes = pod.spec().volumes();
    const bool concerns = std::any_of(volumes.begin(), volumes.end(),
                                      [](const auto& volume) { return volume.volumesource().has_ephemeral(); });
    if (concerns) queue.add({std::string(record.name_space), std::string(record.name)});
    return;
  }
  // One that went may be missed by the pod that it belonged to.
  storage::Claim claim;
  if (change.type != ChangeType::kDeleted || !claim.ParseFromArray(record.value.data(), size)) return;
  const auto* owner = kube::controller_of(claim.metadata());
  if (owner != nullptr && owner->kind() == "Pod") queue.add({claim.metadata().namespace_(), owner->name()});
}

Result<Outcome> EphemeralController::reconcile(const ObjectKey& key) {
  auto pod = pods_.get(key.name_space, key.name);
  if (!pod) return pod.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(pod.status());
  if (kube::is_terminating(pod->object)) return Outcome{};
  for (const auto& volume : pod->object.spec().volumes()) {
    if (!volume.volumesource().has_ephemeral()) continue;
    const Status made = ensure(pod->object, volume);
    if (made) continue;
    events_.about(pod->object, EventType::kWarning, "FailedBinding",
                  "ephemeral volume " + volume.name() + ": " + made.message());
    return made;
  }
  return Outcome{};
}

Status EphemeralController::ensure(const kube::Pod& pod, const storage::PodVolume& volume) {
  const std::string name = *storage::claim_name(pod, volume);
  auto found = claims_.get(pod.metadata().namespace_(), name);
  if (found) return storage::check_ephemeral(pod, found->object);
  if (found.code() != Code::kNotFound) return found.status();
  const auto& claim_template = volume.volumesource().ephemeral().volumeclaimtemplate();
  storage::Claim claim;
  auto& metadata = *claim.mutable_metadata();
  metadata.set_name(name);
  metadata.set_namespace_(pod.metadata().namespace_());
  *metadata.mutable_labels() = claim_template.metadata().labels();
  *metadata.mutable_annotations() = claim_template.metadata().annotations();
  auto& owner = *metadata.add_ownerreferences();
  owner.set_apiversion("v1");
  owner.set_kind("Pod");
  owner.set_name(pod.metadata().name());
  owner.set_uid(pod.metadata().uid());
  owner.set_controller(true);
  owner.set_blockownerdeletion(true);
  *claim.mutable_spec() = claim_template.spec();
  const Status made = claims_.create(claim).status();
  if (made.code() == Code::kAlreadyExists) return {Code::kConflict, made.message()};
  return made;
}

}  // namespace orlop::volumes
