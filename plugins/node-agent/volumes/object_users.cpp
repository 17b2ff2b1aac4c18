#include "plugins/node-agent/volumes/object_users.hpp"

namespace orlop::agent {
namespace {

template <typename Containers>
void add_variables(const std::string& space, const Containers& containers, std::set<ObjectReference>& out) {
  const auto add = [&](bool is_secret, const std::string& name) { out.insert({is_secret, space, name}); };
  for (const auto& container : containers) {
    for (const auto& source : container.envfrom()) {
      if (source.has_configmapref()) add(false, source.configmapref().localobjectreference().name());
      if (source.has_secretref()) add(true, source.secretref().localobjectreference().name());
    }
    for (const auto& variable : container.env()) {
      const auto& from = variable.valuefrom();
      if (from.has_configmapkeyref()) add(false, from.configmapkeyref().localobjectreference().name());
      if (from.has_secretkeyref()) add(true, from.secretkeyref().localobjectreference().name());
    }
  }
}

}  // namespace

std::set<ObjectReference> objects_of_volumes(const kube::Pod& pod) {
  std::set<ObjectReference> out;
  const std::string& space = pod.metadata().namespace_();
  for (const auto& volume : pod.spec().volumes()) {
    const auto& source = volume.volumesource();
    if (source.has_configmap()) out.insert({false, space, source.configmap().localobjectreference().name()});
    if (source.has_secret()) out.insert({true, space, source.secret().secretname()});
    for (const auto& part : source.projected().sources()) {
      if (part.has_configmap()) out.insert({false, space, part.configmap().localobjectreference().name()});
      if (part.has_secret()) out.insert({true, space, part.secret().localobjectreference().name()});
    }
  }
  return out;
}

std::set<ObjectReference> objects_of_variables(const kube::Pod& pod) {
  std::set<ObjectReference> out;
  add_variables(pod.metadata().namespace_(), pod.spec().containers(), out);
  add_variables(pod.metadata().namespace_(), pod.spec().initcontainers(), out);
  for (const auto& ephemeral : pod.spec().ephemeralcontainers()) {
    const std::vector<k8s::io::api::core::v1::EphemeralContainerCommon> one{ephemeral.ephemeralcontainercommon()};
    add_variables(pod.metadata().namespace_(), one, out);
  }
  return out;
}

void ObjectUsers::set(const User& user, const std::set<ObjectReference>& objects) {
  const std::lock_guard lock(mutex_);
  drop_locked(user.uid);
  if (objects.empty()) return;
  for (const ObjectReference& object : objects) users_[object][user.uid] = user.pod;
  objects_[user.uid] = objects;
}

void ObjectUsers::drop(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  drop_locked(uid);
}

void ObjectUsers::drop(const std::string& uid, const ObjectReference& object) {
  const std::lock_guard lock(mutex_);
  const auto mine = objects_.find(uid);
  if (mine == objects_.end() || mine->second.erase(object) == 0) return;
  if (mine->second.empty()) objects_.erase(mine);
  const auto found = users_.find(object);
  found->second.erase(uid);
  if (found->second.empty()) users_.erase(found);
}

void ObjectUsers::drop_locked(const std::string& uid) {
  const auto mine = objects_.find(uid);
  if (mine == objects_.end()) return;
  for (const ObjectReference& object : mine->second) {
    const auto found = users_.find(object);
    found->second.erase(uid);
    if (found->second.empty()) users_.erase(found);
  }
  objects_.erase(mine);
}

std::vector<ObjectUsers::User> ObjectUsers::of(const ObjectReference& object) const {
  const std::lock_guard lock(mutex_);
  std::vector<User> out;
  const auto found = users_.find(object);
  if (found == users_.end()) return out;
  for (const auto& [uid, pod] : found->second) out.push_back({pod, uid});
  return out;
}

}  // namespace orlop::agent
