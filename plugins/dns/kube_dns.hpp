// Service kube-dns and this node's EndpointSlice of it: how pods and the node reach us.
//
// The Service has no selector; each node keeps one slice of its own, with the address at which it listens, and the
// Service's internalTrafficPolicy Local leads a pod to the one on its own node.
//
// Threads: any; blocks on the store.
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "plugins/dns/records.hpp"

#include <cstdint>
#include <string>

namespace orlop::dns {

Service kube_dns_service(const std::string& cluster_ip);
EndpointSlice kube_dns_slice(const std::string& node, const std::string& address, uint16_t port);

// Creates what is missing and mends what leads elsewhere. A Service kube-dns with a selector is somebody else's and
// stays as it is: kAlreadyExists. `address` empty: the Service alone.
Status keep_kube_dns(const Host& host, const std::string& cluster_ip, const std::string& node,
                     const std::string& address, uint16_t port);

}  // namespace orlop::dns
