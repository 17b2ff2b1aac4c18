#include "plugins/node-agent/pod_registry.hpp"

namespace orlop::agent {

void PodRegistry::set_queue(KeyQueue& queue) {
  const std::lock_guard lock(mutex_);
  queue_ = &queue;
}

bool PodRegistry::wake(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  if (queue_ != nullptr) queue_->add(key);
  return queue_ != nullptr;
}

void PodRegistry::wake(const std::set<ObjectKey>& keys) {
  for (const ObjectKey& key : keys) wake(key);
}

void PodRegistry::wake_all() {
  const std::lock_guard lock(mutex_);
  if (queue_ == nullptr) return;
  for (const auto& [key, memory] : memory_) queue_->add(key);
}

void PodRegistry::wake_owner(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(id);
  if (queue_ != nullptr && found != keys_.end()) queue_->add(found->second);
}

void PodRegistry::wake_waiting(const std::string& name_space, const std::string& object) {
  const std::lock_guard lock(mutex_);
  if (queue_ == nullptr) return;
  for (const auto& [key, memory] : memory_) {
    if (key.name_space != name_space || !memory->waits_for.contains(object)) continue;
    memory->config_changed = true;
    queue_->add(key);
  }
}

std::shared_ptr<PodMemory> PodRegistry::remember(const ObjectKey& key, const std::string& uid, std::string& other_uid) {
  const std::lock_guard lock(mutex_);
  auto& slot = memory_[key];
  if (slot != nullptr && slot->uid != uid) {
    other_uid = slot->uid;
    return slot;
  }
  if (slot == nullptr) {
    slot = std::make_shared<PodMemory>();
    slot->uid = uid;
  }
  return slot;
}

std::shared_ptr<PodMemory> PodRegistry::find(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = memory_.find(key);
  return found == memory_.end() ? nullptr : found->second;
}

void PodRegistry::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  memory_.erase(key);
  std::erase_if(keys_, [&](const auto& entry) { return entry.second == key; });
}

void PodRegistry::note_ids(const ObjectKey& key, const RuntimePod& runtime) {
  const std::lock_guard lock(mutex_);
  for (const auto& sandbox : runtime.sandboxes) keys_[sandbox.id()] = key;
  for (const auto& container : runtime.containers) keys_[container.id()] = key;
}

void PodRegistry::note_id(const ObjectKey& key, const std::string& id) {
  const std::lock_guard lock(mutex_);
  keys_[id] = key;
}

}  // namespace orlop::agent
