// The kinds that Kubernetes 1.32 serves by default: every generally available group, and nothing that an
// --feature-gates or --runtime-config flag would have to turn on.
//
// A row is one resource in one version. Two versions of one resource (events, horizontalpodautoscalers) share a
// storage id, so an object written through one is read through the other. This header has no protobuf in it: the
// command line uses it without the schema (target orlop_kube_kinds; it is inside orlop_kubeapi too).
//
// Threads: constant data, any thread. Lifetime: static storage.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace orlop::kube {

// What the API lets one do with a resource or subresource; a bit each.
enum Verb : uint16_t {
  kVerbCreate = 1 << 0,
  kVerbDelete = 1 << 1,
  kVerbDeleteCollection = 1 << 2,
  kVerbGet = 1 << 3,
  kVerbList = 1 << 4,
  kVerbPatch = 1 << 5,
  kVerbUpdate = 1 << 6,
  kVerbWatch = 1 << 7,
};
using Verbs = uint16_t;

inline constexpr Verbs kVerbsAll =
    kVerbCreate | kVerbDelete | kVerbDeleteCollection | kVerbGet | kVerbList | kVerbPatch | kVerbUpdate | kVerbWatch;
inline constexpr Verbs kVerbsCreateOnly = kVerbCreate;
inline constexpr Verbs kVerbsReadWrite = kVerbGet | kVerbPatch | kVerbUpdate;

// A path below one object, e.g. pods/eviction. `group`, `version` and `kind` say what is sent and answered there; for
// log it is the pod's own kind, as discovery tells it. A subresource whose kind is the parent's holds the parent's.
struct Subresource {
  std::string_view name;     // "status"
  std::string_view group;    // "policy" of pods/eviction; the parent's where it has no own
  std::string_view version;  // "v1"
  std::string_view kind;     // "Eviction"
  Verbs verbs;
};

struct Kind {
  std::string_view group;  // "" for core
  std::string_view version;
  std::string_view kind;
  std::string_view list_kind;  // empty when it cannot be listed (reviews, bindings)
  std::string_view plural;     // the path segment, e.g. "networkpolicies"
  std::string_view singular;
  std::span<const std::string_view> short_names;
  std::span<const std::string_view> categories;
  bool namespaced;
  // The kernel's name for the table that holds the objects: the GroupResource string, "pods", "deployments.apps".
  std::string_view id;
  std::span<const Subresource> subresources;
  Verbs verbs;
  // Whether the API counts metadata.generation up when anything but metadata and status changes.
  bool has_generation;
  // The protobuf message, e.g. "k8s.io.api.core.v1.Pod", and its list's ("" when it cannot be listed).
  std::string_view message;
  std::string_view list_message;
  bool preferred;  // the group's preferred version
  bool storage;    // the version that objects of this storage id are kept in; one row for each id
  // false: nothing is stored, the answer is computed from the request (tokenreviews, bindings).
  bool persistent;

  [[nodiscard]] constexpr bool has(Verb verb) const { return (verbs & verb) != 0; }
  // nullptr when there is no such subresource.
  [[nodiscard]] const Subresource* subresource(std::string_view name) const;
  [[nodiscard]] std::string api_version() const;  // "v1", "apps/v1"
};

// Every row, ordered as discovery orders groups: core first, then the rest as the API's group list has them.
std::span<const Kind> kinds();

// nullptr when there is no such row. Cost: a scan of some 60 rows.
const Kind* find_kind(std::string_view group, std::string_view version, std::string_view kind);
const Kind* find_resource(std::string_view group, std::string_view version, std::string_view plural);
// The row whose version objects of this storage id are kept in.
const Kind* find_storage(std::string_view id);
// By apiVersion as objects carry it: "v1", "apps/v1".
const Kind* find_kind_of(std::string_view api_version, std::string_view kind);

struct GroupVersion {
  std::string_view group;
  std::string_view version;
};
// "v1" -> {"", "v1"}, "apps/v1" -> {"apps", "v1"}. Views into the argument; never fails.
constexpr GroupVersion split_api_version(std::string_view api_version) {
  const auto slash = api_version.rfind('/');
  if (slash == std::string_view::npos) return {"", api_version};
  return {api_version.substr(0, slash), api_version.substr(slash + 1)};
}

// "create", "deletecollection": the verbs' names as discovery spells them, in its order.
struct VerbName {
  Verb verb;
  std::string_view name;
};
inline constexpr VerbName kVerbNames[] = {
    {kVerbCreate, "create"}, {kVerbDelete, "delete"}, {kVerbDeleteCollection, "deletecollection"},
    {kVerbGet, "get"},       {kVerbList, "list"},     {kVerbPatch, "patch"},
    {kVerbUpdate, "update"}, {kVerbWatch, "watch"},
};

}  // namespace orlop::kube
