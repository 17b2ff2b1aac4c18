#include "plugins/controllers-cluster/endpoints/slices.hpp"

#include "orlop/names.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

namespace orlop::cluster {
namespace {

namespace core = k8s::io::api::core::v1;

void fill_reference(const kube::Pod& pod, core::ObjectReference& out) {
  out.set_kind("Pod");
  out.set_namespace_(pod.metadata().namespace_());
  out.set_name(pod.metadata().name());
  out.set_uid(pod.metadata().uid());
}

bool serves_host_name(const Service& service, const kube::Pod& pod) {
  return !pod.spec().hostname().empty() && pod.spec().subdomain() == service.metadata().name();
}

void set_labels(const Service& service, kube::ObjectMeta& metadata) {
  *metadata.mutable_labels() = service.metadata().labels();
  (*metadata.mutable_labels())[kServiceNameLabel] = service.metadata().name();
  (*metadata.mutable_labels())[kManagedByLabel] = kManagedBy;
  if (service.spec().clusterip() == "None") (*metadata.mutable_labels())["service.kubernetes.io/headless"] = "";
}

EndpointSlice new_slice(const Service& service, const ResolvedPorts& ports) {
  EndpointSlice slice;
  auto& metadata = *slice.mutable_metadata();
  metadata.set_namespace_(service.metadata().namespace_());
  metadata.set_generatename(service.metadata().name() + "-");
  metadata.set_name(service.metadata().name() + "-" + random_suffix());
  set_labels(service, metadata);
  auto& owner = *metadata.add_ownerreferences();
  owner.set_apiversion("v1");
  owner.set_kind("Service");
  owner.set_name(service.metadata().name());
  owner.set_uid(service.metadata().uid());
  owner.set_controller(true);
  owner.set_blockownerdeletion(true);
  slice.set_addresstype("IPv4");
  for (const ResolvedPort& port : ports) {
    auto& out = *slice.add_ports();
    out.set_name(port.name);
    out.set_protocol(port.protocol);
    out.set_port(port.port);
    if (!port.app_protocol.empty()) out.set_appprotocol(port.app_protocol);
  }
  return slice;
}

ResolvedPorts ports_of(const EndpointSlice& slice) {
  ResolvedPorts out;
  for (const auto& port : slice.ports()) out.push_back({port.name(), port.protocol(), port.port(), port.appprotocol()});
  return out;
}

bool same_endpoints(const EndpointSlice& a, const EndpointSlice& b) {
  if (a.endpoints_size() != b.endpoints_size()) return false;
  for (int i = 0; i < a.endpoints_size(); ++i) {
    if (!google::protobuf::util::MessageDifferencer::Equals(a.endpoints(i), b.endpoints(i))) return false;
  }
  return true;
}

using WantedEndpoints = std::map<std::string, Endpoint>;  // by the pod's uid

// The slices of one group of ports.
void plan_group(const Service& service, const ResolvedPorts& ports, WantedEndpoints wanted,
                std::vector<Stored<EndpointSlice>> existing, SlicePlan& plan) {
  std::vector<std::pair<Stored<EndpointSlice>, EndpointSlice>> slices;  // as stored, as wanted
  for (Stored<EndpointSlice>& stored : existing) {
    EndpointSlice next = stored.object;
    next.clear_endpoints();
    set_labels(service, *next.mutable_metadata());
    for (const Endpoint& endpoint : stored.object.endpoints()) {
      const auto found = wanted.find(endpoint.targetref().uid());
      if (found == wanted.end()) continue;
      *next.add_endpoints() = std::move(found->second);
      wanted.erase(found);
    }
    slices.emplace_back(std::move(stored), std::move(next));
  }
  auto rest = wanted.begin();
  for (auto& [stored, next] : slices) {
    while (rest != wanted.end() && next.endpoints_size() < kEndpointsPerSlice)
      *next.add_endpoints() = std::move((rest++)->second);
  }
  bool has_one = false;
  for (auto& [stored, next] : slices) {
    // One slice stays even when nothing is in it: it says that there is nothing.
    const bool empty = next.endpoints_size() == 0;
    if (empty && (has_one || &stored != &slices.back().first)) {
      plan.remove.push_back(next.metadata().name());
      continue;
    }
    has_one = true;
    if (!same_endpoints(stored.object, next) || !same_labels(stored.object.metadata(), next.metadata()))
      plan.update.push_back({std::move(next), stored.revision});
  }
  while (rest != wanted.end() || !has_one) {
    EndpointSlice slice = new_slice(service, ports);
    while (rest != wanted.end() && slice.endpoints_size() < kEndpointsPerSlice)
      *slice.add_endpoints() = std::move((rest++)->second);
    plan.create.push_back(std::move(slice));
    has_one = true;
  }
}

}  // namespace

bool same_labels(const kube::ObjectMeta& a, const kube::ObjectMeta& b) {
  return a.labels_size() == b.labels_size() &&
         std::all_of(a.labels().begin(), a.labels().end(), [&](const auto& label) {
           const auto found = b.labels().find(label.first);
           return found != b.labels().end() && found->second == label.second;
         });
}

ResolvedPorts resolve_ports(const Service& service, const kube::Pod& pod) {
  ResolvedPorts out;
  for (const auto& port : service.spec().ports()) {
    const std::string protocol = port.protocol().empty() ? "TCP" : port.protocol();
    int32_t number = 0;
    const auto& target = port.targetport();
    if (target.type() == 1) {
      for (const auto& container : pod.spec().containers()) {
        for (const auto& own : container.ports()) {
          if (own.name() == target.strval() && (own.protocol().empty() ? "TCP" : own.protocol()) == protocol) {
            number = own.containerport();
          }
        }
      }
      if (number == 0) continue;
    } else {
      number = target.intval() != 0 ? target.intval() : port.port();
    }
    out.push_back({port.name(), protocol, number, port.appprotocol()});
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool is_endpoint(const kube::Pod& pod) {
  return !pod.status().podip().empty() && !kube::is_terminal(pod);
}

Endpoint make_endpoint(const Service& service, const kube::Pod& pod) {
  Endpoint out;
  const bool serving = kube::is_ready(pod);
  const bool terminating = kube::is_terminating(pod);
  out.add_addresses(pod.status().podip());
  out.mutable_conditions()->set_ready((serving && !terminating) || service.spec().publishnotreadyaddresses());
  out.mutable_conditions()->set_serving(serving);
  out.mutable_conditions()->set_terminating(terminating);
  if (serves_host_name(service, pod)) out.set_hostname(pod.spec().hostname());
  fill_reference(pod, *out.mutable_targetref());
  out.set_nodename(pod.spec().nodename());
  return out;
}

Endpoints make_endpoints(const Service& service, const std::vector<Stored<kube::Pod>>& pods) {
  Endpoints out;
  out.mutable_metadata()->set_name(service.metadata().name());
  out.mutable_metadata()->set_namespace_(service.metadata().namespace_());
  *out.mutable_metadata()->mutable_labels() = service.metadata().labels();
  if (service.spec().clusterip() == "None")
    (*out.mutable_metadata()->mutable_labels())["service.kubernetes.io/headless"] = "";
  std::map<ResolvedPorts, core::EndpointSubset> subsets;
  for (const Stored<kube::Pod>& stored : pods) {
    const kube::Pod& pod = stored.object;
    if (!is_endpoint(pod) || (kube::is_terminating(pod) && !service.spec().publishnotreadyaddresses())) continue;
    core::EndpointSubset& subset = subsets[resolve_ports(service, pod)];
    const bool ready = kube::is_ready(pod) || service.spec().publishnotreadyaddresses();
    core::EndpointAddress& address = ready ? *subset.add_addresses() : *subset.add_notreadyaddresses();
    address.set_ip(pod.status().podip());
    address.set_nodename(pod.spec().nodename());
    if (serves_host_name(service, pod)) address.set_hostname(pod.spec().hostname());
    fill_reference(pod, *address.mutable_targetref());
  }
  const auto by_ip = [](const core::EndpointAddress& a, const core::EndpointAddress& b) { return a.ip() < b.ip(); };
  for (auto& [ports, subset] : subsets) {
    std::sort(subset.mutable_addresses()->begin(), subset.mutable_addresses()->end(), by_ip);
    std::sort(subset.mutable_notreadyaddresses()->begin(), subset.mutable_notreadyaddresses()->end(), by_ip);
    for (const ResolvedPort& port : ports) {
      auto& entry = *subset.add_ports();
      entry.set_name(port.name);
      entry.set_port(port.port);
      entry.set_protocol(port.protocol);
      if (!port.app_protocol.empty()) entry.set_appprotocol(port.app_protocol);
    }
    *out.add_subsets() = std::move(subset);
  }
  return out;
}

SlicePlan plan_slices(const Service& service, const std::vector<Stored<kube::Pod>>& pods,
                      std::vector<Stored<EndpointSlice>> existing) {
  std::map<ResolvedPorts, WantedEndpoints> groups;
  for (const Stored<kube::Pod>& stored : pods) {
    if (!is_endpoint(stored.object)) continue;
    groups[resolve_ports(service, stored.object)][stored.object.metadata().uid()] =
        make_endpoint(service, stored.object);
  }
  std::map<ResolvedPorts, std::vector<Stored<EndpointSlice>>> present;
  for (Stored<EndpointSlice>& slice : existing) present[ports_of(slice.object)].push_back(std::move(slice));
  SlicePlan plan;
  if (groups.empty()) {
    // No pods at all: one empty slice, whichever is there.
    groups[present.empty() ? ResolvedPorts() : present.begin()->first];
  }
  for (auto& [ports, wanted] : groups) plan_group(service, ports, std::move(wanted), std::move(present[ports]), plan);
  for (auto& [ports, slices] : present) {
    if (groups.contains(ports)) continue;
    for (const Stored<EndpointSlice>& slice : slices) plan.remove.push_back(slice.object.metadata().name());
  }
  return plan;
}

}  // namespace orlop::cluster
