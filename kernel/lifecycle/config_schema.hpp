// The config section of a manifest: a small part of JSON Schema, written in YAML, and the check of a plugin's settings
// against it.
//
// Known words: type (object, array, string, integer, number, boolean), properties, required, default, enum, minimum,
// maximum, pattern (strings; the whole string must match; ECMAScript syntax), items, description, additionalProperties
// (true, false, or a schema; false unless written). Any other word is an error of the manifest, so that a rule that
// somebody wrote is never silently not kept.
//
// Threads: a Schema is immutable after parse_schema.
#pragma once

#include "kernel/lifecycle/yaml_tree.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/struct.pb.h>

namespace orlop::lifecycle {

struct Schema {
  enum class Type : uint8_t { kObject, kArray, kString, kInteger, kNumber, kBoolean };
  Type type = Type::kObject;
  std::string description;
  std::vector<std::pair<std::string, std::shared_ptr<const Schema>>> properties;
  std::vector<std::string> required;
  std::shared_ptr<const Schema> additional;  // of properties that are not named
  bool additional_allowed = false;
  std::shared_ptr<const Schema> items;
  std::optional<Tree> default_value;
  std::vector<Tree> allowed;  // enum; empty: any
  std::optional<double> minimum, maximum;
  std::string pattern;
  std::optional<std::regex> pattern_regex;

  [[nodiscard]] const Schema* property(const std::string& name) const;
};

// Reads a schema; adds to `problems` what is wrong with it. Never null.
std::shared_ptr<const Schema> parse_schema(const Tree& tree, Problems& problems);

// Holds `settings` (kNull: nothing was written) against the schema; fills defaults in; what is wrong goes to
// `problems`, each with a way to mend it. `where` names the section for sentences. The result is complete only when
// nothing was added. Numbers become doubles, as google.protobuf.Value has no others.
google::protobuf::Struct check_settings(const Schema& schema, const Tree& settings, const std::string& where,
                                        Problems& problems);

}  // namespace orlop::lifecycle
