#include "plugins/dns/cluster.hpp"

#include "orlop/kube/kinds_traits.hpp"

#include <arpa/inet.h>

namespace orlop::dns {
namespace {

using Node = k8s::io::api::core::v1::Node;

constexpr const char* kServices = "services";
constexpr const char* kSlices = "endpointslices.discovery.k8s.io";
constexpr const char* kNamespaces = "namespaces";
constexpr const char* kNodes = "nodes";

std::string plus(const std::string& address, uint32_t more) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1) return {};
  parsed.s_addr = htonl(ntohl(parsed.s_addr) + more);
  char text[INET_ADDRSTRLEN] = {};
  return ::inet_ntop(AF_INET, &parsed, text, sizeof(text)) == nullptr ? std::string() : std::string(text);
}

template <typename T>
bool parse(std::string_view bytes, T& out) {
  return out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string owner_of(const std::pair<std::string, std::string>& service) {
  return "service/" + service.first + "/" + service.second;
}

}  // namespace

std::string tenth_address(const std::string& first) {
  return plus(first, 9);
}

std::string first_address(const std::string& range) {
  return plus(range.substr(0, range.find('/')), 1);
}

Cluster::Cluster(Host host, Settings settings, Zone& zone)
    : host_(host),
      settings_(std::move(settings)),
      zone_(zone),
      watch_(
          host, WatchOptions{{kNamespaces, kNodes, kServices, kSlices}},
          [this](const ChangeView& change) { observe(change); }, [this] { forget(); }) {}

Result<bool> Cluster::follow() {
  ORLOP_ASSIGN(const bool any, watch_.drain());
  if (any || anew_) apply();
  return any;
}

void Cluster::forget() {
  services_.clear();
  slices_.clear();
  slices_of_.clear();
  namespaces_.clear();
  pod_cidr_.clear();
  anew_ = true;
}

void Cluster::observe(const ChangeView& change) {
  const RecordView& record = change.record;
  const Name name(record.name_space, record.name);
  const bool gone = change.type == ChangeType::kDeleted;
  if (record.kind == kServices) {
    observe_service(name, change);
  } else if (record.kind == kSlices) {
    observe_slice(name, change);
  } else if (record.kind == kNamespaces) {
    if (gone) {
      namespaces_.erase(name.second);
    } else {
      namespaces_.insert(name.second);
    }
    dirty_namespaces_.insert(name.second);
  } else if (record.kind == kNodes && record.name == settings_.node) {
    Node node;
    pod_cidr_ = !gone && parse(record.value, node) ? node.spec().podcidr() : std::string();
  }
}

void Cluster::observe_service(const Name& name, const ChangeView& change) {
  dirty_services_.insert(name);
  Service service;
  if (change.type == ChangeType::kDeleted || !parse(change.record.value, service)) {
    services_.erase(name);
    return;
  }
  services_[name] = std::move(service);
}

void Cluster::observe_slice(const Name& name, const ChangeView& change) {
  const auto service_of = [&name](const EndpointSlice& slice) -> Name {
    const auto label = slice.metadata().labels().find(kServiceLabel);
    return {name.first, label == slice.metadata().labels().end() ? std::string() : label->second};
  };
  if (const auto known = slices_.find(name); known != slices_.end()) {
    const Name service = service_of(known->second);
    dirty_services_.insert(service);
    const auto of = slices_of_.find(service);
    of->second.erase(name);
    if (of->second.empty()) slices_of_.erase(of);
    slices_.erase(known);
  }
  EndpointSlice slice;
  if (change.type == ChangeType::kDeleted || !parse(change.record.value, slice)) return;
  const Name service = service_of(slice);
  if (service.second.empty()) return;
  dirty_services_.insert(service);
  slices_of_[service].insert(name);
  slices_[name] = std::move(slice);
}

void Cluster::set(const std::string& owner, std::vector<Entry> entries) {
  if (entries.empty()) {
    owners_.erase(owner);
  } else {
    owners_.insert(owner);
  }
  zone_.set(owner, std::move(entries));
}

void Cluster::apply() {
  if (anew_) {
    const std::set<std::string> before = owners_;
    for (const auto& [name, service] : services_) dirty_services_.insert(name);
    dirty_namespaces_.insert(namespaces_.begin(), namespaces_.end());
    for (const std::string& owner : before) {
      const size_t slash = owner.find('/');
      const size_t second = owner.rfind('/');
      if (owner.starts_with("namespace/")) dirty_namespaces_.insert(owner.substr(slash + 1));
      if (owner.starts_with("service/")) {
        dirty_services_.insert({owner.substr(slash + 1, second - slash - 1), owner.substr(second + 1)});
      }
    }
    anew_ = false;
  }
  if (!owners_.contains("zone") || !dirty_services_.empty() || !dirty_namespaces_.empty()) {
    const auto now_s = static_cast<uint32_t>(host_.wall_now_ns() / 1'000'000'000);
    set("zone", zone_records(settings_.domain, service_address(), now_s, settings_.ttl));
  }
  for (const std::string& name : dirty_namespaces_) {
    set("namespace/" + name,
        namespaces_.contains(name) ? namespace_records(settings_.domain, name) : std::vector<Entry>());
  }
  for (const Name& name : dirty_services_) {
    std::vector<Entry> entries;
    if (const auto service = services_.find(name); service != services_.end()) {
      std::vector<const EndpointSlice*> slices;
      if (const auto of = slices_of_.find(name); of != slices_of_.end()) {
        for (const Name& slice : of->second) slices.push_back(&slices_.at(slice));
      }
      entries = service_records(settings_.domain, service->second, slices);
    }
    set(owner_of(name), std::move(entries));
  }
  dirty_namespaces_.clear();
  dirty_services_.clear();
}

std::string Cluster::service_address() const {
  const auto own = services_.find({kServiceNamespace, kServiceName});
  if (own != services_.end()) return own->second.spec().clusterip();
  if (!settings_.cluster_ip.empty()) return settings_.cluster_ip;
  const auto api = services_.find({"default", "kubernetes"});
  return api == services_.end() ? std::string() : tenth_address(api->second.spec().clusterip());
}

std::string Cluster::bridge_address() const {
  return pod_cidr_.empty() ? std::string() : first_address(pod_cidr_);
}

}  // namespace orlop::dns
