#include "plugins/api-kubernetes/selector/fields.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string scalar_text(const Message& message, const FieldDescriptor& field) {
  const auto* reflection = message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection->GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection->GetInt64(message, &field));
    default:
      return "";
  }
}

// The messages' field names are the JSON names for all fields that selectors know.
std::string walk(const Message& root, std::string_view path) {
  const Message* message = &root;
  while (true) {
    const size_t dot = path.find('.');
    const auto* field = message->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || field->is_repeated()) return "";
    if (dot == std::string_view::npos) {
      return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE ? "" : scalar_text(*message, *field);
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "";
    message = &message->GetReflection()->GetMessage(*message, field);
    path.remove_prefix(dot + 1);
  }
}

std::string pod_addresses(const Message& pod) {
  const auto* field = pod.GetDescriptor()->FindFieldByName("status");
  if (field == nullptr) return "";
  const Message& status = pod.GetReflection()->GetMessage(pod, field);
  const auto* list = status.GetDescriptor()->FindFieldByName("podIPs");
  if (list == nullptr) return "";
  std::string text;
  for (int i = 0; i < status.GetReflection()->FieldSize(status, list); ++i) {
    if (i != 0) text += ',';
    text += walk(status.GetReflection()->GetRepeatedMessage(status, list, i), "ip");
  }
  return text;
}

}  // namespace

std::string field_value(std::string_view kind_id, const Message& object, std::string_view field) {
  if (kind_id == "events") {
    if (field == "source") {
      auto component = walk(object, "source.component");
      return component.empty() ? walk(object, "reportingComponent") : component;
    }
  } else if (kind_id == "pods") {
    if (field == "status.podIPs") return pod_addresses(object);
  } else if (kind_id == "jobs.batch") {
    if (field == "status.successful") return walk(object, "status.succeeded");
  }
  return walk(object, field);
}

}  // namespace orlop::apikube
