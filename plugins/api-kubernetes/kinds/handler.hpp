// One kind's own rules, as the registry holds them. A null function: the kind needs none of that sort.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"

#include <span>
#include <string_view>

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

using google::protobuf::Message;

struct KindHandler {
  std::string_view id;  // "deployments.apps"
  NameRule names = NameRule::kSubdomain;
  void (*set_defaults)(Message* object) = nullptr;
  // After the general preparation (status stripped or kept).
  void (*prepare_create)(Message* object) = nullptr;
  void (*prepare_update)(Message* object, const Message& current, std::string_view subresource) = nullptr;
  // The fields beside metadata. Called for creates and for updates of the object itself, not of its status.
  void (*validate)(const Message& object, FieldErrors* errors) = nullptr;
  // What may not change. `subresource`: as in RequestContext.
  void (*validate_update)(const Message& object, const Message& current, std::string_view subresource,
                          FieldErrors* errors) = nullptr;
};

// By group of kinds; the registry joins them.
std::span<const KindHandler> core_handlers();
std::span<const KindHandler> config_handlers();
std::span<const KindHandler> workload_handlers();
std::span<const KindHandler> storage_handlers();
std::span<const KindHandler> network_handlers();
std::span<const KindHandler> cluster_handlers();
std::span<const KindHandler> batch_handlers();

// nullptr: the kind has no rules of its own.
const KindHandler* find_handler(std::string_view kind_id);

// The message as its own type; the registry guarantees that it is.
template <typename T>
const T& as(const Message& message) {
  return static_cast<const T&>(message);
}
template <typename T>
T& as(Message* message) {
  return static_cast<T&>(*message);
}

}  // namespace orlop::apikube
