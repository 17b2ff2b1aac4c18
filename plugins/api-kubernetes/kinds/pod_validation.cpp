#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/container_rules.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace orlop::apikube {
namespace {

constexpr int64_t kIdMax = std::numeric_limits<int32_t>::max();

bool is_address(const std::string& text) {
  in6_addr buffer;
  return inet_pton(AF_INET, text.c_str(), &buffer) == 1 || inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

void validate_enum(const std::string& value, const FieldPath& path, std::initializer_list<std::string_view> supported,
                   FieldErrors* errors) {
  if (value.empty()) {
    errors->required(path);
  } else if (std::find(supported.begin(), supported.end(), value) == supported.end()) {
    errors->not_supported(path, value, supported);
  }
}

void validate_searches(const corev1::PodDNSConfig& dns, const FieldPath& path, FieldErrors* errors) {
  constexpr int kSearchesMax = 32;
  constexpr size_t kCharactersMax = 2048;
  const auto& searches = dns.searches();
  if (searches.size() > kSearchesMax) {
    errors->invalid(path, ShownValue::raw(fmt::format("{} searches", searches.size())),
                    "must not have more than 32 search paths");
  }
  size_t characters = searches.empty() ? 0 : static_cast<size_t>(searches.size()) - 1;
  std::string all;
  for (const std::string& search : searches) {
    characters += search.size();
    all += (all.empty() ? "" : ",") + in_quotes(search);
  }
  if (characters > kCharactersMax) {
    errors->invalid(path, ShownValue::raw("[" + all + "]"),
                    "must not have more than 2048 characters (including spaces) in the search list");
  }
  for (int i = 0; i < searches.size(); ++i) {
    std::string_view name = searches[i];
    if (name.ends_with('.')) name.remove_suffix(1);
    errors->invalid(path.index(static_cast<size_t>(i)), searches[i], dns1123_subdomain_faults(name));
  }
}

void validate_dns(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  validate_enum(spec.dnspolicy(), path.child("dnsPolicy"),
                {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}, errors);
  const auto config = path.child("dnsConfig");
  if (spec.dnspolicy() == "None") {
    if (!spec.has_dnsconfig()) {
      errors->required(config, "must provide `dnsConfig` when `dnsPolicy` is None");
      return;
    }
    if (spec.dnsconfig().nameservers().empty()) {
      errors->required(config.child("nameservers"),
                       "must provide at least one DNS nameserver when `dnsPolicy` is None");
      return;
    }
  }
  if (!spec.has_dnsconfig()) return;
  const auto& servers = spec.dnsconfig().nameservers();
  if (servers.size() > 3) {
    errors->invalid(config.child("nameservers"), ShownValue::raw(fmt::format("{} servers", servers.size())),
                    "must not have more than 3 nameservers");
  }
  for (int i = 0; i < servers.size(); ++i) {
    if (!is_address(servers[i])) {
      errors->invalid(config.child("nameservers").index(static_cast<size_t>(i)), servers[i],
                      "must be valid IP address");
    }
  }
  validate_searches(spec.dnsconfig(), config.child("searches"), errors);
  for (int i = 0; i < spec.dnsconfig().options_size(); ++i) {
    if (spec.dnsconfig().options(i).name().empty()) {
      errors->required(config.child("options").index(static_cast<size_t>(i)), "must not be empty");
    }
  }
}

// One of "[a-z0-9]([-_a-z0-9]*[a-z0-9])?" joined by dots or slashes.
bool is_sysctl_name(const std::string& name) {
  constexpr size_t kBytesMax = 253;
  if (name.empty() || name.size() > kBytesMax) return false;
  const auto is_edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool edge_wanted = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool separator = name[i] == '.' || name[i] == '/';
    if (separator && (edge_wanted || !is_edge(name[i - 1]))) return false;
    if (!separator && !is_edge(name[i]) && (edge_wanted || (name[i] != '-' && name[i] != '_'))) return false;
    edge_wanted = separator;
  }
  return is_edge(name.back());
}

void validate_sysctls(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  std::set<std::string> names;
  const auto& sysctls = spec.securitycontext().sysctls();
  for (int i = 0; i < sysctls.size(); ++i) {
    const auto at = path.index(static_cast<size_t>(i)).child("name");
    const std::string& name = sysctls[i].name();
    if (name.empty()) {
      errors->required(at);
    } else if (!is_sysctl_name(name)) {
      errors->invalid(at, name,
                      "must have at most 253 characters and match regex "
                      "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    } else if (!names.insert(name).second) {
      errors->duplicate(at, name);
    }
    std::string dotted = name;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    if (spec.hostnetwork() && dotted.starts_with("net.")) {
      errors->invalid(at, name, "may not be specified when 'hostNetwork' is true");
    }
    if (spec.hostipc() && (dotted.starts_with("kernel.shm") || dotted.starts_with("kernel.msg") ||
                           dotted == "kernel.sem" || dotted.starts_with("fs.mqueue."))) {
      errors->invalid(at, name, "may not be specified when 'hostIPC' is true");
    }
  }
}

void validate_host_users(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  if (!spec.has_hostusers() || spec.hostusers()) return;
  constexpr std::string_view kDetail = "when `pod.Spec.HostUsers` is false";
  if (spec.hostnetwork()) errors->forbidden(path.child("hostNetwork"), kDetail);
  if (spec.hostpid()) errors->forbidden(path.child("HostPID"), kDetail);
  if (spec.hostipc()) errors->forbidden(path.child("HostIPC"), kDetail);
}

// On the host's network a port of a container is one of the host's. In a template it may be left out.
void validate_host_network(const corev1::PodSpec& spec, const FieldPath& path, bool is_pod, FieldErrors* errors) {
  if (!spec.hostnetwork()) return;
  for (int i = 0; i < spec.containers_size(); ++i) {
    const auto ports = path.child("containers").index(static_cast<size_t>(i)).child("ports");
    for (int j = 0; j < spec.containers(i).ports_size(); ++j) {
      const auto& port = spec.containers(i).ports(j);
      if (port.hostport() == port.containerport() || (!is_pod && port.hostport() == 0)) continue;
      errors->invalid(ports.index(static_cast<size_t>(j)).child("hostPort"), port.hostport(),
                      "must match `containerPort` when `hostNetwork` is true");
    }
  }
}

void validate_security(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  const auto& security = spec.securitycontext();
  auto check_id = [&](bool has, int64_t id, std::string_view name) {
    if (has) errors->invalid(path.child(name), id, in_range_faults(id, 0, kIdMax));
  };
  check_id(security.has_fsgroup(), security.fsgroup(), "fsGroup");
  check_id(security.has_runasuser(), security.runasuser(), "runAsUser");
  check_id(security.has_runasgroup(), security.runasgroup(), "runAsGroup");
  for (int i = 0; i < security.supplementalgroups_size(); ++i) {
    errors->invalid(path.child("supplementalGroups").index(static_cast<size_t>(i)), security.supplementalgroups(i),
                    in_range_faults(security.supplementalgroups(i), 0, kIdMax));
  }
  if (spec.shareprocessnamespace() && spec.hostpid()) {
    errors->invalid(path.child("shareProcessNamespace"), true,
                    "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  if (security.has_fsgroupchangepolicy()) {
    validate_enum(security.fsgroupchangepolicy(), path.child("fsGroupChangePolicy"), {"Always", "OnRootMismatch"},
                  errors);
  }
  if (security.has_seccompprofile()) {
    validate_seccomp(security.seccompprofile().type(), security.seccompprofile().localhostprofile(),
                     path.child("seccompProfile"), errors);
  }
  validate_sysctls(spec, path.child("sysctls"), errors);
  if (security.has_supplementalgroupspolicy()) {
    validate_enum(security.supplementalgroupspolicy(), path.child("supplementalGroupsPolicy"), {"Merge", "Strict"},
                  errors);
  }
  if (security.has_apparmorprofile()) {
    validate_app_armor(security.apparmorprofile(), path.child("appArmorProfile"), errors);
  }
  validate_host_users(spec, path, errors);
}

void validate_tolerations(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  for (int i = 0; i < spec.tolerations_size(); ++i) {
    const auto& toleration = spec.tolerations(i);
    const auto at = path.index(static_cast<size_t>(i));
    if (!toleration.key().empty())
      errors->invalid(at.child("key"), toleration.key(), qualified_name_faults(toleration.key()));
    if (toleration.key().empty() && toleration.operator_() != "Exists") {
      errors->invalid(at.child("operator"), toleration.operator_(),
                      "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    }
    if (toleration.has_tolerationseconds() && toleration.effect() != "NoExecute") {
      errors->invalid(at.child("effect"), toleration.effect(),
                      "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (toleration.operator_().empty() || toleration.operator_() == "Equal") {
      errors->invalid(at.child("operator"), toleration.value(), label_value_faults(toleration.value()));
    } else if (toleration.operator_() == "Exists") {
      if (!toleration.value().empty()) {
        errors->invalid(at.child("operator"), ShownValue::raw(toleration.ShortDebugString()),
                        "value must be empty when `operator` is 'Exists'");
      }
    } else {
      errors->not_supported(at.child("operator"), toleration.operator_(), {"Equal", "Exists"});
    }
    if (!toleration.effect().empty()) {
      validate_enum(toleration.effect(), at.child("effect"), {"NoSchedule", "PreferNoSchedule", "NoExecute"}, errors);
    }
  }
}

void validate_node_term(const corev1::NodeSelectorTerm& term, const FieldPath& path, FieldErrors* errors) {
  for (int i = 0; i < term.matchexpressions_size(); ++i) {
    const auto& requirement = term.matchexpressions(i);
    const auto at = path.child("matchExpressions").index(static_cast<size_t>(i));
    const auto& op = requirement.operator_();
    if (op == "In" || op == "NotIn") {
      if (requirement.values().empty()) {
        errors->required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!requirement.values().empty()) {
        errors->forbidden(at.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else if (op == "Gt" || op == "Lt") {
      if (requirement.values_size() != 1) {
        errors->required(at.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
      }
    } else {
      errors->invalid(at.child("operator"), op, "not a valid selector operator");
    }
    errors->invalid(at.child("key"), requirement.key(), qualified_name_faults(requirement.key()));
  }
}

void validate_pod_affinity_term(const corev1::PodAffinityTerm& term, const FieldPath& path, FieldErrors* errors) {
  if (term.has_labelselector()) validate_label_selector(term.labelselector(), path.child("labelSelector"), errors);
  if (term.has_namespaceselector())
    validate_label_selector(term.namespaceselector(), path.child("namespaceSelector"), errors);
  for (const auto& name : term.namespaces()) errors->invalid(path.child("namespace"), name, dns1123_label_faults(name));
  if (term.topologykey().empty()) {
    errors->required(path.child("topologyKey"), "can not be empty");
  } else {
    errors->invalid(path.child("topologyKey"), term.topologykey(), qualified_name_faults(term.topologykey()));
  }
}

void check_weight(int32_t weight, const FieldPath& path, FieldErrors* errors) {
  if (weight < 1 || weight > 100) errors->invalid(path.child("weight"), weight, "must be in the range 1-100");
}

template <typename Affinity>
void validate_pod_affinity(const Affinity& affinity, const FieldPath& path, FieldErrors* errors) {
  const auto required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
  for (int i = 0; i < affinity.requiredduringschedulingignoredduringexecution_size(); ++i) {
    validate_pod_affinity_term(affinity.requiredduringschedulingignoredduringexecution(i),
                               required.index(static_cast<size_t>(i)), errors);
  }
  const auto preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
  for (int i = 0; i < affinity.preferredduringschedulingignoredduringexecution_size(); ++i) {
    const auto& term = affinity.preferredduringschedulingignoredduringexecution(i);
    const auto at = preferred.index(static_cast<size_t>(i));
    check_weight(term.weight(), at, errors);
    validate_pod_affinity_term(term.podaffinityterm(), at.child("podAffinityTerm"), errors);
  }
}

void validate_affinity(const corev1::Affinity& affinity, const FieldPath& path, FieldErrors* errors) {
  if (affinity.has_nodeaffinity()) {
    const auto& node = affinity.nodeaffinity();
    const auto at = path.child("nodeAffinity");
    if (node.has_requiredduringschedulingignoredduringexecution()) {
      const auto terms = at.child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
      const auto& required = node.requiredduringschedulingignoredduringexecution();
      if (required.nodeselectorterms().empty()) errors->required(terms, "must have at least one node selector term");
      for (int i = 0; i < required.nodeselectorterms_size(); ++i) {
        validate_node_term(required.nodeselectorterms(i), terms.index(static_cast<size_t>(i)), errors);
      }
    }
    const auto preferred = at.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (int i = 0; i < node.preferredduringschedulingignoredduringexecution_size(); ++i) {
      const auto& term = node.preferredduringschedulingignoredduringexecution(i);
      const auto term_path = preferred.index(static_cast<size_t>(i));
      check_weight(term.weight(), term_path, errors);
      validate_node_term(term.preference(), term_path.child("preference"), errors);
    }
  }
  if (affinity.has_podaffinity()) validate_pod_affinity(affinity.podaffinity(), path.child("podAffinity"), errors);
  if (affinity.has_podantiaffinity()) {
    validate_pod_affinity(affinity.podantiaffinity(), path.child("podAntiAffinity"), errors);
  }
}

void validate_spread(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  std::set<std::string> seen;
  for (int i = 0; i < spec.topologyspreadconstraints_size(); ++i) {
    const auto& constraint = spec.topologyspreadconstraints(i);
    const auto at = path.index(static_cast<size_t>(i));
    if (constraint.maxskew() <= 0)
      errors->invalid(at.child("maxSkew"), constraint.maxskew(), "must be greater than zero");
    if (constraint.topologykey().empty()) {
      errors->required(at.child("topologyKey"), "can not be empty");
    } else {
      errors->invalid(at.child("topologyKey"), constraint.topologykey(),
                      qualified_name_faults(constraint.topologykey()));
    }
    if (constraint.whenunsatisfiable() != "DoNotSchedule" && constraint.whenunsatisfiable() != "ScheduleAnyway") {
      errors->not_supported(at.child("whenUnsatisfiable"), constraint.whenunsatisfiable(),
                            {"DoNotSchedule", "ScheduleAnyway"});
    }
    if (!seen.insert(constraint.topologykey() + "," + constraint.whenunsatisfiable()).second) {
      errors->duplicate(
          at.child("{topologyKey, whenUnsatisfiable}"),
          ShownValue::raw(fmt::format("{{{}, {}}}", constraint.topologykey(), constraint.whenunsatisfiable())));
    }
    if (constraint.has_labelselector())
      validate_label_selector(constraint.labelselector(), at.child("labelSelector"), errors);
  }
}

void validate_names(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  auto check = [&](std::string_view field, const std::string& value, Faults (*rule)(std::string_view)) {
    if (!value.empty()) errors->invalid(path.child(field), value, rule(value));
  };
  check("serviceAccountName", spec.serviceaccountname(), dns1123_subdomain_faults);
  check("nodeName", spec.nodename(), dns1123_subdomain_faults);
  check("hostname", spec.hostname(), dns1123_label_faults);
  check("subdomain", spec.subdomain(), dns1123_label_faults);
  check("priorityClassName", spec.priorityclassname(), dns1123_subdomain_faults);
  check("runtimeClassName", spec.runtimeclassname(), dns1123_subdomain_faults);
  for (int i = 0; i < spec.imagepullsecrets_size(); ++i) {
    if (spec.imagepullsecrets(i).name().empty()) {
      errors->required(path.child("imagePullSecrets").index(static_cast<size_t>(i)).child("name"));
    }
  }
  for (int i = 0; i < spec.hostaliases_size(); ++i) {
    const auto& alias = spec.hostaliases(i);
    const auto at = path.child("hostAliases").index(static_cast<size_t>(i));
    if (!is_address(alias.ip()))
      errors->invalid(at.child("ip"), alias.ip(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    for (const auto& name : alias.hostnames())
      errors->invalid(at.child("hostnames"), name, dns1123_subdomain_faults(name));
  }
}

}  // namespace

void validate_pod_spec(const corev1::PodSpec& spec, const FieldPath& path, bool is_pod, FieldErrors* errors) {
  const auto volumes = validate_volumes(spec, path.child("volumes"), errors);
  validate_containers(spec, volumes, path, is_pod, errors);
  validate_enum(spec.restartpolicy(), path.child("restartPolicy"), {"Always", "OnFailure", "Never"}, errors);
  validate_dns(spec, path, errors);
  validate_host_network(spec, path, is_pod, errors);
  validate_labels(spec.nodeselector(), path.child("nodeSelector"), errors);
  validate_security(spec, path.child("securityContext"), errors);
  if (spec.has_affinity()) validate_affinity(spec.affinity(), path.child("affinity"), errors);
  for (int i = 0; i < spec.readinessgates_size(); ++i) {
    const auto& type = spec.readinessgates(i).conditiontype();
    errors->invalid(path.child("readinessGates").index(static_cast<size_t>(i)).child("conditionType"), type,
                    qualified_name_faults(type));
  }
  validate_spread(spec, path.child("topologySpreadConstraints"), errors);
  validate_names(spec, path, errors);
  if (spec.has_activedeadlineseconds()) {
    errors->invalid(path.child("activeDeadlineSeconds"), spec.activedeadlineseconds(),
                    in_range_faults(spec.activedeadlineseconds(), 1, kIdMax));
  }
  validate_tolerations(spec, path.child("tolerations"), errors);
  if (spec.has_preemptionpolicy()) {
    validate_enum(spec.preemptionpolicy(), path.child("preemptionPolicy"), {"PreemptLowerPriority", "Never"}, errors);
  }
  std::set<std::string> gates;
  for (int i = 0; i < spec.schedulinggates_size(); ++i) {
    const auto& name = spec.schedulinggates(i).name();
    const auto at = path.child("schedulingGates").index(static_cast<size_t>(i));
    errors->invalid(at, name, qualified_name_faults(name));
    if (!gates.insert(name).second) errors->duplicate(at, name);
  }
}

void validate_pod_template(const corev1::PodTemplateSpec& pod_template, const FieldPath& path, FieldErrors* errors) {
  validate_template_meta(pod_template.metadata(), path, errors);
  validate_pod_spec(pod_template.spec(), path.child("spec"), false, errors);
  if (!pod_template.spec().ephemeralcontainers().empty()) {
    errors->forbidden(path.child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template");
  }
}

}  // namespace orlop::apikube
