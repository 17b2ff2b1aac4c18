#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/discovery_v1.hpp"
#include "orlop/kube/networking_v1.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;
namespace discoveryv1 = k8s::io::api::discovery::v1;
namespace networkingv1 = k8s::io::api::networking::v1;

constexpr ColumnSpec kServiceColumns[] = {
    kNameColumn,
    {"Type", "string", "k8s.io.api.core.v1.ServiceSpec#type"},
    {"Cluster-IP", "string", "k8s.io.api.core.v1.ServiceSpec#clusterIP"},
    {"External-IP", "string", "k8s.io.api.core.v1.ServiceSpec#externalIPs"},
    {"Port(s)", "string", "k8s.io.api.core.v1.ServiceSpec#ports"},
    kAgeColumn,
    {"Selector", "string", "k8s.io.api.core.v1.ServiceSpec#selector", 1},
};

std::string external_address(const corev1::Service& service) {
  const auto& spec = service.spec();
  const std::vector<std::string> fixed(spec.externalips().begin(), spec.externalips().end());
  if (spec.type() == "ExternalName") return spec.externalname();
  if (spec.type() != "LoadBalancer") return fixed.empty() ? "<none>" : comma_joined(fixed);
  std::vector<std::string> addresses;
  for (const auto& ingress : service.status().loadbalancer().ingress()) {
    if (!ingress.ip().empty() || !ingress.hostname().empty())
      addresses.push_back(ingress.ip().empty() ? ingress.hostname() : ingress.ip());
  }
  std::string text = load_balancer_text(addresses);
  if (!fixed.empty()) text += (text.empty() ? "" : ",") + comma_joined(fixed);
  return text.empty() ? "<pending>" : text;
}

void service_cells(const Message& object, Cells* cells) {
  const auto& service = as<corev1::Service>(object);
  std::vector<std::string> ports;
  for (const auto& port : service.spec().ports()) {
    ports.push_back(port.nodeport() > 0 ? fmt::format("{}:{}/{}", port.port(), port.nodeport(), port.protocol())
                                        : fmt::format("{}/{}", port.port(), port.protocol()));
  }
  cells->text(service.metadata().name());
  cells->text(service.spec().type());
  cells->text_or(service.spec().clusterips().empty() ? service.spec().clusterip() : service.spec().clusterips(0),
                 "<none>");
  cells->text(external_address(service));
  cells->text_or(comma_joined(ports), "<none>");
  cells->age(service.metadata());
  cells->text(labels_text(service.spec().selector()));
}

constexpr ColumnSpec kEndpointsColumns[] = {
    kNameColumn, {"Endpoints", "string", "k8s.io.api.core.v1.Endpoints#subsets"}, kAgeColumn};

std::string host_port(const std::string& address, int32_t port) {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

void endpoints_cells(const Message& object, Cells* cells) {
  const auto& endpoints = as<corev1::Endpoints>(object);
  std::vector<std::string> all;
  for (const auto& subset : endpoints.subsets()) {
    if (subset.ports().empty()) {
      for (const auto& address : subset.addresses()) all.push_back(address.ip());
    }
    for (const auto& port : subset.ports()) {
      for (const auto& address : subset.addresses()) all.push_back(host_port(address.ip(), port.port()));
    }
  }
  cells->text(endpoints.metadata().name());
  cells->text(shortened(all, "<none>"));
  cells->age(endpoints.metadata());
}

constexpr ColumnSpec kEndpointSliceColumns[] = {
    kNameColumn,
    {"AddressType", "string", "k8s.io.api.discovery.v1.EndpointSlice#addressType"},
    {"Ports", "string", "k8s.io.api.discovery.v1.EndpointSlice#ports"},
    {"Endpoints", "string", "k8s.io.api.discovery.v1.EndpointSlice#endpoints"},
    kAgeColumn,
};

void endpoint_slice_cells(const Message& object, Cells* cells) {
  const auto& slice = as<discoveryv1::EndpointSlice>(object);
  std::vector<std::string> ports;
  for (const auto& port : slice.ports()) {
    ports.push_back(port.has_port() ? std::to_string(port.port()) : port.has_name() ? port.name() : "*");
  }
  std::vector<std::string> addresses;
  for (const auto& endpoint : slice.endpoints())
    addresses.insert(addresses.end(), endpoint.addresses().begin(), endpoint.addresses().end());
  cells->text(slice.metadata().name());
  cells->text(slice.addresstype());
  cells->text(shortened(ports, "<unset>"));
  cells->text(shortened(addresses, "<unset>"));
  cells->age(slice.metadata());
}

constexpr ColumnSpec kIngressColumns[] = {
    kNameColumn,
    {"Class", "string", "The name of the IngressClass resource that should be used for additional configuration"},
    {"Hosts", "string", "Hosts that incoming requests are matched against before the ingress rule"},
    {"Address", "string", "Address is a list containing ingress points for the load-balancer"},
    {"Ports", "string", "Ports of TLS configurations that open"},
    kAgeColumn,
};

void ingress_cells(const Message& object, Cells* cells) {
  const auto& ingress = as<networkingv1::Ingress>(object);
  std::vector<std::string> hosts;
  for (const auto& rule : ingress.spec().rules()) {
    if (!rule.host().empty()) hosts.push_back(rule.host());
  }
  std::vector<std::string> addresses;
  for (const auto& point : ingress.status().loadbalancer().ingress()) {
    if (!point.ip().empty() || !point.hostname().empty())
      addresses.push_back(point.ip().empty() ? point.hostname() : point.ip());
  }
  cells->text(ingress.metadata().name());
  cells->text(ingress.spec().has_ingressclassname() ? ingress.spec().ingressclassname() : "<none>");
  cells->text(shortened(hosts, "*"));
  cells->text(load_balancer_text(addresses));
  cells->text(ingress.spec().tls().empty() ? "80" : "80, 443");
  cells->age(ingress.metadata());
}

constexpr ColumnSpec kIngressClassColumns[] = {
    kNameColumn,
    {"Controller", "string", "Controller that is responsible for handling this class"},
    {"Parameters", "string", "A reference to a resource with additional parameters"},
    kAgeColumn,
};

void ingress_class_cells(const Message& object, Cells* cells) {
  const auto& ingress = as<networkingv1::IngressClass>(object);
  std::string parameters = "<none>";
  if (ingress.spec().has_parameters()) {
    const auto& reference = ingress.spec().parameters();
    parameters =
        reference.kind() + (reference.has_apigroup() ? "." + reference.apigroup() : "") + "/" + reference.name();
  }
  cells->text(ingress.metadata().name());
  cells->text(ingress.spec().controller());
  cells->text(parameters);
  cells->age(ingress.metadata());
}

constexpr ColumnSpec kNetworkPolicyColumns[] = {
    kNameColumn, {"Pod-Selector", "string", "k8s.io.api.networking.v1.NetworkPolicySpec#podSelector"}, kAgeColumn};

void network_policy_cells(const Message& object, Cells* cells) {
  const auto& policy = as<networkingv1::NetworkPolicy>(object);
  cells->text(policy.metadata().name());
  cells->text(selector_text(policy.spec().podselector()));
  cells->age(policy.metadata());
}

constexpr KindPrinter kPrinters[] = {
    {"services", kServiceColumns, service_cells},
    {"endpoints", kEndpointsColumns, endpoints_cells},
    {"endpointslices.discovery.k8s.io", kEndpointSliceColumns, endpoint_slice_cells},
    {"ingresses.networking.k8s.io", kIngressColumns, ingress_cells},
    {"ingressclasses.networking.k8s.io", kIngressClassColumns, ingress_class_cells},
    {"networkpolicies.networking.k8s.io", kNetworkPolicyColumns, network_policy_cells},
};

}  // namespace

std::span<const KindPrinter> network_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
