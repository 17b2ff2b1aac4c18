// From a Service and its pods to Endpoints and EndpointSlices. Pure.
//
// Follows k8s.io/api/core/v1 Endpoints and k8s.io/api/discovery/v1 EndpointSlice as upstream's controllers fill them.
#pragma once

#include "orlop/kube/discovery_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"

#include <string>
#include <vector>

namespace orlop::cluster {

using Service = k8s::io::api::core::v1::Service;
using Endpoints = k8s::io::api::core::v1::Endpoints;
using EndpointSlice = k8s::io::api::discovery::v1::EndpointSlice;
using Endpoint = k8s::io::api::discovery::v1::Endpoint;

inline constexpr int kEndpointsPerSlice = 100;
inline constexpr char kServiceNameLabel[] = "kubernetes.io/service-name";
inline constexpr char kManagedByLabel[] = "endpointslice.kubernetes.io/managed-by";
inline constexpr char kManagedBy[] = "endpointslice-controller.k8s.io";

// One Service port resolved for one pod: pods may name their ports differently.
struct ResolvedPort {
  std::string name;
  std::string protocol;
  int32_t port = 0;
  std::string app_protocol;
  auto operator<=>(const ResolvedPort&) const = default;
};
using ResolvedPorts = std::vector<ResolvedPort>;

// The ports that a pod serves the Service at; a named target port that the pod lacks is left out.
ResolvedPorts resolve_ports(const Service& service, const kube::Pod& pod);

// Whether the pod belongs into the Service's endpoints at all: it has an address and has not ended.
bool is_endpoint(const kube::Pod& pod);
Endpoint make_endpoint(const Service& service, const kube::Pod& pod);

Endpoints make_endpoints(const Service& service, const std::vector<Stored<kube::Pod>>& pods);

bool same_labels(const kube::ObjectMeta& a, const kube::ObjectMeta& b);

// What is to be written so that the slices say what the pods are: endpoints stay in the slice that they are in, so that
// one pod's change is one slice's write.
struct SlicePlan {
  std::vector<EndpointSlice> create;
  std::vector<Stored<EndpointSlice>> update;
  std::vector<std::string> remove;  // names
};
SlicePlan plan_slices(const Service& service, const std::vector<Stored<kube::Pod>>& pods,
                      std::vector<Stored<EndpointSlice>> existing);

}  // namespace orlop::cluster
