// ConfigMaps and Secrets: keys, sizes, immutability, and what each type of Secret must hold.
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/json_fault.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <map>
#include <string>

namespace orlop::apikube {
namespace {

constexpr size_t kDataBytesMax = 1024 * 1024;
constexpr std::string_view kImmutable = "field is immutable when `immutable` is set";

// In an order that a message can be relied on to have.
template <typename Map>
std::map<std::string_view, std::string_view> sorted(const Map& map) {
  return {map.begin(), map.end()};
}

void config_map_validate(const Message& object, FieldErrors* errors) {
  const auto& map = as<corev1::ConfigMap>(object);
  size_t bytes = 0;
  for (const auto& [key, value] : sorted(map.data())) {
    const auto at = FieldPath("data").key(key);
    errors->invalid(at, key, config_map_key_faults(key));
    if (map.binarydata().contains(std::string(key))) {
      errors->invalid(at, key, "duplicate of key present in binaryData");
    }
    bytes += value.size();
  }
  for (const auto& [key, value] : sorted(map.binarydata())) {
    errors->invalid(FieldPath("binaryData").key(key), key, config_map_key_faults(key));
    bytes += value.size();
  }
  if (bytes > kDataBytesMax) errors->too_long(FieldPath("[]"), kDataBytesMax);
}

// Equal maps, without the order.
template <typename Map>
bool same_map(const Map& left, const Map& right) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left) {
    auto found = right.find(key);
    if (found == right.end() || found->second != value) return false;
  }
  return true;
}

void config_map_validate_update(const Message& object, const Message& current, std::string_view, FieldErrors* errors) {
  const auto& map = as<corev1::ConfigMap>(object);
  const auto& before = as<corev1::ConfigMap>(current);
  if (!before.immutable()) return;
  if (!map.immutable()) errors->forbidden(FieldPath("immutable"), kImmutable);
  if (!same_map(map.data(), before.data())) errors->forbidden(FieldPath("data"), kImmutable);
  if (!same_map(map.binarydata(), before.binarydata())) errors->forbidden(FieldPath("binaryData"), kImmutable);
}

void secret_defaults(Message* object) {
  auto& secret = as<corev1::Secret>(object);
  if (secret.type().empty()) secret.set_type("Opaque");
}

void secret_prepare(Message* object) {
  auto& secret = as<corev1::Secret>(object);
  for (const auto& [key, value] : secret.stringdata()) (*secret.mutable_data())[key] = value;
  secret.clear_stringdata();
}

void secret_prepare_update(Message* object, const Message& current, std::string_view) {
  secret_prepare(object);
  auto& secret = as<corev1::Secret>(object);
  // Since it can never change, an update may leave it out.
  if (secret.type().empty()) secret.set_type(as<corev1::Secret>(current).type());
}

void require_json(const corev1::Secret& secret, const std::string& key, FieldErrors* errors) {
  const auto at = FieldPath("data").key(key);
  const auto found = secret.data().find(key);
  if (found == secret.data().end()) {
    errors->required(at);
  } else if (const std::string fault = json_object_fault(found->second); !fault.empty()) {
    errors->invalid(at, "<secret contents redacted>", fault);
  }
}

void validate_secret_type(const corev1::Secret& secret, FieldErrors* errors) {
  const FieldPath data("data");
  const auto has = [&](const char* key) { return secret.data().contains(key); };
  if (secret.type() == "kubernetes.io/service-account-token") {
    constexpr char kName[] = "kubernetes.io/service-account.name";
    const auto found = secret.metadata().annotations().find(kName);
    if (found == secret.metadata().annotations().end() || found->second.empty()) {
      errors->required(FieldPath("metadata").child("annotations").key(kName));
    }
  } else if (secret.type() == "kubernetes.io/dockercfg") {
    require_json(secret, ".dockercfg", errors);
  } else if (secret.type() == "kubernetes.io/dockerconfigjson") {
    require_json(secret, ".dockerconfigjson", errors);
  } else if (secret.type() == "kubernetes.io/basic-auth") {
    if (has("username") || has("password")) return;
    errors->required(data.key("username"));
    errors->required(data.key("password"));
  } else if (secret.type() == "kubernetes.io/ssh-auth") {
    const auto found = secret.data().find("ssh-privatekey");
    if (found == secret.data().end() || found->second.empty()) errors->required(data.key("ssh-privatekey"));
  } else if (secret.type() == "kubernetes.io/tls") {
    if (!has("tls.crt")) errors->required(data.key("tls.crt"));
    if (!has("tls.key")) errors->required(data.key("tls.key"));
  }
}

void secret_validate(const Message& object, FieldErrors* errors) {
  const auto& secret = as<corev1::Secret>(object);
  const FieldPath data("data");
  size_t bytes = 0;
  for (const auto& [key, value] : sorted(secret.data())) {
    errors->invalid(data.key(key), key, config_map_key_faults(key));
    bytes += value.size();
  }
  if (bytes > kDataBytesMax) errors->too_long(data, kDataBytesMax);
  validate_secret_type(secret, errors);
}

void secret_validate_update(const Message& object, const Message& current, std::string_view, FieldErrors* errors) {
  const auto& secret = as<corev1::Secret>(object);
  const auto& before = as<corev1::Secret>(current);
  if (secret.type() != before.type()) errors->invalid(FieldPath("type"), secret.type(), "field is immutable");
  if (!before.immutable()) return;
  if (!secret.immutable()) errors->forbidden(FieldPath("immutable"), kImmutable);
  if (!same_map(secret.data(), before.data())) errors->forbidden(FieldPath("data"), kImmutable);
}

constexpr KindHandler kHandlers[] = {
    {.id = "configmaps", .validate = config_map_validate, .validate_update = config_map_validate_update},
    {.id = "secrets",
     .set_defaults = secret_defaults,
     .prepare_create = secret_prepare,
     .prepare_update = secret_prepare_update,
     .validate = secret_validate,
     .validate_update = secret_validate_update},
};

}  // namespace

std::span<const KindHandler> config_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
