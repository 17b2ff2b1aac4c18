#include "plugins/controllers-volume/binding/pool.hpp"

namespace orlop::volumes {

void VolumePool::put(const PersistentVolume& volume) {
  const std::lock_guard lock(mutex_);
  const std::string& name = volume.metadata().name();
  remove_locked(name);
  Entry entry;
  entry.bytes = storage::capacity_of(volume);
  entry.class_name = storage::class_of(volume);
  auto& metadata = *entry.volume.mutable_metadata();
  *metadata.mutable_labels() = volume.metadata().labels();
  if (volume.metadata().has_deletiontimestamp()) {
    *metadata.mutable_deletiontimestamp() = volume.metadata().deletiontimestamp();
  }
  auto& spec = *entry.volume.mutable_spec();
  *spec.mutable_accessmodes() = volume.spec().accessmodes();
  spec.set_volumemode(storage::volume_mode_of(volume));
  if (volume.spec().has_nodeaffinity()) *spec.mutable_nodeaffinity() = volume.spec().nodeaffinity();
  if (volume.spec().has_claimref()) {
    *spec.mutable_claimref() = volume.spec().claimref();
    entry.claim = ObjectKey{volume.spec().claimref().namespace_(), volume.spec().claimref().name()};
    reserved_[*entry.claim].insert(name);
  } else if (volume.status().phase() == "Available") {
    free_[entry.class_name].emplace(entry.bytes, name);
  }
  entries_[name] = std::move(entry);
}

void VolumePool::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  remove_locked(name);
}

void VolumePool::remove_locked(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  const Entry& entry = found->second;
  if (entry.claim) {
    const auto reserved = reserved_.find(*entry.claim);
    reserved->second.erase(name);
    if (reserved->second.empty()) reserved_.erase(reserved);
  }
  if (const auto of_class = free_.find(entry.class_name); of_class != free_.end()) {
    of_class->second.erase({entry.bytes, name});
    if (of_class->second.empty()) free_.erase(of_class);
  }
  entries_.erase(found);
}

void VolumePool::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  free_.clear();
  reserved_.clear();
}

bool VolumePool::fits(const Entry& entry, const Claim& claim, const std::optional<NodeLook>& node) {
  const PersistentVolume& volume = entry.volume;
  if (volume.metadata().has_deletiontimestamp()) return false;
  if (volume.spec().volumemode() != storage::volume_mode_of(claim)) return false;
  return !node || storage::is_reachable_from(volume, node->name, node->labels);
}

std::optional<std::string> VolumePool::find(const Claim& claim, const std::optional<NodeLook>& node,
                                            bool reserved_only) const {
  const std::lock_guard lock(mutex_);
  const int64_t wanted = storage::request_of(claim);
  const auto reserved = reserved_.find({claim.metadata().namespace_(), claim.metadata().name()});
  if (reserved != reserved_.end()) {
    for (const std::string& name : reserved->second) {
      const Entry& entry = entries_.at(name);
      if (!storage::is_for(entry.volume, claim) || entry.bytes < wanted) continue;
      if (fits(entry, claim, std::nullopt)) return name;
    }
  }
  const auto of_class = free_.find(storage::class_of(claim));
  if (reserved_only || of_class == free_.end()) return std::nullopt;
  const bool selects = claim.spec().has_selector();
  for (auto at = of_class->second.lower_bound({wanted, ""}); at != of_class->second.end(); ++at) {
    const Entry& entry = entries_.at(at->second);
    if (selects && !kube::matches(claim.spec().selector(), entry.volume.metadata().labels())) continue;
    if (storage::has_access_modes(entry.volume, claim) && fits(entry, claim, node)) return at->second;
  }
  return std::nullopt;
}

std::vector<std::string> VolumePool::reserved_for(const ObjectKey& claim) const {
  const std::lock_guard lock(mutex_);
  const auto found = reserved_.find(claim);
  if (found == reserved_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace orlop::volumes
