#include "kernel/lifecycle/config_schema.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace orlop::lifecycle {
namespace {

using google::protobuf::Value;

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> names{"object", "array", "string", "integer", "number", "boolean"};
  return names;
}
const std::string& name_of(Schema::Type type) {
  return type_names()[static_cast<std::size_t>(type)];
}

class Checker {
 public:
  explicit Checker(Problems& problems) : problems_(problems) {}

  void check(const Schema& schema, const Tree& tree, const std::string& where, Value& out) {
    switch (schema.type) {
      case Schema::Type::kObject:
        return check_object(schema, tree, where, *out.mutable_struct_value());
      case Schema::Type::kArray:
        return check_array(schema, tree, where, out);
      case Schema::Type::kString:
        return check_string(schema, tree, where, out);
      case Schema::Type::kInteger:
      case Schema::Type::kNumber:
        return check_number(schema, tree, where, out);
      case Schema::Type::kBoolean:
        return check_boolean(schema, tree, where, out);
    }
  }

  void check_object(const Schema& schema, const Tree& tree, const std::string& where, google::protobuf::Struct& out) {
    if (!tree.is_map() && !tree.is_null()) return wrong_type(schema, tree, where);
    for (const auto& [key, value] : tree.entries) {
      const Schema* property = schema.property(key);
      if (property == nullptr) property = schema.additional.get();
      if (property != nullptr) {
        check(*property, value, where + "." + key, (*out.mutable_fields())[key]);
      } else if (!schema.additional_allowed) {
        unknown_key(schema, value, where, key);
      } else {
        (*out.mutable_fields())[key] = untyped(value);
      }
    }
    for (const auto& name : schema.required) {
      if (tree.find(name) == nullptr) {
        add(tree, fmt::format("{} lacks the key {}", where, name),
            fmt::format("add `{}: …`{}", name, about(schema, name)));
      }
    }
    for (const auto& [name, property] : schema.properties) {
      if (tree.find(name) != nullptr) continue;
      if (property->default_value) {
        check(*property, *property->default_value, where + "." + name, (*out.mutable_fields())[name]);
      } else if (property->type == Schema::Type::kObject && has_defaults(*property)) {
        Tree nothing;
        nothing.file = tree.file;
        nothing.line = tree.line;
        check(*property, nothing, where + "." + name, (*out.mutable_fields())[name]);
      }
    }
  }

 private:
  void add(const Tree& tree, std::string what, std::string mend) {
    problems_.push_back(tree.problem(std::move(what), std::move(mend)));
  }

  static std::string about(const Schema& schema, const std::string& name) {
    const auto* property = schema.property(name);
    return property == nullptr || property->description.empty() ? "" : fmt::format(" ({})", property->description);
  }

  static bool has_defaults(const Schema& schema) {
    return schema.required.empty() &&
           std::any_of(schema.properties.begin(), schema.properties.end(), [](const auto& entry) {
             return entry.second->default_value ||
                    (entry.second->type == Schema::Type::kObject && has_defaults(*entry.second));
           });
  }

  void unknown_key(const Schema& schema, const Tree& value, const std::string& where, const std::string& key) {
    std::vector<std::string> known;
    for (const auto& entry : schema.properties) known.push_back(entry.first);
    const std::string meant = nearest(key, known);
    add(value, fmt::format("{} has no key {}", where, key),
        !meant.empty()  ? fmt::format("did you mean {}?", meant)
        : known.empty() ? std::string("remove it: there are no keys here")
                        : fmt::format("known keys: {}", fmt::join(known, ", ")));
  }

  void wrong_type(const Schema& schema, const Tree& tree, const std::string& where) {
    add(tree, fmt::format("{} is {}, not of the type {}", where, tree.describe(), name_of(schema.type)),
        example_of(schema));
  }

  static std::string example_of(const Schema& schema) {
    switch (schema.type) {
      case Schema::Type::kObject:
        return "write `key: value` lines below it";
      case Schema::Type::kArray:
        return "write `- item` lines below it, or [a, b]";
      case Schema::Type::kString:
        return "write a word, in quotes when in doubt";
      case Schema::Type::kInteger:
        return "write a whole number without quotes";
      case Schema::Type::kNumber:
        return "write a number without quotes";
      case Schema::Type::kBoolean:
        return "write true or false";
    }
    return "";
  }

  void check_array(const Schema& schema, const Tree& tree, const std::string& where, Value& out) {
    if (!tree.is_list()) return wrong_type(schema, tree, where);
    auto* list = out.mutable_list_value();
    for (std::size_t i = 0; i < tree.items.size(); ++i) {
      auto* added = list->add_values();
      if (schema.items) {
        check(*schema.items, tree.items[i], fmt::format("{}[{}]", where, i), *added);
      } else {
        *added = untyped(tree.items[i]);
      }
    }
  }

  void check_enum(const Schema& schema, const Tree& tree, const std::string& where) {
    if (schema.allowed.empty()) return;
    std::vector<std::string> words;
    for (const auto& allowed : schema.allowed) {
      if (allowed.scalar == tree.scalar) return;
      words.push_back(allowed.scalar);
    }
    const std::string meant = nearest(tree.scalar, words);
    add(tree, fmt::format("{} cannot be {}", where, tree.describe()),
        meant.empty() ? fmt::format("write one of {}", fmt::join(words, ", "))
                      : fmt::format("did you mean {}? (one of {})", meant, fmt::join(words, ", ")));
  }

  void check_string(const Schema& schema, const Tree& tree, const std::string& where, Value& out) {
    if (!tree.is_scalar()) return wrong_type(schema, tree, where);
    out.set_string_value(tree.scalar);
    check_enum(schema, tree, where);
    if (schema.pattern_regex && (tree.scalar.size() > 4096 || !std::regex_match(tree.scalar, *schema.pattern_regex))) {
      add(tree, fmt::format("{} is {}, which does not match {}", where, tree.describe(), schema.pattern),
          schema.description.empty() ? "write it in that form" : fmt::format("it means: {}", schema.description));
    }
  }

  void check_number(const Schema& schema, const Tree& tree, const std::string& where, Value& out) {
    double number = 0;
    if (schema.type == Schema::Type::kInteger) {
      int64_t integer = 0;
      if (!read_integer(tree, integer)) return wrong_type(schema, tree, where);
      number = static_cast<double>(integer);
    } else if (!read_number(tree, number)) {
      return wrong_type(schema, tree, where);
    }
    out.set_number_value(number);
    check_enum(schema, tree, where);
    if (schema.minimum && number < *schema.minimum) {
      add(tree, fmt::format("{} is {}, below its minimum", where, tree.scalar),
          fmt::format("write {} or more", *schema.minimum));
    }
    if (schema.maximum && number > *schema.maximum) {
      add(tree, fmt::format("{} is {}, above its maximum", where, tree.scalar),
          fmt::format("write {} or less", *schema.maximum));
    }
  }

  void check_boolean(const Schema& schema, const Tree& tree, const std::string& where, Value& out) {
    bool value = false;
    if (!read_boolean(tree, value)) return wrong_type(schema, tree, where);
    out.set_bool_value(value);
  }

  static Value untyped(const Tree& tree) {
    Value out;
    bool boolean = false;
    double number = 0;
    switch (tree.kind) {
      case Tree::Kind::kNull:
        out.set_null_value(google::protobuf::NULL_VALUE);
        break;
      case Tree::Kind::kScalar:
        if (read_boolean(tree, boolean)) {
          out.set_bool_value(boolean);
        } else if (read_number(tree, number)) {
          out.set_number_value(number);
        } else {
          out.set_string_value(tree.scalar);
        }
        break;
      case Tree::Kind::kList:
        out.mutable_list_value();
        for (const auto& item : tree.items) *out.mutable_list_value()->add_values() = untyped(item);
        break;
      case Tree::Kind::kMap:
        out.mutable_struct_value();
        for (const auto& [key, value] : tree.entries) {
          (*out.mutable_struct_value()->mutable_fields())[key] = untyped(value);
        }
        break;
    }
    return out;
  }

  Problems& problems_;
};

class SchemaParser {
 public:
  explicit SchemaParser(Problems& problems) : problems_(problems) {}

  std::shared_ptr<const Schema> parse(const Tree& tree) {
    auto schema = std::make_shared<Schema>();
    if (!tree.is_map()) {
      problems_.push_back(tree.problem(fmt::format("a schema is a map, not {}", tree.describe()),
                                       "write `{type: string}` or the like"));
      return schema;
    }
    read_type(tree, *schema);
    for (const auto& [key, value] : tree.entries) read_word(key, value, *schema);
    for (const auto& name : schema->required) {
      if (schema->property(name) == nullptr) {
        problems_.push_back(tree.problem(fmt::format("required names {}, which is not among the properties", name),
                                         "add it to properties"));
      }
    }
    if (schema->default_value) {
      Value scratch;
      Checker(problems_).check(*schema, *schema->default_value, "default", scratch);
    }
    return schema;
  }

 private:
  void bad(const Tree& tree, std::string what, std::string mend = {}) {
    problems_.push_back(tree.problem(std::move(what), std::move(mend)));
  }

  void read_type(const Tree& tree, Schema& schema) {
    const Tree* type = tree.find("type");
    if (type == nullptr) return bad(tree, "a schema without a type", "add `type: string` or the like");
    const auto& names = type_names();
    auto found = std::find(names.begin(), names.end(), type->scalar);
    if (found == names.end()) {
      return bad(*type, fmt::format("{} is no type", type->describe()),
                 fmt::format("write one of {}", fmt::join(names, ", ")));
    }
    schema.type = static_cast<Schema::Type>(found - names.begin());
  }

  void read_word(const std::string& word, const Tree& value, Schema& schema) {
    if (word == "type") return;
    if (word == "description") {
      schema.description = value.scalar;
    } else if (word == "properties") {
      if (!value.is_map()) return bad(value, "properties is not a map");
      for (const auto& [name, child] : value.entries) schema.properties.emplace_back(name, parse(child));
    } else if (word == "required") {
      if (!value.is_list()) return bad(value, "required is not a list");
      for (const auto& item : value.items) schema.required.push_back(item.scalar);
    } else if (word == "default") {
      schema.default_value = value;
    } else if (word == "enum") {
      if (!value.is_list() || value.items.empty()) return bad(value, "enum is not a list of values");
      schema.allowed = value.items;
    } else if (word == "minimum" || word == "maximum") {
      double number = 0;
      if (!read_number(value, number)) return bad(value, word + " is not a number");
      (word == "minimum" ? schema.minimum : schema.maximum) = number;
    } else if (word == "pattern") {
      read_pattern(value, schema);
    } else if (word == "items") {
      schema.items = parse(value);
    } else if (word == "additionalProperties") {
      if (value.is_map()) {
        schema.additional = parse(value);
      } else if (!read_boolean(value, schema.additional_allowed)) {
        bad(value, "additionalProperties is neither true, nor false, nor a schema");
      }
    } else {
      const std::string meant = nearest(word, {"type", "properties", "required", "default", "enum", "minimum",
                                               "maximum", "pattern", "items", "description", "additionalProperties"});
      bad(value, fmt::format("the word {} is not known in a config schema", word),
          meant.empty() ? "see sdk/README.md, \"The manifest\"" : fmt::format("did you mean {}?", meant));
    }
  }

  void read_pattern(const Tree& value, Schema& schema) {
    schema.pattern = value.scalar;
    try {
      schema.pattern_regex.emplace(value.scalar, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error& error) {
      bad(value, fmt::format("the pattern {} cannot be read: {}", value.scalar, error.what()));
    }
  }

  Problems& problems_;
};

}  // namespace

const Schema* Schema::property(const std::string& name) const {
  for (const auto& [key, schema] : properties) {
    if (key == name) return schema.get();
  }
  return nullptr;
}

std::shared_ptr<const Schema> parse_schema(const Tree& tree, Problems& problems) {
  return SchemaParser(problems).parse(tree);
}

google::protobuf::Struct check_settings(const Schema& schema, const Tree& settings, const std::string& where,
                                        Problems& problems) {
  google::protobuf::Struct out;
  Checker(problems).check_object(schema, settings, where, out);
  return out;
}

}  // namespace orlop::lifecycle
