#include "plugins/api-kubernetes/kinds/environment_rules.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Why the API has no such field; empty: it has.
std::string conversion_fault(const std::string& field) {
  static const std::set<std::string_view> kKnown = {
      "metadata.annotations", "metadata.labels",    "metadata.name",
      "metadata.namespace",   "metadata.uid",       "spec.nodeName",
      "spec.restartPolicy",   "spec.schedulerName", "spec.serviceAccountName",
      "status.hostIP",        "status.hostIPs",     "status.phase",
      "status.podIP",         "status.podIPs"};
  if (kKnown.contains(field)) return {};
  return "error converting fieldPath: field label not supported: " + field;
}

void validate_divisor(const corev1::ResourceFieldSelector& reference, const FieldPath& path, FieldErrors* errors) {
  const std::string& text = reference.divisor().string();
  if (text.empty() || quantity_or_zero(text).sign() == 0) return;
  static const std::set<std::string_view> kForCpu = {"1m", "1"};
  static const std::set<std::string_view> kForBytes = {"1",   "1k",  "1M",  "1G",  "1T",  "1P", "1E",
                                                       "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};
  const std::string& resource = reference.resource();
  const std::string name = resource.substr(resource.find('.') + 1);
  if (name == "cpu") {
    if (kForCpu.contains(text)) return;
    errors->invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  if (kForBytes.contains(text)) return;
  const std::string_view words = name == "memory"              ? "memory"
                                 : name == "ephemeral-storage" ? "local ephemeral storage"
                                                               : "hugepages";
  errors->invalid(path, resource,
                  fmt::format("only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
                              "supported with the {} resource",
                              words));
}

// Secret and config map selectors have the same fields.
template <typename Selector>
void validate_key(const Selector& selector, const FieldPath& path, FieldErrors* errors) {
  const std::string& name = selector.localobjectreference().name();
  errors->invalid(path.child("name"), name, dns1123_subdomain_faults(name));
  if (selector.key().empty()) {
    errors->required(path.child("key"));
  } else {
    errors->invalid(path.child("key"), selector.key(), config_map_key_faults(selector.key()));
  }
}

template <typename Source>
void validate_whole(const Source& source, const FieldPath& path, FieldErrors* errors) {
  const std::string& name = source.localobjectreference().name();
  if (name.empty()) {
    errors->required(path.child("name"));
  } else {
    errors->invalid(path.child("name"), name, dns1123_subdomain_faults(name));
  }
}

void validate_value_from(const corev1::EnvVar& variable, const FieldPath& path, FieldErrors* errors) {
  static const std::vector<std::string_view> kFields = {
      "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
      "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
  const auto& source = variable.valuefrom();
  if (source.has_fieldref()) validate_field_ref(source.fieldref(), kFields, path.child("fieldRef"), errors);
  if (source.has_resourcefieldref()) {
    validate_resource_ref(source.resourcefieldref(), false, path.child("resourceFieldRef"), errors);
  }
  if (source.has_configmapkeyref()) validate_key(source.configmapkeyref(), path.child("configMapKeyRef"), errors);
  if (source.has_secretkeyref()) validate_key(source.secretkeyref(), path.child("secretKeyRef"), errors);
  const int sources =
      source.has_fieldref() + source.has_resourcefieldref() + source.has_configmapkeyref() + source.has_secretkeyref();
  if (sources == 0) {
    errors->invalid(path, "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  } else if (!variable.value().empty()) {
    errors->invalid(path, "", "may not be specified when `value` is not empty");
  } else if (sources > 1) {
    errors->invalid(path, "", "may not have more than one field specified at a time");
  }
}

}  // namespace

void validate_field_ref(const corev1::ObjectFieldSelector& reference, const std::vector<std::string_view>& supported,
                        const FieldPath& path, FieldErrors* errors) {
  if (reference.apiversion().empty()) {
    errors->required(path.child("apiVersion"));
    return;
  }
  if (reference.fieldpath().empty()) {
    errors->required(path.child("fieldPath"));
    return;
  }
  const std::string& field = reference.fieldpath();
  const auto at = path.child("fieldPath");
  const size_t subscript = field.find("['");
  if (subscript != std::string::npos && field.ends_with("']")) {
    const std::string name = field.substr(0, subscript);
    const std::string key = field.substr(subscript + 2, field.size() - subscript - 4);
    if (name == "metadata.annotations") {
      errors->invalid(path, key, qualified_name_faults(lower(key)));
    } else if (name == "metadata.labels") {
      errors->invalid(path, key, qualified_name_faults(key));
    } else {
      errors->invalid(at, field, "error converting fieldPath: field label does not support subscript: " + field);
    }
    return;
  }
  if (const std::string fault = conversion_fault(field); !fault.empty()) {
    errors->invalid(at, field, fault);
  } else if (std::find(supported.begin(), supported.end(), field) == supported.end()) {
    errors->not_supported(at, field, supported);
  }
}

void validate_resource_ref(const corev1::ResourceFieldSelector& reference, bool in_volume, const FieldPath& path,
                           FieldErrors* errors) {
  static const std::vector<std::string_view> kResources = {
      "limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
      "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
  const std::string& resource = reference.resource();
  if (in_volume && reference.containername().empty()) {
    errors->required(path.child("containerName"));
  } else if (resource.empty()) {
    errors->required(path.child("resource"));
  } else if (!resource.starts_with("limits.hugepages-") && !resource.starts_with("requests.hugepages-") &&
             std::find(kResources.begin(), kResources.end(), resource) == kResources.end()) {
    errors->not_supported(path.child("resource"), resource, kResources);
  }
  validate_divisor(reference, path.child("divisor"), errors);
}

void validate_env(const google::protobuf::RepeatedPtrField<corev1::EnvVar>& env, const FieldPath& path,
                  FieldErrors* errors) {
  for (int i = 0; i < env.size(); ++i) {
    const auto at = path.index(static_cast<size_t>(i));
    if (env[i].name().empty()) {
      errors->required(at.child("name"));
    } else {
      errors->invalid(at.child("name"), env[i].name(), env_var_name_faults(env[i].name()));
    }
    if (env[i].has_valuefrom()) validate_value_from(env[i], at.child("valueFrom"), errors);
  }
}

void validate_env_from(const google::protobuf::RepeatedPtrField<corev1::EnvFromSource>& sources, const FieldPath& path,
                       FieldErrors* errors) {
  for (int i = 0; i < sources.size(); ++i) {
    const auto& source = sources[i];
    const auto at = path.index(static_cast<size_t>(i));
    if (!source.prefix().empty())
      errors->invalid(at.child("prefix"), source.prefix(), env_var_name_faults(source.prefix()));
    if (source.has_configmapref()) validate_whole(source.configmapref(), at.child("configMapRef"), errors);
    if (source.has_secretref()) validate_whole(source.secretref(), at.child("secretRef"), errors);
    if (!source.has_configmapref() && !source.has_secretref()) {
      errors->invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
    } else if (source.has_configmapref() && source.has_secretref()) {
      errors->invalid(path, "", "may not have more than one field specified at a time");
    }
  }
}

}  // namespace orlop::apikube
