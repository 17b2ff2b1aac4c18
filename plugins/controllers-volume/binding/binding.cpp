#include "plugins/controllers-volume/binding/binding.hpp"

namespace orlop::volumes {

BindingController::BindingController(Host host, BindingSettings settings)
    : host_(host),
      settings_(settings),
      events_(host, "persistentvolume-controller"),
      claims_(host),
      volumes_(host),
      classes_(host) {}

void BindingController::reset() {
  pool_.clear();
}

void BindingController::observe(const ChangeView& change, KeyQueue& queue) {
  const RecordView& record = change.record;
  const bool gone = change.type == ChangeType::kDeleted;
  const auto size = static_cast<int>(record.value.size());
  if (record.kind == "storageclasses.storage.k8s.io") {
    wake("class/" + std::string(record.name), queue);
    wake("class/", queue);  // it may be the default one
    return;
  }
  if (record.kind == "persistentvolumeclaims") {
    const ObjectKey key{std::string(record.name_space), std::string(record.name)};
    queue.add(key);
    Claim claim;
    if (claim.ParseFromArray(record.value.data(), size) && !claim.spec().volumename().empty()) {
      queue.add({"", claim.spec().volumename()});
    }
    for (const std::string& volume : pool_.reserved_for(key)) queue.add({"", volume});
    return;
  }
  PersistentVolume volume;
  if (!volume.ParseFromArray(record.value.data(), size)) return;
  if (gone) {
    pool_.remove(std::string(record.name));
  } else {
    pool_.put(volume);
    queue.add({"", std::string(record.name)});
  }
  if (volume.spec().has_claimref()) {
    queue.add({volume.spec().claimref().namespace_(), volume.spec().claimref().name()});
  } else if (volume.status().phase() == "Available") {
    wake("class/" + storage::class_of(volume), queue);
  }
  wake("volume/" + std::string(record.name), queue);
}

Result<Outcome> BindingController::reconcile(const ObjectKey& key) {
  if (key.name_space.empty()) {
    auto volume = volumes_.get("", key.name);
    if (volume) return sync_volume(std::move(*volume));
    return volume.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(volume.status());
  }
  forget(key);
  auto claim = claims_.get(key.name_space, key.name);
  if (claim) return sync_claim(std::move(*claim));
  return claim.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(claim.status());
}

void BindingController::wait_for(const Claim& claim, std::string_view what, std::string_view name) {
  const ObjectKey key{claim.metadata().namespace_(), claim.metadata().name()};
  const std::string token = std::string(what) + "/" + std::string(name);
  const std::lock_guard lock(mutex_);
  waiting_[token].insert(key);
  waits_[key].insert(token);
}

void BindingController::forget(const ObjectKey& claim) {
  const std::lock_guard lock(mutex_);
  const auto found = waits_.find(claim);
  if (found == waits_.end()) return;
  for (const std::string& token : found->second) {
    const auto waiting = waiting_.find(token);
    waiting->second.erase(claim);
    if (waiting->second.empty()) waiting_.erase(waiting);
  }
  waits_.erase(found);
}

void BindingController::wake(const std::string& what, KeyQueue& queue) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(what);
  if (found == waiting_.end()) return;
  for (const ObjectKey& claim : found->second) queue.add(claim);
}

}  // namespace orlop::volumes
