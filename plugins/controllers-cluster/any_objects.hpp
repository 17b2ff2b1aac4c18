// Objects of any kind by their metadata alone: what garbage collection and namespaces need. Threads: any; blocks on
// writes.
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/kinds.hpp"
#include "orlop/v1/object.pb.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::cluster {

struct AnyStored {
  v1::Key key;
  uint64_t revision = 0;
  v1::AnyObject object;
};

// The storage ids of every kind that is stored, each once.
inline std::vector<std::string> stored_kinds(bool only_namespaced) {
  std::vector<std::string> out;
  for (const kube::Kind& kind : kube::kinds()) {
    if (kind.storage && kind.persistent && (kind.namespaced || !only_namespaced)) out.emplace_back(kind.id);
  }
  return out;
}

inline Result<std::vector<AnyStored>> list_any(const Host& host, std::string_view kind, std::string_view name_space,
                                               std::string_view index_term, uint32_t limit = 0) {
  v1::ListRequest request;
  request.set_kind(std::string(kind));
  request.set_namespace_(std::string(name_space));
  request.set_index_term(std::string(index_term));
  request.set_limit(limit);
  std::vector<AnyStored> out;
  auto result = host.list(request, [&](const RecordView& record) {
    AnyStored stored;
    if (!stored.object.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) return true;
    stored.key.set_kind(std::string(record.kind));
    stored.key.set_namespace_(std::string(record.name_space));
    stored.key.set_name(std::string(record.name));
    stored.revision = record.revision;
    out.push_back(std::move(stored));
    return true;
  });
  if (!result) return result.status();
  return out;
}

// kNotFound when absent.
inline Result<AnyStored> get_any(const Host& host, const v1::Key& key) {
  v1::GetRequest request;
  *request.add_keys() = key;
  AnyStored stored;
  auto result = host.get(request, [&](const RecordView& record) {
    stored.revision = record.revision;
    stored.object.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()));
    return true;
  });
  if (!result) return result.status();
  if (stored.revision == 0) return Status(Code::kNotFound, key.kind() + " \"" + key.name() + "\" not found");
  stored.key = key;
  return stored;
}

inline v1::Write removal_of(const AnyStored& stored, std::string_view propagation = {}) {
  v1::Write write;
  write.set_verb(v1::DELETE);
  *write.mutable_key() = stored.key;
  write.set_if_uid(stored.object.metadata().uid());
  write.mutable_delete_options()->set_propagation_policy(std::string(propagation));
  return write;
}

inline v1::Write update_of(const AnyStored& stored) {
  v1::Write write;
  write.set_verb(v1::UPDATE);
  *write.mutable_key() = stored.key;
  write.set_if_revision(stored.revision);
  stored.object.SerializeToString(write.mutable_value());
  return write;
}

// Gone or somebody else's by now is as good as done.
inline Status commit_any(const Host& host, v1::Write write) {
  v1::CommitRequest request;
  *request.add_writes() = std::move(write);
  const Status status = host.commit_wait(request).status();
  return status.code() == Code::kNotFound ? Status::ok() : status;
}

// Removes many, a hundred to a transaction; where one of a hundred stands in the way, one by one.
inline Status remove_all(const Host& host, const std::vector<AnyStored>& objects, std::string_view propagation = {}) {
  constexpr size_t kPerCommit = 100;
  for (size_t begin = 0; begin < objects.size(); begin += kPerCommit) {
    const size_t end = std::min(objects.size(), begin + kPerCommit);
    v1::CommitRequest request;
    for (size_t i = begin; i < end; ++i) *request.add_writes() = removal_of(objects[i], propagation);
    if (host.commit_wait(request)) continue;
    for (size_t i = begin; i < end; ++i) {
      const Status removed = commit_any(host, removal_of(objects[i], propagation));
      if (!removed && removed.code() != Code::kConflict) return removed;
    }
  }
  return Status::ok();
}

}  // namespace orlop::cluster
