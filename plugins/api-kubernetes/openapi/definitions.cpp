#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/openapi/model.hpp"

#include <algorithm>
#include <map>
#include <span>

#include <google/protobuf/descriptor.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using kube::JsonShape;

constexpr std::string_view kMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.";
constexpr std::string_view kApiVersionDoc =
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the "
    "latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
constexpr std::string_view kKindDoc =
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client "
    "submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

json::string text(std::string_view value) {
  return json::string(json::string_view(value.data(), value.size()));
}

std::string names_of(std::string_view message) {
  return std::string(message);
}

// Which group, version and kind a message stands for.
struct GroupVersionKind {
  std::string group;
  std::string version;
  std::string kind;
};

const std::map<std::string, std::vector<GroupVersionKind>, std::less<>>& kinds_by_message() {
  static const auto table = [] {
    std::map<std::string, std::vector<GroupVersionKind>, std::less<>> map;
    auto add = [&](std::string message, GroupVersionKind kind) {
      auto& list = map[std::move(message)];
      const bool known = std::any_of(list.begin(), list.end(), [&](const auto& other) {
        return other.group == kind.group && other.version == kind.version && other.kind == kind.kind;
      });
      if (!known) list.push_back(std::move(kind));
    };
    for (const auto& kind : kube::kinds()) {
      const std::string group(kind.group);
      const std::string version(kind.version);
      add(names_of(kind.message), {group, version, std::string(kind.kind)});
      if (!kind.list_message.empty()) add(names_of(kind.list_message), {group, version, std::string(kind.list_kind)});
      for (const auto& sub : kind.subresources) {
        const auto* descriptor = kube::find_message(sub.group, sub.version, sub.kind);
        if (descriptor != nullptr)
          add(descriptor->full_name(), {std::string(sub.group), std::string(sub.version), std::string(sub.kind)});
      }
      for (const char* shared : {"DeleteOptions", "WatchEvent"})
        add(std::string(kMeta) + shared, {group, version, shared});
    }
    for (const char* own : {"Status", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions"})
      add(std::string(kMeta) + own, {"", "v1", own});
    return map;
  }();
  return table;
}

// Types with a JSON form of their own.
json::object shaped(JsonShape shape, Dialect dialect) {
  switch (shape) {
    case JsonShape::kTime:
    case JsonShape::kMicroTime:
      return {{"type", "string"}, {"format", "date-time"}};
    case JsonShape::kDuration:
      return {{"type", "string"}};
    case JsonShape::kQuantity:
      if (dialect == Dialect::kV2) return {{"type", "string"}};
      return {{"oneOf", json::array{json::object{{"type", "string"}}, json::object{{"type", "number"}}}}};
    case JsonShape::kIntOrString:
      if (dialect == Dialect::kV2) return {{"type", "string"}, {"format", "int-or-string"}};
      return {{"format", "int-or-string"},
              {"oneOf", json::array{json::object{{"type", "integer"}}, json::object{{"type", "string"}}}}};
    case JsonShape::kStringList:
      return {{"type", "array"}, {"items", json::object{{"type", "string"}}}};
    case JsonShape::kRaw:
      return {{"type", "object"}};
    default:
      return {};
  }
}

class Definitions {
 public:
  explicit Definitions(Dialect dialect) : dialect_(dialect) {}

  void add(const Descriptor& descriptor) {
    if (!done_.insert(descriptor.full_name()).second) return;
    json::object definition;
    const auto type = kube::find_type(descriptor.full_name());
    if (type && !type->doc().empty()) definition["description"] = text(type->doc());
    const auto shape = kube::json_shape(descriptor);
    if (shape == JsonShape::kObject) {
      add_object(descriptor, &definition);
    } else if (!(shape == JsonShape::kRaw && descriptor.name() == "JSON")) {
      for (auto& member : shaped(shape, dialect_)) definition[member.key()] = member.value();
    }
    add_kinds(descriptor, &definition);
    all_[definition_name(descriptor.full_name())] = std::move(definition);
  }

  json::object take() {
    json::object out;
    for (auto& [name, definition] : all_) out[name] = std::move(definition);
    return out;
  }

 private:
  static void add_kinds(const Descriptor& descriptor, json::object* definition) {
    auto found = kinds_by_message().find(descriptor.full_name());
    if (found == kinds_by_message().end()) return;
    json::array list;
    for (const auto& kind : found->second)
      list.push_back({{"group", kind.group}, {"kind", kind.kind}, {"version", kind.version}});
    (*definition)["x-kubernetes-group-version-kind"] = std::move(list);
  }

  void add_object(const Descriptor& descriptor, json::object* definition) {
    json::object properties;
    json::array required;
    const auto type = kube::find_type(descriptor.full_name());
    if (type && type->has_type_meta()) {
      properties["apiVersion"] = {{"description", text(kApiVersionDoc)}, {"type", "string"}};
      properties["kind"] = {{"description", text(kKindDoc)}, {"type", "string"}};
    }
    add_fields(descriptor, &properties, &required);
    (*definition)["type"] = "object";
    if (!properties.empty()) (*definition)["properties"] = std::move(properties);
    if (!required.empty()) (*definition)["required"] = std::move(required);
  }

  void add_fields(const Descriptor& descriptor, json::object* properties, json::array* required) {
    for (int i = 0; i < descriptor.field_count(); ++i) {
      const auto* field = descriptor.field(i);
      const auto schema = kube::find_field(*field);
      if (schema && schema->inlined()) {
        add_fields(*field->message_type(), properties, required);
        continue;
      }
      const std::string_view name = schema ? schema->json_name() : std::string_view(field->name());
      if (name.empty() || name == "-") continue;
      json::object property = value_of(*field);
      if (schema) {
        decorate(*schema, &property);
        if (schema->required()) required->push_back(text(name));
      }
      (*properties)[json::string_view(name.data(), name.size())] = std::move(property);
    }
  }

  json::object value_of(const FieldDescriptor& field) {
    if (field.is_map())
      return {{"type", "object"}, {"additionalProperties", single(*field.message_type()->map_value())}};
    if (field.is_repeated()) return {{"type", "array"}, {"items", single(field)}};
    return single(field);
  }

  json::object single(const FieldDescriptor& field) {
    switch (field.type()) {
      case FieldDescriptor::TYPE_STRING:
        return {{"type", "string"}};
      case FieldDescriptor::TYPE_BYTES:
        return {{"type", "string"}, {"format", "byte"}};
      case FieldDescriptor::TYPE_BOOL:
        return {{"type", "boolean"}};
      case FieldDescriptor::TYPE_DOUBLE:
      case FieldDescriptor::TYPE_FLOAT:
        return {{"type", "number"}, {"format", "double"}};
      case FieldDescriptor::TYPE_INT32:
      case FieldDescriptor::TYPE_UINT32:
      case FieldDescriptor::TYPE_SINT32:
        return {{"type", "integer"}, {"format", "int32"}};
      case FieldDescriptor::TYPE_MESSAGE:
        break;
      default:
        return {{"type", "integer"}, {"format", "int64"}};
    }
    const auto& type = *field.message_type();
    const auto shape = kube::json_shape(type);
    if (shape == JsonShape::kStringList || shape == JsonShape::kDuration) return shaped(shape, dialect_);
    add(type);
    return reference_to(type.full_name(), dialect_);
  }

  void decorate(const kube::FieldSchema& schema, json::object* property) {
    // OpenAPI 3.0 knows no siblings of $ref.
    if (dialect_ == Dialect::kV3 && property->contains("$ref")) {
      json::object wrapped;
      wrapped["allOf"] = json::array{json::value(std::move(*property))};
      *property = std::move(wrapped);
    }
    if (!schema.doc().empty()) (*property)["description"] = text(schema.doc());
    if (!schema.default_value().empty()) {
      json::error_code error;
      const auto value = schema.default_value();
      auto parsed = json::parse(json::string_view(value.data(), value.size()), error);
      if (!error) (*property)["default"] = std::move(parsed);
    }
    const auto values = schema.enum_values();
    if (!values.empty()) {
      json::array list;
      for (auto value : values) list.push_back(text(value));
      auto* items = property->if_contains("items");
      if (items != nullptr && items->is_object()) {
        items->as_object()["enum"] = std::move(list);
      } else {
        (*property)["enum"] = std::move(list);
      }
    }
    add_merge_extensions(schema, property);
  }

  static void add_merge_extensions(const kube::FieldSchema& schema, json::object* property) {
    switch (schema.list_type()) {
      case kube::ListType::kAtomic:
        (*property)["x-kubernetes-list-type"] = "atomic";
        break;
      case kube::ListType::kSet:
        (*property)["x-kubernetes-list-type"] = "set";
        break;
      case kube::ListType::kMap:
        (*property)["x-kubernetes-list-type"] = "map";
        break;
      case kube::ListType::kUnset:
        break;
    }
    const auto keys = schema.list_map_keys();
    if (!keys.empty()) {
      json::array list;
      for (auto key : keys) list.push_back(text(key));
      (*property)["x-kubernetes-list-map-keys"] = std::move(list);
    }
    if (schema.atomic()) (*property)["x-kubernetes-map-type"] = "atomic";
    if (!schema.patch_merge_key().empty()) (*property)["x-kubernetes-patch-merge-key"] = text(schema.patch_merge_key());
    std::string strategy;
    auto append = [&](bool has, std::string_view word) {
      if (has) strategy += (strategy.empty() ? "" : ",") + std::string(word);
    };
    append(schema.patch_merge(), "merge");
    append(schema.patch_replace(), "replace");
    append(schema.patch_retain_keys(), "retainKeys");
    if (!strategy.empty()) (*property)["x-kubernetes-patch-strategy"] = strategy;
  }

  const Dialect dialect_;
  std::set<std::string> done_;
  std::map<std::string, json::object> all_;
};

}  // namespace

std::string definition_name(std::string_view message) {
  constexpr std::string_view kPrefix = "k8s.io.";
  std::string name =
      message.starts_with(kPrefix) ? "io.k8s." + std::string(message.substr(kPrefix.size())) : std::string(message);
  // Protobuf packages cannot have hyphens, Go paths can.
  for (auto [from, to] :
       {std::pair{"apiextensions_apiserver", "apiextensions-apiserver"}, {"kube_aggregator", "kube-aggregator"}}) {
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
  }
  return name;
}

json::object reference_to(std::string_view message, Dialect dialect) {
  return {{"$ref", (dialect == Dialect::kV2 ? "#/definitions/" : "#/components/schemas/") + definition_name(message)}};
}

json::object definitions_of(const std::set<std::string>& messages, Dialect dialect) {
  Definitions definitions(dialect);
  for (const auto& message : messages) {
    if (const auto* descriptor = kube::find_message(message)) definitions.add(*descriptor);
  }
  auto all = definitions.take();
  // What a patch is depends on its content type.
  all[definition_name(std::string(kMeta) + "Patch")] = {
      {"description", "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body."},
      {"type", "object"}};
  return all;
}

std::set<std::string> messages_of(std::span<const kube::Kind* const> kinds) {
  std::set<std::string> messages;
  for (const auto* kind : kinds) {
    messages.emplace(kind->message);
    if (!kind->list_message.empty()) messages.emplace(kind->list_message);
    for (const auto& sub : kind->subresources) {
      if (const auto* descriptor = kube::find_message(sub.group, sub.version, sub.kind))
        messages.insert(descriptor->full_name());
    }
  }
  for (const char* shared : {"DeleteOptions", "Status", "WatchEvent", "APIResourceList", "APIGroup"})
    messages.insert(std::string(kMeta) + shared);
  return messages;
}

}  // namespace orlop::apikube
