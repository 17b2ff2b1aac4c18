// The rules of Kubernetes' built-in kinds: what a write becomes before it is stored, and why it is refused.
//
// One call, KindRules::admit, does what a Kubernetes API server does between decoding and etcd, in its order: prepare
// (status and spec kept apart), defaults, built-in admission (namespace, service account, priority, default
// tolerations, protection finalizers), validation, allocation for Services. REST handlers call it for users' writes,
// the plugin's Kinds/Admit for those of other plugins; so no write bypasses a kind's rules. uid, revision, generation,
// creationTimestamp, finalizer removal and optimistic concurrency are the gate's.
//
// Threads: everything here may be called from any thread at once; each call works on its own message.
#pragma once

#include "orlop/kube/kinds.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/kinds/lookup.hpp"
#include "plugins/api-kubernetes/kinds/service_allocator.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

struct RequestContext {
  std::string verb;         // "create", "update", "patch", "delete"
  std::string subresource;  // "", "status", "scale", "binding", "ephemeralcontainers", "resize", "approval", "finalize"
  std::string user;
  std::vector<std::string> groups;
  std::string uid;
  std::chrono::system_clock::time_point now;
  bool dry_run = false;
  std::string field_validation;  // "Ignore", "Warn", "Strict"; "" is Warn
};

enum class Operation { kCreate, kUpdate, kDelete };

struct AdmitRequest {
  const kube::Kind* kind = nullptr;  // the storage row of the kind
  Operation operation = Operation::kCreate;
  std::string name_space;  // from the path or key; empty for kinds without namespaces
  std::string name;        // from the path or key; empty with generateName
  // kCreate, kUpdate: the whole object as the kind's stored message, the writer's wish. Changed in place by
  // admit_message.
  std::string value;
  std::string current;  // as stored; empty for kCreate
  // kDelete: as in DeleteOptions.
  std::optional<int64_t> grace_period_seconds;
  RequestContext context;
};

struct Admitted {
  std::string value;  // what is to be stored; empty for kDelete
  std::string name;   // differs from the request's when generateName made it
  std::vector<std::string> index_terms;
  // kDelete: what Write.grace_seconds is to be. nullopt: the kind knows no graceful deletion.
  std::optional<int64_t> grace_seconds;
  std::vector<std::string> warnings;
  // Services only; see ServiceReservation. Null otherwise.
  std::unique_ptr<ServiceReservation> reservation;
};

class KindRules {
 public:
  struct Options {
    ServiceRange services;
    // The name of the configmap that projected service account volumes mount beside the token.
    std::string root_ca_configmap = "kube-root-ca.crt";
  };
  // `reader` must outlive it. `random`: uniform 64 bits, for generated names, volume names, IPs and ports.
  static Result<std::unique_ptr<KindRules>> make(Options options, const ObjectReader& reader,
                                                 std::function<std::chrono::steady_clock::time_point()> steady_now,
                                                 std::function<uint64_t()> random);
  virtual ~KindRules() = default;

  // All of the below in the right order, from bytes to bytes.
  // kBadRequest: the bytes are no such message, or name and namespace contradict the key. kInvalid: against the kind's
  // rules; one cause for each fault. kForbidden: admission (terminating namespace, protected namespace, missing service
  // account). kNotFound: the namespace. kConflict never: that is the gate's.
  virtual Result<Admitted> admit(AdmitRequest request) const = 0;

  // The same over a decoded message of the kind's type, changed in place; `current` null for kCreate. Admitted.value
  // stays empty: the caller serialises when it needs the bytes.
  virtual Result<Admitted> admit_message(const AdmitRequest& request, google::protobuf::Message* object,
                                         const google::protobuf::Message* current) const = 0;

  // Only the defaults of the kind's schema (pkg/apis/*/v1/defaults.go), none of the admission.
  virtual void set_defaults(const kube::Kind& kind, google::protobuf::Message* object) const = 0;

  // Strips what a writer may not set.
  virtual void prepare_for_create(const kube::Kind& kind, google::protobuf::Message* object) const = 0;
  // Puts back from `current` what a write of this subresource may not change.
  virtual void prepare_for_update(const kube::Kind& kind, google::protobuf::Message* object,
                                  const google::protobuf::Message& current, std::string_view subresource) const = 0;

  virtual Status validate_create(const kube::Kind& kind, const google::protobuf::Message& object) const = 0;
  virtual Status validate_update(const kube::Kind& kind, const google::protobuf::Message& object,
                                 const google::protobuf::Message& current, std::string_view subresource) const = 0;

  // "node/NAME" for pods, "label/k=v" for pods, replicasets.apps and endpointslices.discovery.k8s.io. ("owner/UID" is
  // the gate's own.)
  virtual std::vector<std::string> index_terms(const kube::Kind& kind,
                                               const google::protobuf::Message& object) const = 0;

  // What a deletion still grants a pod, in seconds; 0 for pods without a node and finished ones. nullopt: not graceful.
  virtual std::optional<int64_t> grace_seconds(const kube::Kind& kind, const google::protobuf::Message& object,
                                               std::optional<int64_t> asked) const = 0;
};

// kNotFound `namespaces "x" not found`; kForbidden when a create meets a terminating namespace.
Status check_namespace(const ObjectReader& reader, std::string_view name_space, const kube::Kind& kind,
                       std::string_view name, Operation operation);

}  // namespace orlop::apikube
