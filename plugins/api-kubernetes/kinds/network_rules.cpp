// Ingresses, network policies, endpoint slices.
#include "orlop/kube/discovery_v1.hpp"
#include "orlop/kube/intstr.hpp"
#include "orlop/kube/networking_v1.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace discoveryv1 = k8s::io::api::discovery::v1;
namespace networkingv1 = k8s::io::api::networking::v1;

void validate_backend(const networkingv1::IngressBackend& backend, const FieldPath& path, FieldErrors* errors) {
  if (backend.has_resource() && backend.has_service()) {
    errors->invalid(path, "", "cannot set both resource and service backends");
    return;
  }
  if (backend.has_resource()) return;
  if (!backend.has_service()) {
    errors->required(path, "must specify one of `resource` or `service`");
    return;
  }
  const auto& service = backend.service();
  const auto at = path.child("service");
  if (service.name().empty()) {
    errors->required(at.child("name"));
  } else {
    errors->invalid(at.child("name"), service.name(), dns1035_label_faults(service.name()));
  }
  const auto& port = service.port();
  if (port.name().empty() && port.number() == 0) {
    errors->required(path, "port name or number is required");
  } else if (!port.name().empty() && port.number() != 0) {
    errors->invalid(path, "", "cannot set both port name & port number");
  } else if (!port.name().empty()) {
    errors->invalid(at.child("port", "name"), port.name(), port_name_faults(port.name()));
  } else {
    errors->invalid(at.child("port", "number"), port.number(), port_number_faults(port.number()));
  }
}

void validate_ingress(const Message& object, FieldErrors* errors) {
  const auto& spec = as<networkingv1::Ingress>(object).spec();
  const FieldPath path("spec");
  if (spec.rules().empty() && !spec.has_defaultbackend()) {
    errors->invalid(path, "", "either `defaultBackend` or `rules` must be specified");
  }
  if (spec.has_defaultbackend()) validate_backend(spec.defaultbackend(), path.child("defaultBackend"), errors);
  for (int i = 0; i < spec.rules_size(); ++i) {
    const auto& rule = spec.rules(i);
    const auto at = path.child("rules").index(static_cast<size_t>(i));
    if (!rule.host().empty()) {
      errors->invalid(at.child("host"), rule.host(),
                      rule.host().find('*') == std::string::npos ? dns1123_subdomain_faults(rule.host())
                                                                 : wildcard_dns1123_subdomain_faults(rule.host()));
    }
    if (!rule.ingressrulevalue().has_http()) continue;
    const auto& http = rule.ingressrulevalue().http();
    if (http.paths().empty()) errors->required(at.child("http", "paths"));
    for (int j = 0; j < http.paths_size(); ++j) {
      const auto& one = http.paths(j);
      const auto path_at = at.child("http", "paths").index(static_cast<size_t>(j));
      if (!one.has_pathtype()) {
        errors->required(path_at.child("pathType"), "pathType must be specified");
      } else if (one.pathtype() != "Exact" && one.pathtype() != "Prefix" &&
                 one.pathtype() != "ImplementationSpecific") {
        errors->not_supported(path_at.child("pathType"), one.pathtype(), {"Exact", "ImplementationSpecific", "Prefix"});
      }
      const bool strict = one.pathtype() == "Exact" || one.pathtype() == "Prefix";
      if ((strict || !one.path().empty()) && !one.path().starts_with('/')) {
        errors->invalid(path_at.child("path"), one.path(), "must be an absolute path");
      }
      if (strict) {
        for (const char* bad : {"//", "/./", "/../", "%2f", "%2F"}) {
          if (one.path().find(bad) != std::string::npos)
            errors->invalid(path_at.child("path"), one.path(), fmt::format("must not contain '{}'", bad));
        }
      }
      validate_backend(one.backend(), path_at.child("backend"), errors);
    }
  }
  for (int i = 0; i < spec.tls_size(); ++i) {
    for (int j = 0; j < spec.tls(i).hosts_size(); ++j) {
      const auto& host = spec.tls(i).hosts(j);
      errors->invalid(path.child("tls").index(static_cast<size_t>(i)).child("hosts").index(static_cast<size_t>(j)),
                      host,
                      host.find('*') == std::string::npos ? dns1123_subdomain_faults(host)
                                                          : wildcard_dns1123_subdomain_faults(host));
    }
  }
}

void validate_ingress_class(const Message& object, FieldErrors* errors) {
  const auto& spec = as<networkingv1::IngressClass>(object).spec();
  const auto path = FieldPath("spec").child("controller");
  if (spec.controller().empty()) {
    errors->required(path);
  } else if (spec.controller().find('/') == std::string::npos) {
    errors->invalid(path, spec.controller(), "must be a domain-prefixed path (such as \"acme.io/foo\")");
  }
}

void validate_ingress_class_update(const Message& object, const Message& current, std::string_view,
                                   FieldErrors* errors) {
  const auto& controller = as<networkingv1::IngressClass>(object).spec().controller();
  if (controller != as<networkingv1::IngressClass>(current).spec().controller()) {
    errors->invalid(FieldPath("spec").child("controller"), controller, "field is immutable");
  }
}

void network_policy_defaults(Message* object) {
  auto* spec = as<networkingv1::NetworkPolicy>(object).mutable_spec();
  auto fill = [](auto* rules) {
    for (auto& rule : *rules) {
      for (auto& port : *rule.mutable_ports()) {
        if (!port.has_protocol()) port.set_protocol("TCP");
      }
    }
  };
  fill(spec->mutable_ingress());
  fill(spec->mutable_egress());
  if (!spec->policytypes().empty()) return;
  spec->add_policytypes("Ingress");
  if (!spec->egress().empty()) spec->add_policytypes("Egress");
}

template <typename Peers>
void validate_peers(const Peers& peers, const FieldPath& path, FieldErrors* errors) {
  for (int i = 0; i < peers.size(); ++i) {
    const auto& peer = peers[i];
    const auto at = path.index(static_cast<size_t>(i));
    if (peer.has_podselector()) validate_label_selector(peer.podselector(), at.child("podSelector"), errors);
    if (peer.has_namespaceselector())
      validate_label_selector(peer.namespaceselector(), at.child("namespaceSelector"), errors);
    if (peer.has_ipblock() && (peer.has_podselector() || peer.has_namespaceselector())) {
      errors->forbidden(at, "may not specify both ipBlock and another peer");
    } else if (!peer.has_ipblock() && !peer.has_podselector() && !peer.has_namespaceselector()) {
      errors->required(at, "must specify a peer");
    }
    if (peer.has_ipblock() && peer.ipblock().cidr().find('/') == std::string::npos) {
      errors->invalid(at.child("ipBlock", "cidr"), peer.ipblock().cidr(),
                      "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
  }
}

template <typename Ports>
void validate_policy_ports(const Ports& ports, const FieldPath& path, FieldErrors* errors) {
  for (int i = 0; i < ports.size(); ++i) {
    const auto& port = ports[i];
    const auto at = path.index(static_cast<size_t>(i));
    if (port.protocol() != "TCP" && port.protocol() != "UDP" && port.protocol() != "SCTP") {
      errors->not_supported(at.child("protocol"), port.protocol(), {"SCTP", "TCP", "UDP"});
    }
    if (!port.has_port()) continue;
    if (port.port().type() == 0) {
      errors->invalid(at.child("port"), port.port().intval(), port_number_faults(port.port().intval()));
      if (port.has_endport() && port.endport() < port.port().intval()) {
        errors->invalid(at.child("endPort"), port.endport(), "must be greater than or equal to `port`");
      }
    } else {
      errors->invalid(at.child("port"), port.port().strval(), port_name_faults(port.port().strval()));
    }
  }
}

void validate_network_policy(const Message& object, FieldErrors* errors) {
  const auto& spec = as<networkingv1::NetworkPolicy>(object).spec();
  const FieldPath path("spec");
  validate_label_selector(spec.podselector(), path.child("podSelector"), errors);
  for (int i = 0; i < spec.ingress_size(); ++i) {
    const auto at = path.child("ingress").index(static_cast<size_t>(i));
    validate_policy_ports(spec.ingress(i).ports(), at.child("ports"), errors);
    validate_peers(spec.ingress(i).from(), at.child("from"), errors);
  }
  for (int i = 0; i < spec.egress_size(); ++i) {
    const auto at = path.child("egress").index(static_cast<size_t>(i));
    validate_policy_ports(spec.egress(i).ports(), at.child("ports"), errors);
    validate_peers(spec.egress(i).to(), at.child("to"), errors);
  }
  for (int i = 0; i < spec.policytypes_size(); ++i) {
    const auto& type = spec.policytypes(i);
    if (type != "Ingress" && type != "Egress")
      errors->not_supported(path.child("policyTypes").index(static_cast<size_t>(i)), type, {"Egress", "Ingress"});
  }
}

void endpoint_slice_defaults(Message* object) {
  for (auto& port : *as<discoveryv1::EndpointSlice>(object).mutable_ports()) {
    if (!port.has_name()) port.set_name("");
    if (!port.has_protocol()) port.set_protocol("TCP");
  }
}

void validate_endpoint_slice(const Message& object, FieldErrors* errors) {
  const auto& slice = as<discoveryv1::EndpointSlice>(object);
  constexpr int kEndpointsMax = 1000;
  if (slice.addresstype().empty()) {
    errors->required(FieldPath("addressType"));
  } else if (slice.addresstype() != "IPv4" && slice.addresstype() != "IPv6" && slice.addresstype() != "FQDN") {
    errors->not_supported(FieldPath("addressType"), slice.addresstype(), {"FQDN", "IPv4", "IPv6"});
  }
  if (slice.endpoints_size() > kEndpointsMax) {
    errors->too_many(FieldPath("endpoints"), static_cast<size_t>(slice.endpoints_size()), kEndpointsMax);
    return;
  }
  for (int i = 0; i < slice.endpoints_size(); ++i) {
    if (slice.endpoints(i).addresses().empty()) {
      errors->required(FieldPath("endpoints").index(static_cast<size_t>(i)).child("addresses"),
                       "must contain at least 1 address");
    }
  }
  for (int i = 0; i < slice.ports_size(); ++i) {
    const auto& port = slice.ports(i);
    const auto at = FieldPath("ports").index(static_cast<size_t>(i));
    if (!port.name().empty()) errors->invalid(at.child("name"), port.name(), dns1123_label_faults(port.name()));
    if (port.protocol() != "TCP" && port.protocol() != "UDP" && port.protocol() != "SCTP") {
      errors->not_supported(at.child("protocol"), port.protocol(), {"SCTP", "TCP", "UDP"});
    }
  }
}

void validate_endpoint_slice_update(const Message& object, const Message& current, std::string_view,
                                    FieldErrors* errors) {
  const auto& type = as<discoveryv1::EndpointSlice>(object).addresstype();
  if (type != as<discoveryv1::EndpointSlice>(current).addresstype())
    errors->invalid(FieldPath("addressType"), type, "field is immutable");
}

constexpr KindHandler kHandlers[] = {
    {.id = "ingresses.networking.k8s.io", .validate = validate_ingress},
    {.id = "ingressclasses.networking.k8s.io",
     .validate = validate_ingress_class,
     .validate_update = validate_ingress_class_update},
    {.id = "networkpolicies.networking.k8s.io",
     .set_defaults = network_policy_defaults,
     .validate = validate_network_policy},
    {.id = "endpointslices.discovery.k8s.io",
     .set_defaults = endpoint_slice_defaults,
     .validate = validate_endpoint_slice,
     .validate_update = validate_endpoint_slice_update},
};

}  // namespace

std::span<const KindHandler> network_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
