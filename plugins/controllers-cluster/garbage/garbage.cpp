#include "plugins/controllers-cluster/garbage/garbage.hpp"

#include "orlop/object_meta.hpp"

#include <algorithm>

namespace orlop::cluster {
namespace {

constexpr char kForeground[] = "foregroundDeletion";
constexpr char kOrphan[] = "orphan";
constexpr int64_t kLookAgainNs = 200'000'000;

ObjectKey pack(std::string_view what, std::string_view kind, std::string_view name_space, std::string_view name) {
  std::string first(what);
  first.append("/").append(kind).append("/").append(name_space);
  return {std::move(first), std::string(name)};
}

v1::Key unpack(const ObjectKey& key) {
  const auto kind = key.name_space.find('/') + 1;
  const auto name_space = key.name_space.find('/', kind);
  v1::Key out;
  out.set_kind(key.name_space.substr(kind, name_space - kind));
  out.set_namespace_(key.name_space.substr(name_space + 1));
  out.set_name(key.name);
  return out;
}

bool has_finalizer(const AnyStored& object, std::string_view wanted) {
  const auto& finalizers = object.object.metadata().finalizers();
  return std::find(finalizers.begin(), finalizers.end(), wanted) != finalizers.end();
}

void drop_finalizer(AnyStored& object, std::string_view unwanted) {
  auto* finalizers = object.object.mutable_metadata()->mutable_finalizers();
  finalizers->erase(std::remove(finalizers->begin(), finalizers->end(), unwanted), finalizers->end());
}

void drop_owner(AnyStored& object, const std::string& uid) {
  auto* owners = object.object.mutable_metadata()->mutable_owner_references();
  for (int i = owners->size() - 1; i >= 0; --i) {
    if (owners->Get(i).uid() == uid) owners->DeleteSubrange(i, 1);
  }
}

}  // namespace

std::vector<std::string> GarbageCollector::kinds() const {
  // Events and Leases own nothing and are owned by nothing that they must follow at once.
  std::vector<std::string> out;
  for (const std::string& kind : kinds_) {
    if (kind != "events" && kind != "leases.coordination.k8s.io") out.push_back(kind);
  }
  return out;
}

void GarbageCollector::observe(const ChangeView& change, KeyQueue& queue) {
  auto view = meta::parse(change.record.value);
  if (!view) return;
  if (change.type == ChangeType::kDeleted) {
    queue.add({"gone", std::string(view->uid)});
    return;
  }
  const auto& record = change.record;
  if (change.type == ChangeType::kCreated && !view->owner_uids.empty()) {
    queue.add(pack("check", record.kind, record.name_space, record.name));
  }
  if (view->deletion_timestamp && (view->has_finalizer(kForeground) || view->has_finalizer(kOrphan))) {
    queue.add(pack("end", record.kind, record.name_space, record.name));
  }
}

Result<Outcome> GarbageCollector::reconcile(const ObjectKey& key) {
  if (key.name_space == "gone") {
    ORLOP_ASSIGN(auto objects, dependents(key.name));
    for (AnyStored& object : objects) ORLOP_TRY(collect(std::move(object)));
    return Outcome{};
  }
  auto object = get_any(host_, unpack(key));
  if (!object) return object.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(object.status());
  if (key.name_space.starts_with("end/")) return finish(std::move(*object));
  ORLOP_TRY(collect(std::move(*object)));
  return Outcome{};
}

Result<std::vector<AnyStored>> GarbageCollector::dependents(const std::string& uid) const {
  std::vector<AnyStored> out;
  for (const std::string& kind : kinds_) {
    ORLOP_ASSIGN(auto objects, list_any(host_, kind, "", "owner/" + uid));
    std::move(objects.begin(), objects.end(), std::back_inserter(out));
  }
  return out;
}

Result<bool> GarbageCollector::exists(const v1::OwnerReference& owner, const std::string& name_space) const {
  const kube::Kind* kind = kube::find_kind_of(owner.api_version(), owner.kind());
  // A kind that nobody provides now may come back with its plugin: it is not taken for gone.
  if (kind == nullptr) return true;
  // An object of the cluster cannot be owned by one in a namespace: a mistake, and none to delete for.
  if (kind->namespaced && name_space.empty()) return true;
  v1::Key key;
  key.set_kind(std::string(kind->id));
  key.set_namespace_(kind->namespaced ? name_space : std::string());
  key.set_name(owner.name());
  auto found = get_any(host_, key);
  if (!found) return found.code() == Code::kNotFound ? Result<bool>(false) : Result<bool>(found.status());
  return found->object.metadata().uid() == owner.uid();
}

Status GarbageCollector::collect(AnyStored dependent) {
  const auto& metadata = dependent.object.metadata();
  if (metadata.has_deletion_timestamp() || metadata.owner_references().empty()) return Status::ok();
  std::vector<std::string> gone;
  for (const v1::OwnerReference& owner : metadata.owner_references()) {
    ORLOP_ASSIGN(const bool there, exists(owner, dependent.key.namespace_()));
    if (!there) gone.push_back(owner.uid());
  }
  if (gone.empty()) return Status::ok();
  if (static_cast<int>(gone.size()) == metadata.owner_references_size()) {
    const std::string_view policy = has_finalizer(dependent, kOrphan) ? "Orphan" : "Background";
    const Status removed = commit_any(host_, removal_of(dependent, policy));
    return removed.code() == Code::kConflict ? Status::ok() : removed;  // another object by that name now
  }
  for (const std::string& uid : gone) drop_owner(dependent, uid);
  return commit_any(host_, update_of(dependent));
}

Result<bool> GarbageCollector::keep_for_others(AnyStored& dependent, const std::string& uid) {
  if (dependent.object.metadata().has_deletion_timestamp()) return false;
  bool has_other = false;
  for (const v1::OwnerReference& owner : dependent.object.metadata().owner_references()) {
    if (owner.uid() == uid || has_other) continue;
    ORLOP_ASSIGN(has_other, exists(owner, dependent.key.namespace_()));
  }
  if (!has_other) return false;
  drop_owner(dependent, uid);
  ORLOP_TRY(commit_any(host_, update_of(dependent)));
  return true;
}

Result<Outcome> GarbageCollector::finish(AnyStored owner) {
  const auto& metadata = owner.object.metadata();
  if (!metadata.has_deletion_timestamp()) return Outcome{};
  ORLOP_ASSIGN(auto objects, dependents(metadata.uid()));
  if (has_finalizer(owner, kOrphan)) {
    for (AnyStored& object : objects) {
      drop_owner(object, metadata.uid());
      ORLOP_TRY(commit_any(host_, update_of(object)));
    }
    drop_finalizer(owner, kOrphan);
    ORLOP_TRY(commit_any(host_, update_of(owner)));
    return Outcome{};
  }
  if (!has_finalizer(owner, kForeground)) return Outcome{};
  bool blocked = false;
  std::vector<AnyStored> fresh;
  for (AnyStored& object : objects) {
    ORLOP_ASSIGN(const bool kept, keep_for_others(object, metadata.uid()));
    if (kept) continue;
    for (const v1::OwnerReference& reference : object.object.metadata().owner_references()) {
      blocked = blocked || (reference.uid() == metadata.uid() && reference.block_owner_deletion());
    }
    if (!object.object.metadata().has_deletion_timestamp()) fresh.push_back(std::move(object));
  }
  ORLOP_TRY(remove_all(host_, fresh, "Foreground"));
  if (blocked) return Outcome{kLookAgainNs};
  drop_finalizer(owner, kForeground);
  ORLOP_TRY(commit_any(host_, update_of(owner)));
  return Outcome{};
}

}  // namespace orlop::cluster
