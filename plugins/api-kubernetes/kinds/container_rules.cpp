#include "plugins/api-kubernetes/kinds/container_rules.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/intstr.hpp"
#include "orlop/kube/resource.hpp"
#include "plugins/api-kubernetes/kinds/environment_rules.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

constexpr int64_t kIdMax = std::numeric_limits<int32_t>::max();

using Container = corev1::Container;

bool one_of(std::string_view value, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void validate_ports(const google::protobuf::RepeatedPtrField<corev1::ContainerPort>& ports, const FieldPath& path,
                    FieldErrors* errors) {
  std::set<std::string> names;
  for (int i = 0; i < ports.size(); ++i) {
    const auto& port = ports[i];
    const auto at = path.index(static_cast<size_t>(i));
    if (!port.name().empty()) {
      const auto faults = port_name_faults(port.name());
      errors->invalid(at.child("name"), port.name(), faults);
      if (faults.empty() && !names.insert(port.name()).second) errors->duplicate(at.child("name"), port.name());
    }
    if (port.containerport() == 0) {
      errors->required(at.child("containerPort"));
    } else {
      errors->invalid(at.child("containerPort"), port.containerport(), port_number_faults(port.containerport()));
    }
    if (port.hostport() != 0)
      errors->invalid(at.child("hostPort"), port.hostport(), port_number_faults(port.hostport()));
    if (port.protocol().empty()) {
      errors->required(at.child("protocol"));
    } else if (!one_of(port.protocol(), {"SCTP", "TCP", "UDP"})) {
      errors->not_supported(at.child("protocol"), port.protocol(), {"SCTP", "TCP", "UDP"});
    }
  }
}

// Handlers of probes and hooks have the same fields in two types.
template <typename Handler>
int validate_actions(const Handler& handler, const FieldPath& path, FieldErrors* errors) {
  int actions = 0;
  auto check_port = [&](const k8s::io::apimachinery::pkg::util::intstr::IntOrString& port, const FieldPath& at) {
    if (port.type() == 0) {
      errors->invalid(at, port.intval(), port_number_faults(port.intval()));
    } else {
      errors->invalid(at, port.strval(), port_name_faults(port.strval()));
    }
  };
  auto extra = [&](std::string_view field) {
    if (++actions > 1) errors->forbidden(path.child(field), "may not specify more than 1 handler type");
    return actions == 1;
  };
  if (handler.has_exec() && extra("exec") && handler.exec().command().empty())
    errors->required(path.child("exec", "command"));
  if (handler.has_httpget() && extra("httpGet")) {
    const auto& get = handler.httpget();
    const auto at = path.child("httpGet");
    if (get.path().empty()) errors->required(at.child("path"));
    check_port(get.port(), at.child("port"));
    if (!one_of(get.scheme(), {"HTTP", "HTTPS"}))
      errors->not_supported(at.child("scheme"), get.scheme(), {"HTTP", "HTTPS"});
    for (const auto& header : get.httpheaders()) {
      errors->invalid(at.child("httpHeaders"), header.name(), http_header_name_faults(header.name()));
    }
  }
  if (handler.has_tcpsocket() && extra("tcpSocket"))
    check_port(handler.tcpsocket().port(), path.child("tcpSocket", "port"));
  return actions;
}

void validate_probe(const corev1::Probe& probe, const FieldPath& path, FieldErrors* errors) {
  int actions = validate_actions(probe.handler(), path, errors);
  if (probe.handler().has_grpc()) {
    if (++actions > 1) errors->forbidden(path.child("grpc"), "may not specify more than 1 handler type");
    errors->invalid(path.child("grpc", "port"), probe.handler().grpc().port(),
                    port_number_faults(probe.handler().grpc().port()));
  }
  if (actions == 0) errors->required(path, "must specify a handler type");
  errors->non_negative(path.child("initialDelaySeconds"), probe.initialdelayseconds());
  errors->non_negative(path.child("timeoutSeconds"), probe.timeoutseconds());
  errors->non_negative(path.child("periodSeconds"), probe.periodseconds());
  errors->non_negative(path.child("successThreshold"), probe.successthreshold());
  errors->non_negative(path.child("failureThreshold"), probe.failurethreshold());
  if (probe.has_terminationgraceperiodseconds() && probe.terminationgraceperiodseconds() <= 0) {
    errors->invalid(path.child("terminationGracePeriodSeconds"), probe.terminationgraceperiodseconds(),
                    "must be greater than 0");
  }
}

void validate_probes(const Container& container, const FieldPath& path, FieldErrors* errors) {
  if (container.has_livenessprobe()) {
    validate_probe(container.livenessprobe(), path.child("livenessProbe"), errors);
    if (container.livenessprobe().successthreshold() != 1) {
      errors->invalid(path.child("livenessProbe", "successThreshold"), container.livenessprobe().successthreshold(),
                      "must be 1");
    }
  }
  if (container.has_startupprobe()) {
    validate_probe(container.startupprobe(), path.child("startupProbe"), errors);
    if (container.startupprobe().successthreshold() != 1) {
      errors->invalid(path.child("startupProbe", "successThreshold"), container.startupprobe().successthreshold(),
                      "must be 1");
    }
  }
  if (container.has_readinessprobe()) {
    validate_probe(container.readinessprobe(), path.child("readinessProbe"), errors);
    if (container.readinessprobe().has_terminationgraceperiodseconds()) {
      errors->invalid(path.child("readinessProbe", "terminationGracePeriodSeconds"),
                      container.readinessprobe().terminationgraceperiodseconds(),
                      "must not be set for readinessProbes");
    }
  }
}

void validate_hook(const corev1::LifecycleHandler& handler, const FieldPath& path, FieldErrors* errors) {
  int actions = validate_actions(handler, path, errors);
  if (handler.has_sleep()) {
    if (++actions > 1) errors->forbidden(path.child("sleep"), "may not specify more than 1 handler type");
    if (handler.sleep().seconds() < 0)
      errors->invalid(path.child("sleep"), handler.sleep().seconds(), "must be greater than 0");
  }
  if (actions == 0) errors->required(path, "must specify a handler type");
}

void validate_container_security(const corev1::SecurityContext& security, const FieldPath& path, FieldErrors* errors) {
  if (security.has_runasuser()) {
    errors->invalid(path.child("runAsUser"), security.runasuser(), in_range_faults(security.runasuser(), 0, kIdMax));
  }
  if (security.has_runasgroup()) {
    errors->invalid(path.child("runAsGroup"), security.runasgroup(), in_range_faults(security.runasgroup(), 0, kIdMax));
  }
  if (security.has_procmount() && !one_of(security.procmount(), {"Default", "Unmasked"})) {
    errors->not_supported(path.child("procMount"), security.procmount(), {"Default", "Unmasked"});
  }
  if (security.has_seccompprofile()) {
    validate_seccomp(security.seccompprofile().type(), security.seccompprofile().localhostprofile(),
                     path.child("seccompProfile"), errors);
  }
  if (security.has_apparmorprofile()) {
    validate_app_armor(security.apparmorprofile(), path.child("appArmorProfile"), errors);
  }
  if (!security.has_allowprivilegeescalation() || security.allowprivilegeescalation()) return;
  if (security.privileged()) {
    errors->invalid(path, ShownValue::raw("core.SecurityContext"),
                    "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  }
  for (const auto& capability : security.capabilities().add()) {
    if (capability == "CAP_SYS_ADMIN") {
      errors->invalid(path, ShownValue::raw("core.SecurityContext"),
                      "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
    }
  }
}

void validate_container(const Container& container, const KnownVolumes& volumes, const FieldPath& path, bool is_pod,
                        FieldErrors* errors) {
  if (container.name().empty()) {
    errors->required(path.child("name"));
  } else {
    errors->invalid(path.child("name"), container.name(), dns1123_label_faults(container.name()));
  }
  if (container.image().empty()) {
    errors->required(path.child("image"));
  } else if (is_pod && (container.image().front() == ' ' || container.image().back() == ' ')) {
    errors->invalid(path.child("image"), container.image(), "must not have leading or trailing whitespace");
  }
  if (container.has_lifecycle()) {
    if (container.lifecycle().has_poststart())
      validate_hook(container.lifecycle().poststart(), path.child("lifecycle", "postStart"), errors);
    if (container.lifecycle().has_prestop())
      validate_hook(container.lifecycle().prestop(), path.child("lifecycle", "preStop"), errors);
  }
  if (!one_of(container.terminationmessagepolicy(), {"File", "FallbackToLogsOnError"})) {
    errors->not_supported(path.child("terminationMessagePolicy"), container.terminationmessagepolicy(),
                          {"FallbackToLogsOnError", "File"});
  }
  validate_probes(container, path, errors);
  validate_ports(container.ports(), path.child("ports"), errors);
  validate_env(container.env(), path.child("env"), errors);
  validate_env_from(container.envfrom(), path.child("envFrom"), errors);
  validate_mounts(container.volumemounts(), container.volumedevices(), volumes,
                  container.securitycontext().privileged(), path, errors);
  if (!one_of(container.imagepullpolicy(), {"Always", "IfNotPresent", "Never"})) {
    errors->not_supported(path.child("imagePullPolicy"), container.imagepullpolicy(),
                          {"Always", "IfNotPresent", "Never"});
  }
  validate_resources(container.resources(), path.child("resources"), errors);
  validate_container_security(container.securitycontext(), path.child("securityContext"), errors);
}

void check_host_ports(const Container& container, const FieldPath& path, std::set<std::string>* taken,
                      FieldErrors* errors) {
  for (int i = 0; i < container.ports_size(); ++i) {
    const auto& port = container.ports(i);
    if (port.hostport() == 0) continue;
    auto text = fmt::format("{}/{}/{}", port.protocol(), port.hostip(), port.hostport());
    if (!taken->insert(text).second)
      errors->duplicate(path.child("ports").index(static_cast<size_t>(i)).child("hostPort"), text);
  }
}

void validate_init_container(const Container& container, const FieldPath& path, FieldErrors* errors) {
  if (container.has_restartpolicy() && container.restartpolicy() != "Always") {
    errors->not_supported(path.child("restartPolicy"), container.restartpolicy(), {"Always"});
  }
  if (container.restartpolicy() == "Always") return;  // a sidecar may have what main containers have
  if (container.has_lifecycle())
    errors->forbidden(path.child("lifecycle"), "may not be set for init containers without restartPolicy=Always");
  if (container.has_livenessprobe())
    errors->forbidden(path.child("livenessProbe"), "may not be set for init containers without restartPolicy=Always");
  if (container.has_readinessprobe())
    errors->forbidden(path.child("readinessProbe"), "may not be set for init containers without restartPolicy=Always");
  if (container.has_startupprobe())
    errors->forbidden(path.child("startupProbe"), "may not be set for init containers without restartPolicy=Always");
}

bool may_overcommit(std::string_view resource) {
  return resource.find('/') == std::string_view::npos
             ? !resource.starts_with("hugepages-")
             : resource.substr(0, resource.find('/')).ends_with("kubernetes.io");
}

}  // namespace

void validate_seccomp(const std::string& type, const std::string& localhost_profile, const FieldPath& path,
                      FieldErrors* errors) {
  if (type == "Localhost") {
    if (localhost_profile.empty())
      errors->required(path.child("localhostProfile"), "must be set when seccomp type is Localhost");
    validate_local_path(localhost_profile, path.child("localhostProfile"), errors);
    return;
  }
  if (!localhost_profile.empty()) {
    errors->invalid(path.child("localhostProfile"), localhost_profile,
                    "can only be set when seccomp type is Localhost");
  }
  if (type.empty()) {
    errors->required(path.child("type"), "type is required when seccompProfile is set");
  } else if (!one_of(type, {"RuntimeDefault", "Unconfined"})) {
    errors->not_supported(path.child("type"), type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
}

void validate_app_armor(const corev1::AppArmorProfile& profile, const FieldPath& path, FieldErrors* errors) {
  constexpr size_t kNameBytesMax = 4095;
  const auto at = path.child("localhostProfile");
  const std::string& name = profile.localhostprofile();
  const auto is_padding = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  if (profile.type() == "Localhost") {
    if (!profile.has_localhostprofile() || name.find_first_not_of(" \t\n\v\f\r") == std::string::npos) {
      errors->required(at, "must be set when AppArmor type is Localhost");
    } else if (is_padding(name.front()) || is_padding(name.back())) {
      errors->invalid(at, name, "must not be padded with whitespace");
    } else if (name.size() > kNameBytesMax) {
      errors->too_long(at, kNameBytesMax);
    }
  } else if (one_of(profile.type(), {"RuntimeDefault", "Unconfined"})) {
    if (profile.has_localhostprofile()) errors->invalid(at, name, "can only be set when AppArmor type is Localhost");
  } else if (profile.type().empty()) {
    errors->required(path.child("type"), "type is required when appArmorProfile is set");
  } else {
    errors->not_supported(path.child("type"), profile.type(), {"Localhost", "RuntimeDefault", "Unconfined"});
  }
}

void validate_resources(const corev1::ResourceRequirements& resources, const FieldPath& path, FieldErrors* errors) {
  auto check = [&](const auto& list, std::string_view field) {
    for (const auto& [name, quantity] : list) {
      const auto at = path.child(field).key(name);
      errors->invalid(at, name, qualified_name_faults(name));
      if (name.find('/') == std::string::npos && !one_of(name, {"cpu", "memory", "ephemeral-storage"}) &&
          !name.starts_with("hugepages-")) {
        errors->invalid(at, name, "must be a standard resource for containers");
      }
      const auto amount = parse_quantity(quantity.string());
      if (amount && amount->sign() < 0) errors->invalid(at, quantity.string(), "must be greater than or equal to 0");
    }
  };
  check(resources.limits(), "limits");
  check(resources.requests(), "requests");
  for (const auto& [name, quantity] : resources.requests()) {
    auto limit = resources.limits().find(name);
    if (limit == resources.limits().end()) {
      if (!may_overcommit(name))
        errors->required(path.child("limits"), "Limit must be set for non overcommitable resources");
      continue;
    }
    const auto wanted = parse_quantity(quantity.string());
    const auto most = parse_quantity(limit->second.string());
    if (!wanted || !most) continue;
    if (!may_overcommit(name) && *wanted != *most) {
      errors->invalid(path.child("requests"), quantity.string(),
                      fmt::format("must be equal to {} limit of {}", name, limit->second.string()));
    } else if (*wanted > *most) {
      errors->invalid(path.child("requests"), quantity.string(),
                      fmt::format("must be less than or equal to {} limit of {}", name, limit->second.string()));
    }
  }
}

void validate_containers(const corev1::PodSpec& spec, const KnownVolumes& volumes, const FieldPath& path, bool is_pod,
                         FieldErrors* errors) {
  std::set<std::string> names;
  auto unique = [&](const std::string& name, const FieldPath& at) {
    if (!name.empty() && !names.insert(name).second) errors->duplicate(at.child("name"), name);
  };
  const auto main_path = path.child("containers");
  if (spec.containers().empty()) errors->required(main_path);
  std::set<std::string> host_ports;
  for (int i = 0; i < spec.containers_size(); ++i) {
    const auto at = main_path.index(static_cast<size_t>(i));
    validate_container(spec.containers(i), volumes, at, is_pod, errors);
    unique(spec.containers(i).name(), at);
    check_host_ports(spec.containers(i), at, &host_ports, errors);
    if (spec.containers(i).has_restartpolicy())
      errors->forbidden(at.child("restartPolicy"), "may not be set for non-init containers");
  }
  for (int i = 0; i < spec.initcontainers_size(); ++i) {
    const auto at = path.child("initContainers").index(static_cast<size_t>(i));
    validate_container(spec.initcontainers(i), volumes, at, is_pod, errors);
    validate_init_container(spec.initcontainers(i), at, errors);
    unique(spec.initcontainers(i).name(), at);
    std::set<std::string> own;
    check_host_ports(spec.initcontainers(i), at, &own, errors);
  }
  for (int i = 0; i < spec.ephemeralcontainers_size(); ++i) {
    const auto& ephemeral = spec.ephemeralcontainers(i);
    const auto& common = ephemeral.ephemeralcontainercommon();
    const auto at = path.child("ephemeralContainers").index(static_cast<size_t>(i));
    if (common.name().empty()) {
      errors->required(at.child("name"));
    } else {
      errors->invalid(at.child("name"), common.name(), dns1123_label_faults(common.name()));
    }
    if (common.image().empty()) errors->required(at.child("image"));
    unique(common.name(), at);
    if (!common.ports().empty()) errors->forbidden(at.child("ports"), "cannot be set for an Ephemeral Container");
    if (common.has_livenessprobe())
      errors->forbidden(at.child("livenessProbe"), "cannot be set for an Ephemeral Container");
    if (common.has_readinessprobe())
      errors->forbidden(at.child("readinessProbe"), "cannot be set for an Ephemeral Container");
    if (common.has_lifecycle()) errors->forbidden(at.child("lifecycle"), "cannot be set for an Ephemeral Container");
    if (common.has_startupprobe())
      errors->forbidden(at.child("startupProbe"), "cannot be set for an Ephemeral Container");
    if (common.has_resources() && common.resources().ByteSizeLong() > 0)
      errors->forbidden(at.child("resources"), "cannot be set for an Ephemeral Container");
    if (common.has_restartpolicy())
      errors->forbidden(at.child("restartPolicy"), "cannot be set for an Ephemeral Container");
    for (int m = 0; m < common.volumemounts_size(); ++m) {
      const auto mount = at.child("volumeMounts").index(static_cast<size_t>(m));
      if (!common.volumemounts(m).subpath().empty())
        errors->forbidden(mount.child("subPath"), "cannot be set for an Ephemeral Container");
      if (!common.volumemounts(m).subpathexpr().empty())
        errors->forbidden(mount.child("subPathExpr"), "cannot be set for an Ephemeral Container");
    }
    if (!ephemeral.targetcontainername().empty()) {
      const auto& targets = spec.containers();
      const bool found = std::any_of(targets.begin(), targets.end(), [&](const auto& target) {
        return target.name() == ephemeral.targetcontainername();
      });
      if (!found) errors->not_found(at.child("targetContainerName"), ephemeral.targetcontainername());
    }
    validate_env(common.env(), at.child("env"), errors);
    validate_env_from(common.envfrom(), at.child("envFrom"), errors);
    validate_mounts(common.volumemounts(), common.volumedevices(), volumes, common.securitycontext().privileged(), at,
                    errors);
    validate_container_security(common.securitycontext(), at.child("securityContext"), errors);
    for (int j = 0; j < common.volumemounts_size(); ++j) {
      const auto mount = at.child("volumeMounts").index(static_cast<size_t>(j));
      constexpr std::string_view kNotHere = "cannot be set for an Ephemeral Container";
      if (!common.volumemounts(j).subpath().empty()) errors->forbidden(mount.child("subPath"), kNotHere);
      if (!common.volumemounts(j).subpathexpr().empty()) errors->forbidden(mount.child("subPathExpr"), kNotHere);
    }
  }
}

}  // namespace orlop::apikube
