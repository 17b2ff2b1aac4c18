#include "plugins/dns/kube_dns.hpp"

#include "orlop/objects.hpp"
#include "plugins/dns/cluster.hpp"

#include <google/protobuf/util/message_differencer.h>

namespace orlop::dns {
namespace {

constexpr const char* kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kManager = "dns.orlop";

bool leads_to(const EndpointSlice& is, const EndpointSlice& wanted) {
  if (is.endpoints_size() != 1 || is.ports_size() != wanted.ports_size()) return false;
  const auto label = is.metadata().labels().find(kServiceLabel);
  if (label == is.metadata().labels().end() || label->second != kServiceName) return false;
  const auto& endpoint = is.endpoints(0);
  if (endpoint.addresses_size() != 1 || endpoint.addresses(0) != wanted.endpoints(0).addresses(0)) return false;
  if (!endpoint.conditions().ready() || endpoint.nodename() != wanted.endpoints(0).nodename()) return false;
  for (int i = 0; i < is.ports_size(); ++i) {
    if (!google::protobuf::util::MessageDifferencer::Equals(is.ports(i), wanted.ports(i))) return false;
  }
  return true;
}

}  // namespace

Service kube_dns_service(const std::string& cluster_ip) {
  Service service;
  auto& metadata = *service.mutable_metadata();
  metadata.set_name(kServiceName);
  metadata.set_namespace_(kServiceNamespace);
  auto& labels = *metadata.mutable_labels();
  labels["k8s-app"] = "kube-dns";
  labels["kubernetes.io/cluster-service"] = "true";
  labels["kubernetes.io/name"] = "CoreDNS";
  auto& spec = *service.mutable_spec();
  spec.set_type("ClusterIP");
  spec.set_clusterip(cluster_ip);
  spec.set_internaltrafficpolicy("Local");
  for (const auto& [name, protocol] : {std::pair("dns", "UDP"), std::pair("dns-tcp", "TCP")}) {
    auto& port = *spec.add_ports();
    port.set_name(name);
    port.set_protocol(protocol);
    port.set_port(53);
    port.mutable_targetport()->set_type(0);
    port.mutable_targetport()->set_intval(53);
  }
  return service;
}

EndpointSlice kube_dns_slice(const std::string& node, const std::string& address, uint16_t port) {
  EndpointSlice slice;
  slice.mutable_metadata()->set_name(std::string(kServiceName) + "-" + node);
  slice.mutable_metadata()->set_namespace_(kServiceNamespace);
  auto& labels = *slice.mutable_metadata()->mutable_labels();
  labels[kServiceLabel] = kServiceName;
  labels[kManagedBy] = kManager;
  slice.set_addresstype("IPv4");
  auto& endpoint = *slice.add_endpoints();
  endpoint.add_addresses(address);
  endpoint.set_nodename(node);
  endpoint.mutable_conditions()->set_ready(true);
  for (const auto& [name, protocol] : {std::pair("dns", "UDP"), std::pair("dns-tcp", "TCP")}) {
    auto& one = *slice.add_ports();
    one.set_name(name);
    one.set_protocol(protocol);
    one.set_port(port);
  }
  return slice;
}

Status keep_kube_dns(const Host& host, const std::string& cluster_ip, const std::string& node,
                     const std::string& address, uint16_t port) {
  const Objects<Service> services(host);
  auto service = services.get(kServiceNamespace, kServiceName);
  if (!service) {
    if (service.code() != Code::kNotFound) return service.status();
    ORLOP_TRY(services.create(kube_dns_service(cluster_ip)).status());
  } else if (!service->object.spec().selector().empty()) {
    return {Code::kAlreadyExists, "Service kube-system/kube-dns selects pods: another DNS serves the cluster"};
  }
  if (address.empty()) return Status::ok();
  const Objects<EndpointSlice> slices(host);
  EndpointSlice wanted = kube_dns_slice(node, address, port);
  auto slice = slices.get(kServiceNamespace, wanted.metadata().name());
  if (!slice) {
    return slice.code() == Code::kNotFound ? slices.create(wanted).status() : slice.status();
  }
  if (leads_to(slice->object, wanted)) return Status::ok();
  *slice->object.mutable_endpoints() = wanted.endpoints();
  *slice->object.mutable_ports() = wanted.ports();
  for (const auto& [key, value] : wanted.metadata().labels()) {
    (*slice->object.mutable_metadata()->mutable_labels())[key] = value;
  }
  return slices.update(*slice).status();
}

}  // namespace orlop::dns
