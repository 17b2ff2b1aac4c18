// What is written for an owner only while the owner is as it was read: so that no two controllers act on two different
// versions of it at once.
//
// Threads: any; every function blocks, on the store at most.
#pragma once

#include "orlop/objects.hpp"

#include <string>
#include <string_view>

namespace orlop::workload {

// The owner as it was read.
template <typename Owner>
v1::Precondition unchanged(const Stored<Owner>& owner) {
  v1::Precondition precondition;
  precondition.mutable_key()->set_kind(std::string(kube::KindOf<Owner>::id));
  precondition.mutable_key()->set_namespace_(owner.object.metadata().namespace_());
  precondition.mutable_key()->set_name(owner.object.metadata().name());
  precondition.set_revision(owner.revision);
  return precondition;
}

// As Objects::create; kConflict: `only_if` no longer holds; come again.
template <typename T>
Result<Stored<T>> create_while(const v1::Precondition& only_if, const Objects<T>& objects, const T& object) {
  v1::CommitRequest request;
  *request.add_preconditions() = only_if;
  auto& write = *request.add_writes();
  write = make_write<T>(v1::CREATE, object.metadata().namespace_(), object.metadata().name());
  write.set_value(serialize(object));
  auto result = objects.host().commit_wait(request);
  if (!result) return result.status();
  Stored<T> stored;
  stored.revision = result->written(0).revision();
  if (!stored.object.ParseFromString(result->written(0).value())) {
    return Status(Code::kInternal, "the store's answer cannot be decoded");
  }
  return stored;
}

// Removes the object as it was read, whatever has become of it but its uid; one that is gone is as good. kConflict:
// `only_if` no longer holds, or another object has the name; come again.
template <typename T>
Status remove_while(const v1::Precondition& only_if, const Objects<T>& objects, const T& object) {
  const auto& metadata = object.metadata();
  v1::CommitRequest request;
  *request.add_preconditions() = only_if;
  auto& write = *request.add_writes();
  write = make_write<T>(v1::DELETE, metadata.namespace_(), metadata.name());
  write.set_if_uid(metadata.uid());
  const Status removed = objects.host().commit_wait(request).status();
  return removed.code() == Code::kNotFound ? Status::ok() : removed;
}

}  // namespace orlop::workload
