#include "plugins/api-kubernetes/rest/registry.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

std::string path_key(std::string_view group, std::string_view version, std::string_view plural) {
  std::string key;
  key.reserve(group.size() + version.size() + plural.size() + 2);
  key += group;
  key += '/';
  key += version;
  key += '/';
  key += plural;
  return key;
}

}  // namespace

Registry::Registry() {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  entries_.reserve(kube::kinds().size());
  for (const kube::Kind& kind : kube::kinds()) {
    const auto* descriptor = pool->FindMessageTypeByName(std::string(kind.message));
    if (descriptor == nullptr) continue;
    KindEntry entry;
    entry.kind = &kind;
    entry.prototype = factory->GetPrototype(descriptor);
    entry.metadata = descriptor->FindFieldByName("metadata");
    entry.api_version = kind.api_version();
    entry.qualified =
        kind.group.empty() ? std::string(kind.plural) : std::string(kind.plural) + "." + std::string(kind.group);
    entry.index = entries_.size();
    entries_.push_back(std::move(entry));
  }
  for (KindEntry& entry : entries_) {
    by_path_[path_key(entry.kind->group, entry.kind->version, entry.kind->plural)] = &entry;
    if (entry.kind->storage) by_id_[std::string(entry.kind->id)] = &entry;
  }
  for (KindEntry& entry : entries_) {
    auto found = by_id_.find(std::string(entry.kind->id));
    entry.storage = found == by_id_.end() ? &entry : found->second;
  }
}

const KindEntry* Registry::find(std::string_view group, std::string_view version, std::string_view plural) const {
  auto found = by_path_.find(path_key(group, version, plural));
  return found == by_path_.end() ? nullptr : found->second;
}

const KindEntry* Registry::find_storage(std::string_view id) const {
  auto found = by_id_.find(std::string(id));
  return found == by_id_.end() ? nullptr : found->second;
}

const Registry& registry() {
  static const Registry instance;
  return instance;
}

}  // namespace orlop::rest
