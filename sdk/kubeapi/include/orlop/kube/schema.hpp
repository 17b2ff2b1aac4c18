// What is known about Kubernetes' types beyond the protobuf descriptors: how each field is spelled in JSON, whether it
// is required, how lists and objects merge, defaults, enumerations, documentation. Read from the comments of the .proto
// files and the Go types beside them when Orlop is built; nothing is parsed at run time.
//
// Threads: constant data, any thread. Lifetime: views of static storage.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace orlop::kube {

namespace tables {
struct RawField;
struct RawType;
}  // namespace tables

// +listType: how two versions of a list become one in server-side apply. Unset is treated as atomic.
enum class ListType : uint8_t { kUnset = 0, kAtomic = 1, kSet = 2, kMap = 3 };

// One field of one message. A cheap handle.
class FieldSchema {
 public:
  explicit FieldSchema(const tables::RawField* raw) : raw_(raw) {}

  [[nodiscard]] int number() const;
  [[nodiscard]] std::string_view json_name() const;  // empty for an inlined one
  [[nodiscard]] std::string_view doc() const;
  // The type as Kubernetes' messages name it: "int32", "[]v1.Container", "map[string]string".
  [[nodiscard]] std::string_view go_type() const;

  [[nodiscard]] bool required() const;         // what OpenAPI's "required" lists
  [[nodiscard]] bool optional_marker() const;  // +optional
  [[nodiscard]] bool omit_empty() const;       // JSON leaves it out when empty
  [[nodiscard]] bool pointer() const;          // absence differs from zero
  [[nodiscard]] bool inlined() const;          // its fields stand in the parent's JSON object
  [[nodiscard]] bool atomic() const;           // +structType=atomic, +mapType=atomic: replaced as a whole

  // Strategic merge patch.
  [[nodiscard]] bool patch_merge() const;
  [[nodiscard]] bool patch_replace() const;
  [[nodiscard]] bool patch_retain_keys() const;
  [[nodiscard]] std::string_view patch_merge_key() const;

  // Server-side apply.
  [[nodiscard]] ListType list_type() const;
  [[nodiscard]] std::vector<std::string_view> list_map_keys() const;

  // +default as written: JSON, e.g. `"TCP"`, `1`, `{}`; empty when there is none.
  [[nodiscard]] std::string_view default_value() const;
  // The values of an enumeration (or of a list's elements), sorted; empty when it is none.
  [[nodiscard]] std::vector<std::string_view> enum_values() const;

 private:
  const tables::RawField* raw_;
};

class TypeSchema {
 public:
  explicit TypeSchema(const tables::RawType* raw) : raw_(raw) {}

  [[nodiscard]] std::string_view name() const;  // "k8s.io.api.core.v1.Pod"
  [[nodiscard]] std::string_view doc() const;
  [[nodiscard]] bool has_type_meta() const;  // its JSON may carry apiVersion and kind
  // In the order that Kubernetes writes them.
  [[nodiscard]] size_t size() const;
  [[nodiscard]] FieldSchema at(size_t index) const;
  [[nodiscard]] std::optional<FieldSchema> field(int number) const;

 private:
  const tables::RawType* raw_;
};

// By the message's full name; nothing for a type that is not Kubernetes'.
std::optional<TypeSchema> find_type(std::string_view message_name);
std::optional<FieldSchema> find_field(const google::protobuf::FieldDescriptor& field);

// How a message stands in JSON.
enum class JsonShape : uint8_t {
  kObject,
  kTime,           // RFC 3339, seconds
  kMicroTime,      // RFC 3339, microseconds
  kDuration,       // "1h2m3s"
  kQuantity,       // a string, or a number when read
  kIntOrString,    //
  kRaw,            // any JSON: RawExtension, FieldsV1, JSON
  kStringList,     // a message that wraps a list of strings
  kSchemaOrArray,  // JSONSchemaPropsOrArray
  kSchemaOrBool,
  kSchemaOrStrings,
};
JsonShape json_shape(const google::protobuf::Descriptor& descriptor);

// The field that a JSON object of this type holds under this name; inlined messages are looked into. `owners` are the
// inlined fields on the way, outermost first.
struct JsonField {
  const google::protobuf::FieldDescriptor* field;
  std::vector<const google::protobuf::FieldDescriptor*> owners;
  std::optional<FieldSchema> schema;
};
// Nothing when there is no such field. kind and apiVersion are no fields.
std::optional<JsonField> find_json_field(const google::protobuf::Descriptor& descriptor, std::string_view json_name);

// The compiled message of a kind, of a subresource's kind (Scale, Eviction, TokenRequest, …) or of an option or status
// type of meta/v1 (group "", version "v1" too). nullptr when there is none.
const google::protobuf::Descriptor* find_message(std::string_view group, std::string_view version,
                                                 std::string_view kind);
const google::protobuf::Descriptor* find_message(std::string_view full_name);
// The message that New() makes others from; never freed.
const google::protobuf::Message* prototype(const google::protobuf::Descriptor& descriptor);

}  // namespace orlop::kube
