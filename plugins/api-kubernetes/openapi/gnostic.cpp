// A v2 document as gnostic's protobuf messages (openapi.v2), which kubectl up to 1.26 asks for. Written field by field:
// the messages are many, what our documents use of them is little.
#include "plugins/api-kubernetes/openapi/model.hpp"

#include <functional>
#include <string>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

// Appends protobuf fields to a string.
class Wire {
 public:
  void text(int field, std::string_view value) {
    if (!value.empty()) bytes(field, value);
  }
  void boolean(int field, bool value) {
    if (!value) return;
    varint(static_cast<uint64_t>(field) << 3);
    out_ += '\1';
  }
  void message(int field, const Wire& value) { bytes(field, value.out_); }
  [[nodiscard]] const std::string& out() const { return out_; }

 private:
  void bytes(int field, std::string_view value) {
    varint(static_cast<uint64_t>(field) << 3 | 2);
    varint(value.size());
    out_ += value;
  }
  void varint(uint64_t value) {
    while (value >= 0x80) {
      out_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

std::string_view string_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return {value->as_string().data(), value->as_string().size()};
}

bool flag_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::string_view key_of(const json::key_value_pair& member) {
  return {member.key().data(), member.key().size()};
}

// Any{yaml}: JSON is YAML.
Wire any(const json::value& value) {
  Wire wire;
  wire.text(2, json::serialize(value));
  return wire;
}

// NamedX{name, value}
Wire named(std::string_view name, const Wire& value) {
  Wire wire;
  wire.text(1, name);
  wire.message(2, value);
  return wire;
}

void extensions(const json::object& object, int field, Wire* wire) {
  for (const auto& member : object) {
    if (key_of(member).starts_with("x-")) wire->message(field, named(key_of(member), any(member.value())));
  }
}

void texts(const json::object& object, std::string_view name, int field, Wire* wire) {
  const auto* list = object.if_contains(name);
  if (list == nullptr || !list->is_array()) return;
  for (const auto& item : list->as_array()) {
    if (item.is_string()) wire->text(field, {item.as_string().data(), item.as_string().size()});
  }
}

Wire schema(const json::object& object) {
  Wire wire;
  wire.text(1, string_of(object, "$ref"));
  wire.text(2, string_of(object, "format"));
  wire.text(4, string_of(object, "description"));
  if (const auto* value = object.if_contains("default")) wire.message(5, any(*value));
  wire.boolean(16, flag_of(object, "uniqueItems"));
  texts(object, "required", 19, &wire);
  if (const auto* values = object.if_contains("enum")) {
    for (const auto& value : values->as_array()) wire.message(20, any(value));
  }
  if (const auto* value = object.if_contains("additionalProperties")) {
    Wire item;
    item.message(1, schema(value->as_object()));
    wire.message(21, item);
  }
  if (const auto type = string_of(object, "type"); !type.empty()) {
    Wire item;
    item.text(1, type);
    wire.message(22, item);
  }
  if (const auto* value = object.if_contains("items")) {
    Wire items;
    items.message(1, schema(value->as_object()));
    wire.message(23, items);
  }
  if (const auto* value = object.if_contains("properties")) {
    Wire properties;
    for (const auto& member : value->as_object())
      properties.message(1, named(key_of(member), schema(member.value().as_object())));
    wire.message(25, properties);
  }
  extensions(object, 31, &wire);
  return wire;
}

// ParametersItem{parameter: Parameter{body_parameter | non_body_parameter{query | path}}}
Wire parameter(const json::object& object) {
  const auto in = string_of(object, "in");
  Wire choice;
  if (in == "body") {
    Wire body;
    body.text(1, string_of(object, "description"));
    body.text(2, string_of(object, "name"));
    body.text(3, in);
    body.boolean(4, flag_of(object, "required"));
    body.message(5, schema(object.at("schema").as_object()));
    choice.message(1, body);
  } else {
    const bool query = in == "query";
    Wire fields;
    fields.boolean(1, flag_of(object, "required"));
    fields.text(2, in);
    fields.text(3, string_of(object, "description"));
    fields.text(4, string_of(object, "name"));
    fields.text(query ? 6 : 5, string_of(object, "type"));
    fields.boolean(query ? 20 : 19, flag_of(object, "uniqueItems"));
    Wire non_body;
    non_body.message(query ? 3 : 4, fields);
    choice.message(2, non_body);
  }
  Wire item;
  item.message(1, choice);
  return item;
}

void parameters(const json::object& object, int field, Wire* wire) {
  const auto* list = object.if_contains("parameters");
  if (list == nullptr) return;
  for (const auto& item : list->as_array()) wire->message(field, parameter(item.as_object()));
}

Wire responses(const json::object& object) {
  Wire wire;
  for (const auto& member : object) {
    const auto& answer = member.value().as_object();
    Wire response;
    response.text(1, string_of(answer, "description"));
    if (const auto* value = answer.if_contains("schema")) {
      Wire item;
      item.message(1, schema(value->as_object()));
      response.message(2, item);
    }
    Wire choice;
    choice.message(1, response);
    wire.message(1, named(key_of(member), choice));
  }
  return wire;
}

Wire operation(const json::object& object) {
  Wire wire;
  texts(object, "tags", 1, &wire);
  wire.text(3, string_of(object, "description"));
  wire.text(5, string_of(object, "operationId"));
  texts(object, "produces", 6, &wire);
  texts(object, "consumes", 7, &wire);
  parameters(object, 8, &wire);
  wire.message(9, responses(object.at("responses").as_object()));
  texts(object, "schemes", 10, &wire);
  extensions(object, 13, &wire);
  return wire;
}

Wire path_item(const json::object& object) {
  Wire wire;
  for (auto [method, field] : {std::pair{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}}) {
    if (const auto* value = object.if_contains(method)) wire.message(field, operation(value->as_object()));
  }
  parameters(object, 9, &wire);
  return wire;
}

Wire security_definition(const json::object& object) {
  Wire key;
  key.text(1, string_of(object, "type"));
  key.text(2, string_of(object, "name"));
  key.text(3, string_of(object, "in"));
  key.text(4, string_of(object, "description"));
  Wire item;
  item.message(2, key);
  return item;
}

}  // namespace

std::string v2_document_protobuf(const json::object& document) {
  Wire wire;
  wire.text(1, string_of(document, "swagger"));
  Wire info;
  info.text(1, string_of(document.at("info").as_object(), "title"));
  info.text(2, string_of(document.at("info").as_object(), "version"));
  wire.message(2, info);
  Wire paths;
  for (const auto& member : document.at("paths").as_object())
    paths.message(2, named(key_of(member), path_item(member.value().as_object())));
  wire.message(8, paths);
  Wire definitions;
  for (const auto& member : document.at("definitions").as_object()) {
    definitions.message(1, named(key_of(member), schema(member.value().as_object())));
  }
  wire.message(9, definitions);
  Wire token;
  token.message(1, named("BearerToken", Wire()));
  wire.message(12, token);
  Wire security;
  for (const auto& member : document.at("securityDefinitions").as_object()) {
    security.message(1, named(key_of(member), security_definition(member.value().as_object())));
  }
  wire.message(13, security);
  return wire.out();
}

}  // namespace orlop::apikube
