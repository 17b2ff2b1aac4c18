// Typed reads and writes of one built-in kind: Objects<k8s::io::api::core::v1::Pod> pods(host).
//
// T is a message of orlop_kubeapi; its kind id comes from orlop/kube/kinds_traits.hpp. Reads are of the latest revision
// and cost one look into the store's pages and one decoding. Writes go through the gate: defaults, validation, metadata
// rules, on disk when the function returns.
//
// Threads: any. The blocking functions must not be called from Plugin::wake() or handle_call().
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/kinds_traits.hpp"
#include "orlop/serialize.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop {

// An object with the revision that it was read at: give it back to update() so that nobody's change is lost.
template <typename T>
struct Stored {
  T object;
  uint64_t revision = 0;
};

// Builds one write; several make a transaction.
template <typename T>
v1::Write make_write(v1::Verb verb, std::string_view name_space, std::string_view name) {
  v1::Write write;
  write.set_verb(verb);
  write.mutable_key()->set_kind(std::string(kube::KindOf<T>::id));
  write.mutable_key()->set_namespace_(std::string(name_space));
  write.mutable_key()->set_name(std::string(name));
  return write;
}

template <typename T>
class Objects {
 public:
  explicit Objects(Host host) : host_(host) {}

  // kNotFound when absent.
  Result<Stored<T>> get(std::string_view name_space, std::string_view name) const {
    v1::GetRequest request;
    auto* key = request.add_keys();
    key->set_kind(std::string(kube::KindOf<T>::id));
    key->set_namespace_(std::string(name_space));
    key->set_name(std::string(name));
    Stored<T> found;
    bool parsed = true;
    auto result = host_.get(request, [&](const RecordView& record) {
      found.revision = record.revision;
      parsed = found.object.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()));
      return true;
    });
    if (!result) return result.status();
    if (!parsed) return Status(Code::kInternal, unreadable(name));
    if (found.revision == 0) {
      return Status(Code::kNotFound, std::string(kube::KindOf<T>::id) + " \"" + std::string(name) + "\" not found");
    }
    return found;
  }

  // Visits every object of the namespace (all when empty) that carries the index term (any when empty). The visitor
  // must not call the host; return false to end early.
  Status each(std::string_view name_space, std::string_view index_term,
              const std::function<bool(const RecordView&, T&)>& visit) const {
    v1::ListRequest request;
    request.set_kind(std::string(kube::KindOf<T>::id));
    request.set_namespace_(std::string(name_space));
    request.set_index_term(std::string(index_term));
    T object;
    auto result = host_.list(request, [&](const RecordView& record) {
      if (!object.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) return true;
      return visit(record, object);
    });
    return result.status();
  }
  Result<std::vector<Stored<T>>> list(std::string_view name_space = {}, std::string_view index_term = {}) const {
    std::vector<Stored<T>> out;
    ORLOP_TRY(each(name_space, index_term, [&](const RecordView& record, T& object) {
      out.push_back({std::move(object), record.revision});
      object.Clear();
      return true;
    }));
    return out;
  }

  // kAlreadyExists, kInvalid, kForbidden (a namespace that is going away), kNotFound (no such namespace).
  Result<Stored<T>> create(const T& object) const {
    auto write = make_write<T>(v1::CREATE, object.metadata().namespace_(), object.metadata().name());
    return commit_one(std::move(write), &object);
  }
  // kConflict: somebody else changed it since; read again.
  Result<Stored<T>> update(const Stored<T>& stored, std::string_view subresource = {}) const {
    const T& object = stored.object;
    auto write = make_write<T>(v1::UPDATE, object.metadata().namespace_(), object.metadata().name());
    write.set_if_revision(stored.revision);
    write.set_subresource(std::string(subresource));
    write.set_skip_if_unchanged(true);
    return commit_one(std::move(write), &object);
  }
  Result<Stored<T>> update_status(const Stored<T>& stored) const { return update(stored, "status"); }

  // Graceful where the kind has grace periods. kNotFound when absent; with a uid, kConflict when it is another object.
  Status remove(std::string_view name_space, std::string_view name, const v1::DeleteOptions& options = {},
                std::string_view if_uid = {}) const {
    auto write = make_write<T>(v1::DELETE, name_space, name);
    *write.mutable_delete_options() = options;
    write.set_if_uid(std::string(if_uid));
    return commit_one(std::move(write), nullptr).status();
  }

  [[nodiscard]] const Host& host() const { return host_; }

 private:
  static std::string unreadable(std::string_view name) {
    return std::string(kube::KindOf<T>::id) + " \"" + std::string(name) + "\" cannot be decoded";
  }

  Result<Stored<T>> commit_one(v1::Write write, const T* object) const {
    v1::CommitRequest request;
    if (object != nullptr) write.set_value(serialize(*object));
    *request.add_writes() = std::move(write);
    auto result = host_.commit_wait(request);
    if (!result) return result.status();
    const v1::Written& written = result->written(0);
    Stored<T> stored;
    stored.revision = written.revision();
    if (!stored.object.ParseFromString(written.value()))
      return Status(Code::kInternal, "the store's answer cannot be decoded");
    return stored;
  }

  Host host_;
};

}  // namespace orlop
