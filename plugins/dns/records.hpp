// Which records the cluster's objects stand for: Kubernetes' DNS-based service discovery, schema 1.1.0.
//
// Threads: pure functions. Names are those of objects and so lower case; what is no name or address has no record.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/discovery_v1.hpp"
#include "plugins/dns/zone.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::dns {

using Service = k8s::io::api::core::v1::Service;
using EndpointSlice = k8s::io::api::discovery::v1::EndpointSlice;

// The zone itself: SOA, NS, its server's address, the schema's version. `serial` only ever grows.
std::vector<Entry> zone_records(const std::string& domain, const std::string& server_address, uint32_t serial,
                                uint32_t ttl);
// A namespace exists below svc and below pod.
std::vector<Entry> namespace_records(const std::string& domain, const std::string& name_space);
// Of a Service with all its slices.
std::vector<Entry> service_records(const std::string& domain, const Service& service,
                                   const std::vector<const EndpointSlice*>& slices);

// 10-244-0-5 or fd00--5 as the rdata of an A (4 bytes) or AAAA (16 bytes) record; empty when it is no address.
std::string address_of_label(std::string_view label);
// The name below in-addr.arpa or ip6.arpa; empty when it is no address.
std::string reverse_key(const std::string& address);

}  // namespace orlop::dns
