// Services and their endpoints into iptables rules. Pure.
//
// The chains and what they are for (README.md has the picture):
//   nat     ORLOP-SERVICES     from PREROUTING and OUTPUT: one rule for each address and port of a Service
//           ORLOP-NODEPORTS    its last rule's target, for addresses of this node: one rule for each node port
//           ORLOP-SVC-HASH     one for each port of a Service: picks an endpoint among all of the cluster
//           ORLOP-SVL-HASH     the same among the endpoints on this node, for the traffic policy Local
//           ORLOP-EXT-HASH     for traffic from outside: masquerade or not, then one of the two above
//           ORLOP-SEP-HASH     one for each endpoint: hairpin mark, affinity, DNAT
//           ORLOP-MARK-MASQ    marks a packet whose source is to be this node's
//           ORLOP-POSTROUTING  ORLOP-MASQ for what is marked, ORLOP-EGRESS for what leaves the pods' network
//   filter  ORLOP-SERVICES     refuses what no endpoint serves
//           ORLOP-FORWARD      lets pods' traffic through where FORWARD's policy is DROP
//           ORLOP-FIREWALL     keeps strangers from 127.0.0.0/8, which route_localnet opens
//
// Threads: values and pure functions.
#pragma once

#include "plugins/net-iptables/model.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::net {

// A rule is what stands after "-A CHAIN ", in the very words of iptables-save, so that what is there can be compared.
using Rules = std::vector<std::string>;
using Chains = std::map<std::string, Rules>;

// What rules depend on beside Services.
struct NodeContext {
  std::string node;                        // whose endpoints are local
  std::vector<std::string> pod_cidrs;      // of this node
  std::vector<std::string> cluster_cidrs;  // all pods', this node's included
  uint32_t mark = 0x4000;                  // one bit
  bool localhost_node_ports = true;
  bool operator==(const NodeContext&) const = default;
};

// Flows of UDP that the kernel would go on sending to the old place: a Service's address, and where it led.
struct UdpFront {
  std::string address;     // empty: any address of this node
  uint16_t node_port = 0;  // with an empty address
  std::vector<std::string> endpoints;
  bool operator==(const UdpFront&) const = default;
};

// The rules that stand for one Service.
struct ServiceRules {
  Chains nat_chains;
  Rules nat_services;    // rules of ORLOP-SERVICES in nat
  Rules nat_node_ports;  // of ORLOP-NODEPORTS
  Rules filter_services;
  std::vector<UdpFront> udp;
  uint32_t endpoints = 0;  // distinct address and port pairs in the rules
};

// `slices`: those of this Service, in any order.
ServiceRules rules_of(const Service& service, std::span<const EndpointSlice* const> slices, const NodeContext& context);

// A jump from a chain of the kernel's into one of ours.
struct Jump {
  std::string from;
  std::string rule;
  std::string to;
};

struct TableFrame {
  std::string table;        // "nat"
  Chains chains;            // whole, but for the ones below
  Rules services_last;      // rules at the end of ORLOP-SERVICES
  std::vector<Jump> jumps;  // each to be inserted at the top; the last one ends up first
};

// What is there without any Service.
std::vector<TableFrame> frame_of(const NodeContext& context);

// A chain that rules_of() may have made once.
bool is_service_chain(std::string_view chain);

}  // namespace orlop::net
