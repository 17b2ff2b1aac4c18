// How the lists and maps of a type merge: what strategic merge and server-side apply ask about a type. An interface, so
// that both can be tested without the Kubernetes schema and can serve custom resources.
//
// Threads: implementations are immutable. Ownership: a returned schema lives as long as the root that it came from.
#pragma once

#include <span>
#include <string_view>

namespace orlop::apikube {

// How one field merges. The defaults are those of a field without markers.
struct FieldMerge {
  bool known = false;          // the type has such a field
  bool list = false;           // the field is a list (never true for bytes)
  bool merge = false;          // patchStrategy names merge
  bool replace = false;        // patchStrategy names replace
  bool retain_keys = false;    // patchStrategy names retainKeys
  std::string_view merge_key;  // patchMergeKey; empty: the list's elements are compared whole
  // The type of the field's value, of the list's elements or of the map's values; nullptr for scalars and free-form
  // values.
  const class MergeSchema* type = nullptr;
};

class MergeSchema {
 public:
  virtual ~MergeSchema() = default;
  // By the JSON name.
  [[nodiscard]] virtual FieldMerge field(std::string_view name) const = 0;
};

// The schema of a Kubernetes message by its protobuf full name, "k8s.io.api.core.v1.Pod". Static storage; nullptr: no
// such message. Built on first use, any thread.
const MergeSchema* merge_schema(std::string_view message);

}  // namespace orlop::apikube
