#include "plugins/api-kubernetes/kinds/schema_rules.hpp"

#include "orlop/kube/schema.hpp"

#include <algorithm>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kDepthMax = 10;

bool is_empty(const Message& message, const FieldDescriptor& field) {
  const auto* reflection = message.GetReflection();
  // A list may be empty where it must be there.
  if (field.is_repeated()) return false;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return reflection->GetString(message, &field).empty();
  // Numbers and booleans are there when they are zero.
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return false;
  return !reflection->HasField(message, &field);
}

void check_enum(const std::string& value, const kube::FieldSchema& schema, const FieldPath& path, FieldErrors* errors) {
  const auto values = schema.enum_values();
  if (value.empty() || values.empty()) return;
  if (std::find(values.begin(), values.end(), value) == values.end()) errors->not_supported(path, value, values);
}

void walk(const Message& message, const FieldPath& path, int depth, FieldErrors* errors);

void walk_value(const Message& message, const FieldDescriptor& field, const FieldPath& path, int depth,
                FieldErrors* errors) {
  const auto* reflection = message.GetReflection();
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field.is_map()) return;
  if (kube::json_shape(*field.message_type()) != kube::JsonShape::kObject) return;
  if (!field.is_repeated()) {
    if (reflection->HasField(message, &field)) walk(reflection->GetMessage(message, &field), path, depth + 1, errors);
    return;
  }
  for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
    walk(reflection->GetRepeatedMessage(message, &field, i), path.index(static_cast<size_t>(i)), depth + 1, errors);
  }
}

void walk(const Message& message, const FieldPath& path, int depth, FieldErrors* errors) {
  if (depth > kDepthMax) return;
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    const auto schema = kube::find_field(*field);
    if (!schema) continue;
    if (schema->inlined()) {
      walk(message.GetReflection()->GetMessage(message, field), path, depth + 1, errors);
      continue;
    }
    if (depth == 0 && (schema->json_name() == "metadata" || schema->json_name() == "status")) continue;
    const auto at = depth == 0 ? FieldPath(schema->json_name()) : path.child(schema->json_name());
    if (schema->required() && is_empty(message, *field)) {
      errors->required(at);
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field->is_repeated()) {
      check_enum(message.GetReflection()->GetString(message, field), *schema, at, errors);
    }
    walk_value(message, *field, at, depth, errors);
  }
}

}  // namespace

void validate_by_schema(const Message& object, FieldErrors* errors) {
  walk(object, FieldPath(), 0, errors);
}

}  // namespace orlop::apikube
