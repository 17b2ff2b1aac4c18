#include "plugins/node-agent/environment.hpp"

#include "orlop/kube/quantity.hpp"
#include "orlop/objects.hpp"

#include <algorithm>
#include <cctype>
#include <map>

namespace orlop::agent {
namespace {

using ConfigMap = k8s::io::api::core::v1::ConfigMap;
using Secret = k8s::io::api::core::v1::Secret;
using Service = k8s::io::api::core::v1::Service;
using EnvVar = k8s::io::api::core::v1::EnvVar;

std::string upper(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return c == '-' || c == '.' ? '_' : static_cast<char>(std::toupper(c)); });
  return out;
}

void add_service(const Service& service, Environment& out) {
  const std::string& ip = service.spec().clusterip();
  if (ip.empty() || ip == "None" || service.spec().ports().empty()) return;
  const std::string prefix = upper(service.metadata().name());
  const auto& first = service.spec().ports(0);
  out.emplace_back(prefix + "_SERVICE_HOST", ip);
  out.emplace_back(prefix + "_SERVICE_PORT", std::to_string(first.port()));
  for (const auto& port : service.spec().ports()) {
    if (!port.name().empty()) {
      out.emplace_back(prefix + "_SERVICE_PORT_" + upper(port.name()), std::to_string(port.port()));
    }
  }
  const auto url = [&](const auto& port) {
    std::string protocol = port.protocol().empty() ? "tcp" : port.protocol();
    std::transform(protocol.begin(), protocol.end(), protocol.begin(), [](unsigned char c) { return std::tolower(c); });
    return std::pair(protocol, protocol + "://" + ip + ":" + std::to_string(port.port()));
  };
  out.emplace_back(prefix + "_PORT", url(first).second);
  for (const auto& port : service.spec().ports()) {
    const auto [protocol, address] = url(port);
    const std::string base = prefix + "_PORT_" + std::to_string(port.port()) + "_" + upper(protocol);
    out.emplace_back(base, address);
    out.emplace_back(base + "_PROTO", protocol);
    out.emplace_back(base + "_PORT", std::to_string(port.port()));
    out.emplace_back(base + "_ADDR", ip);
  }
}

Status add_services(const Host& host, const kube::Pod& pod, Environment& out) {
  const Objects<Service> services(host);
  if (!pod.spec().has_enableservicelinks() || pod.spec().enableservicelinks()) {
    ORLOP_TRY(services.each(pod.metadata().namespace_(), "", [&](const RecordView&, Service& service) {
      if (service.metadata().name() != "kubernetes") add_service(service, out);
      return true;
    }));
  }
  auto api = services.get("default", "kubernetes");
  if (api) add_service(api->object, out);
  return Status::ok();
}

// Secrets and ConfigMaps differ in nothing but their words.
template <typename Object>
struct Words;
template <>
struct Words<ConfigMap> {
  static constexpr const char *lower = "configmap", *kind = "ConfigMap";
};
template <>
struct Words<Secret> {
  static constexpr const char *lower = "secret", *kind = "Secret";
};

// The whole object; nothing when it is absent and may be.
template <typename Object>
Result<std::optional<Object>> fetch(const Host& host, const std::string& name_space, const std::string& name,
                                    bool optional) {
  auto found = Objects<Object>(host).get(name_space, name);
  if (found) return std::optional<Object>(std::move(found->object));
  if (found.code() != Code::kNotFound) return found.status();
  if (optional) return std::optional<Object>();
  return Status(Code::kNotFound, std::string(Words<Object>::lower) + " \"" + name + "\" not found");
}

template <typename Object, typename Reference>
Status add_from(const Host& host, const kube::Pod& pod, const std::string& prefix, const Reference& reference,
                Environment& out) {
  ORLOP_ASSIGN(auto object, fetch<Object>(host, pod.metadata().namespace_(), reference.localobjectreference().name(),
                                          reference.optional()));
  if (!object) return Status::ok();
  const std::map<std::string, std::string> sorted(object->data().begin(), object->data().end());
  for (const auto& [key, value] : sorted) out.emplace_back(prefix + key, value);
  return Status::ok();
}

template <typename Object, typename Reference>
Status add_key(const Host& host, const kube::Pod& pod, const std::string& name, const Reference& reference,
               Environment& out) {
  const std::string& object_name = reference.localobjectreference().name();
  ORLOP_ASSIGN(auto object, fetch<Object>(host, pod.metadata().namespace_(), object_name, reference.optional()));
  if (!object) return Status::ok();
  const auto value = object->data().find(reference.key());
  if (value != object->data().end()) {
    out.emplace_back(name, value->second);
    return Status::ok();
  }
  if (reference.optional()) return Status::ok();
  return {Code::kNotFound, "couldn't find key " + reference.key() + " in " + Words<Object>::kind + " " +
                               pod.metadata().namespace_() + "/" + object_name};
}

Status add_variable(const Host& host, const EnvironmentInputs& inputs, const EnvVar& variable, Environment& out) {
  const auto& from = variable.valuefrom();
  if (!variable.has_valuefrom()) {
    out.emplace_back(variable.name(), expand(variable.value(), out));
    return Status::ok();
  }
  if (from.has_configmapkeyref())
    return add_key<ConfigMap>(host, *inputs.pod, variable.name(), from.configmapkeyref(), out);
  if (from.has_secretkeyref()) return add_key<Secret>(host, *inputs.pod, variable.name(), from.secretkeyref(), out);
  if (from.has_fieldref()) {
    const auto value = field_value(inputs, from.fieldref().fieldpath());
    if (!value) return {Code::kInvalid, "unsupported fieldPath: " + from.fieldref().fieldpath()};
    out.emplace_back(variable.name(), *value);
    return Status::ok();
  }
  const auto& reference = from.resourcefieldref();
  const Container* source = inputs.container;
  for (const Container& other : inputs.pod->spec().containers()) {
    if (other.name() == reference.containername()) source = &other;
  }
  ORLOP_ASSIGN(std::string value, resource_value(inputs, *source, reference.resource(), reference.divisor().string()));
  out.emplace_back(variable.name(), std::move(value));
  return Status::ok();
}

}  // namespace

std::optional<std::string> field_value(const EnvironmentInputs& inputs, const std::string& path) {
  const kube::Pod& pod = *inputs.pod;
  const auto& metadata = pod.metadata();
  if (path == "metadata.name") return metadata.name();
  if (path == "metadata.namespace") return metadata.namespace_();
  if (path == "metadata.uid") return metadata.uid();
  if (path == "spec.nodeName") return pod.spec().nodename();
  if (path == "spec.serviceAccountName") return pod.spec().serviceaccountname();
  if (path == "status.hostIP" || path == "status.hostIPs") return inputs.host_ip;
  if (path == "status.podIP" || path == "status.podIPs") return inputs.pod_ip;
  for (const auto& [prefix, entries] : {std::pair(std::string("metadata.labels"), &metadata.labels()),
                                        std::pair(std::string("metadata.annotations"), &metadata.annotations())}) {
    if (path == prefix) {
      std::string out;
      const std::map<std::string, std::string> sorted(entries->begin(), entries->end());
      for (const auto& [key, value] : sorted) {
        out += (out.empty() ? "" : "\n") + key + "=\"";
        for (const char c : value)
          out += c == '"' || c == '\\' ? std::string("\\") + c : c == '\n' ? "\\n" : std::string(1, c);
        out += "\"";
      }
      return out;
    }
    if (path.starts_with(prefix + "['") && path.ends_with("']")) {
      const auto found = entries->find(path.substr(prefix.size() + 2, path.size() - prefix.size() - 4));
      return found == entries->end() ? std::string() : found->second;
    }
  }
  return std::nullopt;
}

Result<std::string> resource_value(const EnvironmentInputs& inputs, const Container& container,
                                   const std::string& resource, const std::string& divisor) {
  const auto dot = resource.find('.');
  const bool limit = resource.starts_with("limits.");
  if (dot == std::string::npos || (!limit && !resource.starts_with("requests."))) {
    return Status(Code::kInvalid, "unsupported container resource: " + resource);
  }
  const std::string name = resource.substr(dot + 1);
  const auto& quantities = limit ? container.resources().limits() : container.resources().requests();
  const auto found = quantities.find(name);
  int64_t milli = 0;
  if (found != quantities.end()) {
    milli = kube::quantity_milli(found->second.string());
  } else if (limit) {
    milli = name == "cpu" ? inputs.cpu_milli_total : inputs.memory_total * 1000;  // no limit: all of the machine
  }
  int64_t unit = 1000;
  if (!divisor.empty() && divisor != "0") {
    unit = std::max<int64_t>(1, kube::quantity_milli(divisor));
  }
  return std::to_string((milli + unit - 1) / unit);
}

Result<Environment> make_environment(const Host& host, const EnvironmentInputs& inputs) {
  Environment out;
  ORLOP_TRY(add_services(host, *inputs.pod, out));
  for (const auto& source : inputs.container->envfrom()) {
    if (source.has_configmapref())
      ORLOP_TRY(add_from<ConfigMap>(host, *inputs.pod, source.prefix(), source.configmapref(), out));
    if (source.has_secretref())
      ORLOP_TRY(add_from<Secret>(host, *inputs.pod, source.prefix(), source.secretref(), out));
  }
  for (const EnvVar& variable : inputs.container->env()) ORLOP_TRY(add_variable(host, inputs, variable, out));
  return out;
}

}  // namespace orlop::agent
