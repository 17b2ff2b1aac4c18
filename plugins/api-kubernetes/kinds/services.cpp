#include "plugins/api-kubernetes/kinds/services.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/intstr.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace orlop::apikube {
namespace {

constexpr int32_t kAffinitySeconds = 10800;
constexpr int32_t kAffinitySecondsMax = 86400;

bool is_ipv4(const std::string& text) {
  in_addr buffer;
  return inet_pton(AF_INET, text.c_str(), &buffer) == 1;
}
bool is_address(const std::string& text) {
  in6_addr buffer;
  return is_ipv4(text) || inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

bool is_external_name(const corev1::Service& service) {
  return service.spec().type() == "ExternalName";
}
bool is_headless(const corev1::Service& service) {
  return service.spec().clusterip() == "None";
}
bool wants_cluster_ip(const corev1::Service& service) {
  return !is_external_name(service) && !is_headless(service);
}
bool wants_node_ports(const corev1::Service& service) {
  const auto& spec = service.spec();
  if (spec.type() == "NodePort") return true;
  return spec.type() == "LoadBalancer" &&
         (!spec.has_allocateloadbalancernodeports() || spec.allocateloadbalancernodeports());
}

ShownValue shown_ips(const std::string& ip) {
  return ShownValue::raw(fmt::format("[]string{{{}}}", in_quotes(ip)));
}

std::string shown_target(const k8s::io::apimachinery::pkg::util::intstr::IntOrString& port) {
  return fmt::format("intstr.IntOrString{{Type:{}, IntVal:{}, StrVal:{}}}", port.type(), port.intval(),
                     in_quotes(port.strval()));
}

ShownValue shown_port(const corev1::ServicePort& port) {
  return ShownValue::raw(fmt::format(
      "core.ServicePort{{Name:{}, Protocol:{}, AppProtocol:(*string)(nil), Port:{}, TargetPort:{}, NodePort:{}}}",
      in_quotes(port.name()), in_quotes(port.protocol()), port.port(), shown_target(port.targetport()),
      port.nodeport()));
}

void validate_port(const corev1::Service& service, const corev1::ServicePort& port, bool name_required,
                   const FieldPath& path, std::set<std::string>* names, FieldErrors* errors) {
  if (name_required && port.name().empty()) {
    errors->required(path.child("name"));
  } else if (!port.name().empty()) {
    errors->invalid(path.child("name"), port.name(), dns1123_label_faults(port.name()));
    if (!names->insert(port.name()).second) errors->duplicate(path.child("name"), port.name());
  }
  errors->invalid(path.child("port"), port.port(), port_number_faults(port.port()));
  if (port.protocol().empty()) {
    errors->required(path.child("protocol"));
  } else if (port.protocol() != "TCP" && port.protocol() != "UDP" && port.protocol() != "SCTP") {
    errors->not_supported(path.child("protocol"), port.protocol(), {"SCTP", "TCP", "UDP"});
  }
  if (port.targetport().type() == 0) {
    errors->invalid(path.child("targetPort"), port.targetport().intval(),
                    port_number_faults(port.targetport().intval()));
  } else {
    errors->invalid(path.child("targetPort"), port.targetport().strval(), port_name_faults(port.targetport().strval()));
  }
  if (port.has_appprotocol())
    errors->invalid(path.child("appProtocol"), port.appprotocol(), qualified_name_faults(port.appprotocol()));
  if (port.nodeport() != 0 && (service.spec().type() == "ClusterIP" || is_external_name(service))) {
    errors->forbidden(path.child("nodePort"),
                      fmt::format("may not be used when `type` is '{}'", service.spec().type()));
  }
}

void validate_ports(const corev1::Service& service, const FieldPath& path, FieldErrors* errors) {
  const auto& spec = service.spec();
  if (spec.ports().empty() && !is_headless(service) && !is_external_name(service)) errors->required(path);
  std::set<std::string> names;
  std::set<std::string> node_ports;
  std::set<std::string> ports;
  for (int i = 0; i < spec.ports_size(); ++i) {
    const auto& port = spec.ports(i);
    const auto at = path.index(static_cast<size_t>(i));
    validate_port(service, port, spec.ports_size() > 1, at, &names, errors);
    if (port.nodeport() != 0 && !node_ports.insert(fmt::format("{}/{}", port.protocol(), port.nodeport())).second) {
      errors->duplicate(at.child("nodePort"), port.nodeport());
    }
    if (!ports.insert(fmt::format("{}/{}", port.protocol(), port.port())).second)
      errors->duplicate(at, shown_port(port));
  }
}

void validate_addresses(const corev1::Service& service, const FieldPath& path, FieldErrors* errors) {
  const auto& spec = service.spec();
  const auto ips = path.child("clusterIPs");
  if (is_external_name(service)) {
    if (!spec.clusterip().empty())
      errors->invalid(ips, shown_ips(spec.clusterip()), "may not be set when type is 'ExternalName'");
    if (spec.externalname().empty()) {
      errors->required(path.child("externalName"));
    } else {
      std::string_view name = spec.externalname();
      if (name.ends_with('.')) name.remove_suffix(1);
      errors->invalid(path.child("externalName"), spec.externalname(), dns1123_subdomain_faults(name));
    }
    return;
  }
  if (is_headless(service)) {
    if (spec.type() == "LoadBalancer") {
      errors->invalid(ips.index(0), spec.clusterip(), "may not be set to 'None' for LoadBalancer services");
    } else if (spec.type() == "NodePort") {
      errors->invalid(ips.index(0), spec.clusterip(), "may not be set to 'None' for NodePort services");
    }
  } else if (!spec.clusterip().empty() && !is_address(spec.clusterip())) {
    errors->invalid(ips.index(0), spec.clusterip(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  }
  if (!spec.clusterips().empty() && spec.clusterips(0) != spec.clusterip()) {
    errors->invalid(ips, shown_ips(spec.clusterips(0)), "first value must match `clusterIP`");
  }
  if (spec.clusterips_size() > 2) errors->invalid(ips, shown_ips(spec.clusterips(0)), "may only hold up to 2 values");
}

void validate_affinity(const corev1::ServiceSpec& spec, const FieldPath& path, FieldErrors* errors) {
  if (spec.sessionaffinity().empty()) {
    errors->required(path.child("sessionAffinity"));
  } else if (spec.sessionaffinity() != "None" && spec.sessionaffinity() != "ClientIP") {
    errors->not_supported(path.child("sessionAffinity"), spec.sessionaffinity(), {"ClientIP", "None"});
  }
  if (spec.sessionaffinity() == "ClientIP") {
    const int32_t seconds = spec.sessionaffinityconfig().clientip().timeoutseconds();
    if (seconds <= 0 || seconds > kAffinitySecondsMax) {
      errors->invalid(path.child("sessionAffinityConfig", "clientIP", "timeoutSeconds"), seconds,
                      fmt::format("must be greater than 0 and less than {}", kAffinitySecondsMax));
    }
  } else if (spec.sessionaffinity() == "None" && spec.has_sessionaffinityconfig()) {
    errors->forbidden(path.child("sessionAffinityConfig"), "must not be set when session affinity is None");
  }
}

void validate_external_traffic(const corev1::Service& service, const FieldPath& path, FieldErrors* errors) {
  const auto& spec = service.spec();
  const bool external = spec.type() == "NodePort" || spec.type() == "LoadBalancer" ||
                        (spec.type() == "ClusterIP" && !spec.externalips().empty());
  if (!spec.externaltrafficpolicy().empty()) {
    if (!external) {
      errors->invalid(path.child("externalTrafficPolicy"), spec.externaltrafficpolicy(),
                      "may only be set for externally-accessible services");
    } else if (spec.externaltrafficpolicy() != "Cluster" && spec.externaltrafficpolicy() != "Local") {
      errors->not_supported(path.child("externalTrafficPolicy"), spec.externaltrafficpolicy(), {"Cluster", "Local"});
    }
  }
  if (spec.healthchecknodeport() != 0 && !(spec.type() == "LoadBalancer" && spec.externaltrafficpolicy() == "Local")) {
    errors->invalid(path.child("healthCheckNodePort"), spec.healthchecknodeport(),
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  }
  if (spec.has_internaltrafficpolicy() && spec.internaltrafficpolicy() != "Cluster" &&
      spec.internaltrafficpolicy() != "Local") {
    errors->not_supported(path.child("internalTrafficPolicy"), spec.internaltrafficpolicy(), {"Cluster", "Local"});
  }
  for (int i = 0; i < spec.externalips_size(); ++i) {
    if (!is_address(spec.externalips(i))) {
      errors->invalid(path.child("externalIPs").index(static_cast<size_t>(i)), spec.externalips(i),
                      "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
  }
}

}  // namespace

void set_service_defaults(corev1::Service* service) {
  auto* spec = service->mutable_spec();
  if (spec->sessionaffinity().empty()) spec->set_sessionaffinity("None");
  if (spec->sessionaffinity() == "None") spec->clear_sessionaffinityconfig();
  if (spec->sessionaffinity() == "ClientIP" && !spec->sessionaffinityconfig().clientip().has_timeoutseconds()) {
    spec->mutable_sessionaffinityconfig()->mutable_clientip()->set_timeoutseconds(kAffinitySeconds);
  }
  if (spec->type().empty()) spec->set_type("ClusterIP");
  for (auto& port : *spec->mutable_ports()) {
    if (port.protocol().empty()) port.set_protocol("TCP");
    auto* target = port.mutable_targetport();
    if ((target->type() == 0 && target->intval() == 0) || (target->type() == 1 && target->strval().empty())) {
      target->set_type(0);
      target->set_intval(port.port());
      target->set_strval("");
    }
  }
  const bool external = spec->type() == "NodePort" || spec->type() == "LoadBalancer" ||
                        (spec->type() == "ClusterIP" && !spec->externalips().empty());
  if (external && spec->externaltrafficpolicy().empty()) spec->set_externaltrafficpolicy("Cluster");
  if (!spec->has_internaltrafficpolicy() && spec->type() != "ExternalName") spec->set_internaltrafficpolicy("Cluster");
  if (spec->type() == "LoadBalancer" && !spec->has_allocateloadbalancernodeports())
    spec->set_allocateloadbalancernodeports(true);
  for (auto& ingress : *service->mutable_status()->mutable_loadbalancer()->mutable_ingress()) {
    if (spec->type() == "LoadBalancer" && !ingress.ip().empty() && !ingress.has_ipmode()) ingress.set_ipmode("VIP");
  }
  // The list and its first element say the same, whichever was given.
  if (spec->clusterip().empty() && !spec->clusterips().empty()) spec->set_clusterip(spec->clusterips(0));
  if (!spec->clusterip().empty() && spec->clusterips().empty()) spec->add_clusterips(spec->clusterip());
  if (spec->type() == "ExternalName") return;
  if (!spec->has_ipfamilypolicy()) spec->set_ipfamilypolicy("SingleStack");
  if (spec->ipfamilies().empty()) spec->add_ipfamilies("IPv4");
}

void carry_over_service(corev1::Service* service, const corev1::Service& current) {
  auto* spec = service->mutable_spec();
  const auto& before = current.spec();
  if (is_external_name(*service)) {
    if (spec->clusterip() == before.clusterip()) {
      spec->clear_clusterip();
      spec->clear_clusterips();
    }
    spec->clear_ipfamilies();
    spec->clear_ipfamilypolicy();
    spec->clear_internaltrafficpolicy();
  } else if (wants_cluster_ip(current) && spec->clusterip().empty()) {
    spec->set_clusterip(before.clusterip());
    *spec->mutable_clusterips() = before.clusterips();
  } else if (is_headless(current) && spec->clusterip().empty() && !is_external_name(current)) {
    spec->set_clusterip("None");
    spec->clear_clusterips();
    spec->add_clusterips("None");
  }
  const bool node_ports = wants_node_ports(*service);
  const bool had_node_ports = wants_node_ports(current);
  for (auto& port : *spec->mutable_ports()) {
    for (const auto& old : before.ports()) {
      if (old.port() != port.port() || old.protocol() != port.protocol()) continue;
      if (node_ports && had_node_ports && port.nodeport() == 0) port.set_nodeport(old.nodeport());
      // A type without node ports: the ones that a client sent back unchanged go.
      if (!node_ports && had_node_ports && port.nodeport() == old.nodeport()) port.set_nodeport(0);
    }
  }
  const bool external = spec->type() == "NodePort" || spec->type() == "LoadBalancer" ||
                        (spec->type() == "ClusterIP" && !spec->externalips().empty());
  if (!external && spec->externaltrafficpolicy() == before.externaltrafficpolicy()) spec->clear_externaltrafficpolicy();
  if (spec->type() != "LoadBalancer") {
    if (spec->allocateloadbalancernodeports() == before.allocateloadbalancernodeports())
      spec->clear_allocateloadbalancernodeports();
    if (before.type() == "LoadBalancer") {
      service->mutable_status()->clear_loadbalancer();
      if (spec->loadbalancerclass() == before.loadbalancerclass()) spec->clear_loadbalancerclass();
    }
  }
}

void validate_service(const corev1::Service& service, FieldErrors* errors) {
  const FieldPath path("spec");
  const auto& spec = service.spec();
  static const std::vector<std::string_view> kTypes = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"};
  if (spec.type().empty()) {
    errors->required(path.child("type"));
  } else if (std::find(kTypes.begin(), kTypes.end(), spec.type()) == kTypes.end()) {
    errors->not_supported(path.child("type"), spec.type(), kTypes);
  }
  validate_addresses(service, path, errors);
  validate_ports(service, path.child("ports"), errors);
  validate_labels(spec.selector(), path.child("selector"), errors);
  validate_affinity(spec, path, errors);
  validate_external_traffic(service, path, errors);
  for (int i = 0; i < spec.ipfamilies_size(); ++i) {
    if (spec.ipfamilies(i) != "IPv4" && spec.ipfamilies(i) != "IPv6") {
      errors->not_supported(path.child("ipFamilies").index(static_cast<size_t>(i)), spec.ipfamilies(i),
                            {"IPv4", "IPv6"});
    } else if (spec.ipfamilies(i) == "IPv6" && !is_headless(service)) {
      errors->invalid(path.child("ipFamilies").index(static_cast<size_t>(i)), "IPv6", "not configured on this cluster");
    }
  }
  if (spec.ipfamilypolicy() == "RequireDualStack") {
    errors->invalid(path.child("ipFamilyPolicy"), spec.ipfamilypolicy(),
                    "this cluster is not configured for dual-stack services");
  } else if (spec.has_ipfamilypolicy() && spec.ipfamilypolicy() != "SingleStack" &&
             spec.ipfamilypolicy() != "PreferDualStack") {
    errors->not_supported(path.child("ipFamilyPolicy"), spec.ipfamilypolicy(),
                          {"SingleStack", "PreferDualStack", "RequireDualStack"});
  }
}

void validate_service_update(const corev1::Service& service, const corev1::Service& current, FieldErrors* errors) {
  const bool crosses_external_name = is_external_name(service) != is_external_name(current);
  if (crosses_external_name || is_external_name(service)) return;
  const auto& now = service.spec().clusterip();
  const auto& before = current.spec().clusterip();
  if (!before.empty() && now != before) {
    errors->invalid(FieldPath("spec").child("clusterIPs").index(0), shown_ips(now), "may not change once set");
  }
}

namespace {

struct Needs {
  ServiceAllocator::Wish wish;
  std::vector<int> port_of_wish;  // which port of the service each wished node port is for
};

// A node port serves one number over several protocols: the second one of a number is not allocated again.
Needs needs_of(const corev1::Service& service, const corev1::Service* current) {
  Needs needs;
  const bool had_ip = current != nullptr && wants_cluster_ip(*current);
  const bool wants_ip = wants_cluster_ip(service);
  if (wants_ip && !had_ip) {
    needs.wish.cluster_ip = true;
    needs.wish.requested_ip = service.spec().clusterip();
  } else if (!wants_ip && had_ip) {
    needs.wish.released_ips.push_back(current->spec().clusterip());
  }
  std::set<int32_t> had;
  if (current != nullptr) {
    for (const auto& port : current->spec().ports()) {
      if (port.nodeport() != 0) had.insert(port.nodeport());
    }
    if (current->spec().healthchecknodeport() != 0) had.insert(current->spec().healthchecknodeport());
  }
  std::set<int32_t> kept;
  const bool ports = wants_node_ports(service);
  for (int i = 0; i < service.spec().ports_size(); ++i) {
    const int32_t wanted = service.spec().ports(i).nodeport();
    if (!ports && wanted == 0) continue;
    if (wanted != 0 && (had.contains(wanted) || kept.contains(wanted))) {
      kept.insert(wanted);
      continue;
    }
    if (wanted != 0) kept.insert(wanted);
    needs.wish.node_ports.push_back(wanted);
    needs.port_of_wish.push_back(i);
  }
  for (int32_t port : had) {
    if (!kept.contains(port)) needs.wish.released_ports.push_back(port);
  }
  return needs;
}

void word_refusal(const ServiceAllocator::Refused& refused, const Needs& needs, const corev1::Service& service,
                  FieldErrors* errors) {
  using Refusal = ServiceAllocator::Refusal;
  const FieldPath path("spec");
  if (refused.why == Refusal::kIpNotInRange || refused.why == Refusal::kIpTaken ||
      refused.why == Refusal::kIpsExhausted || refused.why == Refusal::kStore) {
    errors->invalid(path.child("clusterIPs"), shown_ips(service.spec().clusterip()), refused.detail);
    return;
  }
  const int index = needs.port_of_wish[refused.port_index];
  errors->invalid(path.child("ports").index(static_cast<size_t>(index)).child("nodePort"),
                  needs.wish.node_ports[refused.port_index], refused.detail);
}

}  // namespace

std::unique_ptr<ServiceReservation> allocate_service(corev1::Service* service, const corev1::Service* current,
                                                     ServiceAllocator* allocator, FieldErrors* errors) {
  const Needs needs = needs_of(*service, current);
  const auto& wish = needs.wish;
  if (!wish.cluster_ip && wish.node_ports.empty() && wish.released_ips.empty() && wish.released_ports.empty())
    return nullptr;
  auto answer = allocator->allocate(wish);
  if (answer.refused) {
    word_refusal(*answer.refused, needs, *service, errors);
    return nullptr;
  }
  auto* spec = service->mutable_spec();
  if (wish.cluster_ip) {
    spec->set_clusterip(answer.grant->cluster_ip);
    spec->clear_clusterips();
    spec->add_clusterips(answer.grant->cluster_ip);
  }
  for (size_t i = 0; i < needs.port_of_wish.size(); ++i) {
    spec->mutable_ports(needs.port_of_wish[i])->set_nodeport(answer.grant->node_ports[i]);
  }
  return std::move(answer.grant->reservation);
}

}  // namespace orlop::apikube
