#include "plugins/node-agent/environment.hpp"

#include "orlop/kube/quantity.hpp"
#include "orlop/objects.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

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

// The API's, and those of the pod's namespace unless it wants no links: these come later, so that they win.
Status add_services(const Host& host, const kube::Pod& pod, Environment& out) {
  const Objects<Service> services(host);
  auto api = services.get("default", "kubernetes");
  if (api) add_service(api->object, out);
  if (pod.spec().has_enableservicelinks() && !pod.spec().enableservicelinks()) return Status::ok();
  return services.each(pod.metadata().namespace_(), "", [&](const RecordView&, Service& service) {
    add_service(service, out);
    return true;
  });
}

// [-._a-zA-Z][-._a-zA-Z0-9]*
bool is_variable_name(std::string_view name) {
  const auto is_inner = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
  };
  return !name.empty() && name != "." && !name.starts_with("..") &&
         std::isdigit(static_cast<unsigned char>(name.front())) == 0 && std::all_of(name.begin(), name.end(), is_inner);
}

// Secrets and ConfigMaps differ in nothing but their words.
template <typename Object>
struct Words;
template <>
struct Words<ConfigMap> {
  static constexpr const char *lower = "configmap", *kind = "ConfigMap", *source = "configMap";
};
template <>
struct Words<Secret> {
  static constexpr const char *lower = "secret", *kind = "Secret", *source = "secret";
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
                Environment& out, std::vector<std::string>* skipped) {
  const std::string& name = reference.localobjectreference().name();
  const std::string& space = pod.metadata().namespace_();
  ORLOP_ASSIGN(auto object, fetch<Object>(host, space, name, reference.optional()));
  if (!object) return Status::ok();
  const std::map<std::string, std::string> sorted(object->data().begin(), object->data().end());
  std::string bad;
  for (const auto& [key, value] : sorted) {
    if (is_variable_name(prefix + key)) {
      out.emplace_back(prefix + key, value);
    } else {
      bad += (bad.empty() ? "" : ", ") + prefix + key;
    }
  }
  if (!bad.empty() && skipped != nullptr) {
    skipped->push_back("Keys [" + bad + "] from the EnvFrom " + Words<Object>::source + " " + space + "/" + name +
                       " were skipped since they are considered invalid environment variable names.");
  }
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

// `services`: what may be referred to beside what has been defined so far.
Status add_variable(const Host& host, const EnvironmentInputs& inputs, const EnvVar& variable,
                    const Environment& services, Environment& out) {
  const auto& from = variable.valuefrom();
  if (!variable.has_valuefrom()) {
    Environment known = services;
    known.insert(known.end(), out.begin(), out.end());
    out.emplace_back(variable.name(), expand(variable.value(), known));
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
  ORLOP_ASSIGN(std::string value, resource_of(inputs, from.resourcefieldref()));
  out.emplace_back(variable.name(), std::move(value));
  return Status::ok();
}

std::string joined(const std::vector<std::string>& several, const std::string& one) {
  std::string out;
  for (const std::string& text : several) out += (out.empty() ? "" : ",") + text;
  return out.empty() ? one : out;
}

// A value in double quotes, with the escapes of Go's %q.
std::string in_quotes(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
  return out + "\"";
}

// One of each name: the last one defined, where the first one stood.
Environment without_doubles(const Environment& all) {
  Environment out;
  std::map<std::string_view, size_t> places;
  for (const auto& [name, value] : all) {
    const auto [place, is_new] = places.try_emplace(name, out.size());
    if (is_new) {
      out.emplace_back(name, value);
    } else {
      out[place->second].second = value;
    }
  }
  return out;
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
  if (path == "status.podIP") return inputs.pod_ip;
  if (path == "status.podIPs") return joined(inputs.pod_ips, inputs.pod_ip);
  for (const auto& [prefix, entries] : {std::pair(std::string("metadata.labels"), &metadata.labels()),
                                        std::pair(std::string("metadata.annotations"), &metadata.annotations())}) {
    if (path == prefix) {
      std::string out;
      const std::map<std::string, std::string> sorted(entries->begin(), entries->end());
      for (const auto& [key, value] : sorted) {
        out += (out.empty() ? "" : "\n") + key + "=" + in_quotes(value);
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
    // No limit: all of the machine.
    milli = name == "cpu"                 ? inputs.cpu_milli_total
            : name == "memory"            ? inputs.memory_total * 1000
            : name == "ephemeral-storage" ? inputs.disk_total * 1000
                                          : 0;
  }
  int64_t unit = 1000;
  if (!divisor.empty() && kube::quantity_milli(divisor) > 0) unit = kube::quantity_milli(divisor);
  return std::to_string((milli + unit - 1) / unit);
}

Result<std::string> resource_of(const EnvironmentInputs& inputs,
                                const k8s::io::api::core::v1::ResourceFieldSelector& reference) {
  const Container* source = reference.containername().empty() ? inputs.container : nullptr;
  const auto look = [&](const auto& containers) {
    for (const Container& other : containers) {
      if (other.name() == reference.containername()) source = &other;
    }
  };
  look(inputs.pod->spec().containers());
  look(inputs.pod->spec().initcontainers());
  if (source == nullptr) return Status(Code::kInvalid, "container " + reference.containername() + " not found");
  return resource_value(inputs, *source, reference.resource(), reference.divisor().string());
}

Result<Environment> make_environment(const Host& host, const EnvironmentInputs& inputs,
                                     std::vector<std::string>* skipped) {
  Environment services, own;
  ORLOP_TRY(add_services(host, *inputs.pod, services));
  for (const auto& source : inputs.container->envfrom()) {
    if (source.has_configmapref())
      ORLOP_TRY(add_from<ConfigMap>(host, *inputs.pod, source.prefix(), source.configmapref(), own, skipped));
    if (source.has_secretref())
      ORLOP_TRY(add_from<Secret>(host, *inputs.pod, source.prefix(), source.secretref(), own, skipped));
  }
  for (const EnvVar& variable : inputs.container->env()) {
    ORLOP_TRY(add_variable(host, inputs, variable, services, own));
  }
  Environment all = std::move(services);
  all.insert(all.end(), own.begin(), own.end());
  return without_doubles(all);
}

}  // namespace orlop::agent
