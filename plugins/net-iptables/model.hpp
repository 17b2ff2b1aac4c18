// What the proxy must know of Services, EndpointSlices and Nodes, and nothing else of them.
//
// Threads: values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace orlop::net {

enum class Protocol : uint8_t { kTcp, kUdp, kSctp };

// Of an object in a namespace.
struct ObjectName {
  std::string name_space;
  std::string name;
  auto operator<=>(const ObjectName&) const = default;
  [[nodiscard]] std::string text() const { return name_space + "/" + name; }
};

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
  uint16_t node_port = 0;  // 0: none
};

struct Service {
  ObjectName id;
  bool proxied = true;  // false: headless, ExternalName, or another proxy's
  std::vector<std::string> cluster_ips;
  std::vector<std::string> external_ips;
  std::vector<std::string> balancer_ips;                // of status.loadBalancer, ipMode Proxy left out
  std::vector<std::string> source_ranges;               // who may use balancer_ips; empty: everybody
  bool affinity = false;                                // sessionAffinity ClientIP
  uint32_t affinity_s = 10800;                          // how long a client stays with its endpoint
  bool internal_local = false, external_local = false;  // internalTrafficPolicy, externalTrafficPolicy: Local
  std::vector<ServicePort> ports;
};

struct Endpoint {
  std::vector<std::string> addresses;
  std::string node;
  bool ready = true, serving = true, terminating = false;
};

struct SlicePort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
};

struct EndpointSlice {
  ObjectName service;  // empty name: belongs to none
  bool ipv4 = true;
  std::vector<SlicePort> ports;
  std::vector<Endpoint> endpoints;
};

struct Node {
  std::string name;
  std::vector<std::string> pod_cidrs;
  std::string internal_ip;
  auto operator<=>(const Node&) const = default;
};

}  // namespace orlop::net
