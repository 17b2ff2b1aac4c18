// Field selectors: `kubectl get --field-selector` and the fieldSelector query parameter. `k=v`, `k==v`, `k!=v`, joined
// by commas; a backslash escapes `\`, `,` and `=`. Which fields a kind knows is a short list, as in Kubernetes.
//
// Threads: a parsed selector is immutable; any thread may match with it.
#pragma once

#include "orlop/result.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

struct FieldTerm {
  std::string field;  // "spec.nodeName"
  std::string value;
  bool equal = true;  // false: !=
};

class FieldSelector {
 public:
  // Selects everything.
  FieldSelector() = default;

  // kBadRequest: "invalid selector: 'x'; can't understand 'y'".
  static Result<FieldSelector> parse(std::string_view text);

  // kBadRequest when the kind does not know one of the fields: "field label not supported: x".
  // `kind_id`: the storage id, e.g. "pods". metadata.name and metadata.namespace are known to every kind.
  [[nodiscard]] Status check(std::string_view kind_id) const;

  [[nodiscard]] bool is_everything() const { return terms_.empty(); }
  [[nodiscard]] const std::vector<FieldTerm>& terms() const { return terms_; }
  // The value that `field` must have, when a term demands it: what an index or a get by name can use.
  [[nodiscard]] std::optional<std::string_view> required(std::string_view field) const;
  // Whether a term looks at more than metadata.name and metadata.namespace.
  [[nodiscard]] bool needs_object() const;
  // "node/NAME" when a term demands spec.nodeName=NAME of pods: a term of the store's index.
  [[nodiscard]] std::optional<std::string> index_term(std::string_view kind_id) const;

  // By name and namespace alone; terms on other fields count as met. Cheap: before an object is decoded.
  [[nodiscard]] bool matches_key(std::string_view name_space, std::string_view name) const;
  // All terms. `object`: the kind's stored message.
  [[nodiscard]] bool matches(std::string_view kind_id, const google::protobuf::Message& object) const;

  [[nodiscard]] std::string text() const;

 private:
  std::vector<FieldTerm> terms_;
};

// The fields that a kind knows besides metadata.name and metadata.namespace.
std::span<const std::string_view> selectable_fields(std::string_view kind_id);

// The field's value as selectors compare it; "" when unset or unknown.
std::string field_value(std::string_view kind_id, const google::protobuf::Message& object, std::string_view field);

}  // namespace orlop::apikube
