#include "plugins/controllers-workload/config-restart/snapshots.hpp"

#include "orlop/names.hpp"
#include "orlop/serialize.hpp"
#include "plugins/controllers-workload/while_unchanged.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace orlop::workload {
namespace {

using ConfigMap = k8s::io::api::core::v1::ConfigMap;
using Secret = k8s::io::api::core::v1::Secret;

constexpr size_t kNameMost = 253;
constexpr size_t kSuffixLength = 8;
// The token of a service account is an identity and no configuration, and only its own controller makes one.
constexpr char kTokenType[] = "kubernetes.io/service-account-token";

ConfigMap content_of(const ConfigMap& from) {
  ConfigMap out;
  *out.mutable_data() = from.data();
  *out.mutable_binarydata() = from.binarydata();
  return out;
}
Secret content_of(const Secret& from) {
  Secret out;
  *out.mutable_data() = from.data();
  out.set_type(from.type());
  return out;
}
template <typename T>
bool same_content(const T& a, const T& b) {
  return serialize(content_of(a)) == serialize(content_of(b));
}

bool can_be_kept(const ConfigMap&) {
  return true;
}
bool can_be_kept(const Secret& secret) {
  return secret.type() != kTokenType;
}

std::string annotation_of(const kube::ObjectMeta& metadata, const char* name) {
  const auto found = metadata.annotations().find(name);
  return found == metadata.annotations().end() ? std::string() : found->second;
}
int64_t seen_of(const kube::ObjectMeta& metadata) {
  const std::string text = annotation_of(metadata, kSeenAnnotation);
  int64_t seen = 0;
  std::from_chars(text.data(), text.data() + text.size(), seen);
  return seen;
}

template <typename T>
T snapshot_of(const Stored<T>& source, const kube::OwnerReference& owner) {
  T out = content_of(source.object);
  auto& metadata = *out.mutable_metadata();
  metadata.set_namespace_(source.object.metadata().namespace_());
  metadata.set_name(source.object.metadata().name().substr(0, kNameMost - kSuffixLength - 1) + "-" +
                    random_suffix(kSuffixLength));
  (*metadata.mutable_labels())[kSnapshotLabel] = "true";
  (*metadata.mutable_annotations())[kSourceAnnotation] = source.object.metadata().name();
  *metadata.add_ownerreferences() = owner;
  out.set_immutable(true);
  return out;
}

}  // namespace

template <typename T>
Result<std::vector<Stored<T>>> Snapshots<T>::owned(const std::string& name_space,
                                                   const kube::OwnerReference& owner) const {
  ORLOP_ASSIGN(auto all, objects_.list(name_space, "owner/" + owner.uid()));
  std::erase_if(all, [](const Stored<T>& each) {
    return each.object.metadata().has_deletiontimestamp() || !each.object.metadata().labels().contains(kSnapshotLabel);
  });
  return all;
}

template <typename T>
Result<typename Snapshots<T>::Present> Snapshots<T>::read(const std::string& name_space, const std::string& name,
                                                          const kube::OwnerReference& owner) const {
  Present present;
  auto source = objects_.get(name_space, name);
  if (source && !source->object.metadata().has_deletiontimestamp() && can_be_kept(source->object)) {
    present.source = std::move(*source);
  } else if (!source && source.code() != Code::kNotFound) {
    return source.status();
  }
  ORLOP_ASSIGN(present.snapshots, owned(name_space, owner));
  std::erase_if(present.snapshots, [&](const Stored<T>& each) {
    return annotation_of(each.object.metadata(), kSourceAnnotation) != name;
  });
  for (size_t i = 0; i < present.snapshots.size(); ++i) {
    const T& snapshot = present.snapshots[i].object;
    present.seen = std::max(present.seen, seen_of(snapshot.metadata()));
    if (!present.source || !same_content(snapshot, present.source->object)) continue;
    const bool is_better =
        present.same < 0 ||
        seen_of(present.snapshots[static_cast<size_t>(present.same)].object.metadata()) < seen_of(snapshot.metadata());
    if (is_better) present.same = static_cast<int>(i);
  }
  return present;
}

template <typename T>
Result<typename Snapshots<T>::Look> Snapshots<T>::look(const std::string& name_space, const std::string& name,
                                                       const kube::OwnerReference& owner) const {
  ORLOP_ASSIGN(const Present present, read(name_space, name, owner));
  Look out;
  for (const auto& snapshot : present.snapshots) out.known.insert(snapshot.object.metadata().name());
  if (!present.source) return out;
  if (present.same >= 0) {
    const auto& metadata = present.snapshots[static_cast<size_t>(present.same)].object.metadata();
    out.latest = metadata.name();
    out.is_news = seen_of(metadata) == 0 || seen_of(metadata) < present.seen;
    return out;
  }
  auto made = objects_.create(snapshot_of(*present.source, owner));
  if (!made) {
    if (made.code() == Code::kAlreadyExists) return Status(Code::kConflict, made.message());
    return made.status();
  }
  out.latest = made->object.metadata().name();
  out.known.insert(out.latest);
  out.is_news = true;
  return out;
}

template <typename T>
Status Snapshots<T>::note_seen(const std::string& name_space, const std::string& name,
                               const kube::OwnerReference& owner, const std::string& latest) const {
  ORLOP_ASSIGN(Present present, read(name_space, name, owner));
  if (!present.source || present.same < 0) return Status::ok();
  Stored<T>& snapshot = present.snapshots[static_cast<size_t>(present.same)];
  if (snapshot.object.metadata().name() != latest) return Status::ok();
  const int64_t seen = seen_of(snapshot.object.metadata());
  if (seen != 0 && seen == present.seen) return Status::ok();
  // An object made anew may have any revision; the store's own grow all the same.
  const auto revision = std::max(static_cast<int64_t>(present.source->revision), present.seen + 1);
  (*snapshot.object.mutable_metadata()->mutable_annotations())[kSeenAnnotation] = std::to_string(revision);
  return objects_.update(snapshot).status();
}

template <typename T>
Status Snapshots<T>::remove_unused(const std::string& name_space, const kube::OwnerReference& owner,
                                   const std::set<std::string>& used, const v1::Precondition& only_if) const {
  ORLOP_ASSIGN(const auto all, owned(name_space, owner));
  std::map<std::string, int64_t> seen_last;
  for (const auto& each : all) {
    int64_t& last = seen_last[annotation_of(each.object.metadata(), kSourceAnnotation)];
    last = std::max(last, seen_of(each.object.metadata()));
  }
  for (const auto& each : all) {
    const auto& metadata = each.object.metadata();
    const int64_t seen = seen_of(metadata);
    if (seen != 0 && seen == seen_last[annotation_of(metadata, kSourceAnnotation)]) continue;
    if (used.contains(metadata.name())) continue;
    ORLOP_TRY(remove_while(only_if, objects_, each.object));
  }
  return Status::ok();
}

template class Snapshots<ConfigMap>;
template class Snapshots<Secret>;

}  // namespace orlop::workload
