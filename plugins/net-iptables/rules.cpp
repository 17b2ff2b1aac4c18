#include "plugins/net-iptables/rules.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <openssl/sha.h>

namespace orlop::net {

namespace {

struct Target {
  std::string address;
  uint16_t port = 0;
  bool local = false;
  auto operator<=>(const Target&) const = default;
  [[nodiscard]] std::string text() const { return fmt::format("{}:{}", address, port); }
};

struct Targets {
  std::vector<Target> cluster;
  std::vector<Target> local;
};

constexpr std::string_view name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "tcp";
}

// 80 bits of SHA-256: nobody can choose names so that two Services share a chain. A chain's name has at most 28 bytes.
std::string chain_name(std::string_view prefix, std::string_view what) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  ::SHA256(reinterpret_cast<const unsigned char*>(what.data()), what.size(), digest.data());
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string name(prefix);
  uint64_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < 10; ++i) {
    bits = (bits << 8) | digest[i];
    held += 8;
    while (held >= 5) {
      held -= 5;
      name.push_back(kLetters[(bits >> held) & 31]);
    }
  }
  return name;
}

// One in `count`, as the kernel keeps it: in 31 bits.
std::string chance_of(size_t count) {
  constexpr double kWhole = 2147483648.0;
  return fmt::format("{:.11f}", std::round(kWhole / static_cast<double>(count)) / kWhole);
}

// Names are checked by the API; whatever else comes must not end a quoted word or a line.
std::string comment(std::string_view text) {
  std::string clean(text.substr(0, 200));
  for (char& c : clean) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '/' || c == ':' || c == ' ';
    if (!fine) c = '_';
  }
  return fmt::format("-m comment --comment \"{}\"", clean);
}

void sort_unique(std::vector<Target>& targets) {
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
}

// Those that are ready; when there are none, those that still serve while they terminate.
template <typename Wanted>
std::vector<Target> pick(const ServicePort& port, std::span<const EndpointSlice* const> slices, const std::string& node,
                         Wanted&& wanted) {
  std::vector<Target> ready;
  std::vector<Target> fallback;
  for (const EndpointSlice* slice : slices) {
    if (!slice->ipv4) continue;
    for (const SlicePort& slice_port : slice->ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      for (const Endpoint& endpoint : slice->endpoints) {
        if (!wanted(endpoint)) continue;
        // Each entry of `addresses` stands for the same endpoint; the first one is enough.
        Target target{endpoint.addresses.front(), slice_port.port, endpoint.node == node};
        if (endpoint.ready) {
          ready.push_back(std::move(target));
        } else if (endpoint.serving && endpoint.terminating) {
          fallback.push_back(std::move(target));
        }
      }
    }
  }
  std::vector<Target>& chosen = ready.empty() ? fallback : ready;
  sort_unique(chosen);
  return std::move(chosen);
}

// Makes the rules of one port of a Service.
class PortBuilder {
 public:
  PortBuilder(const Service& service, const ServicePort& port, const NodeContext& context, ServiceRules& out)
      : service_(service),
        port_(port),
        context_(context),
        out_(out),
        protocol_(name_of(port.protocol)),
        title_(service.id.text() + (port.name.empty() ? "" : ":" + port.name)),
        key_(fmt::format("{}:{}:{}:{}", service.id.text(), port.name, protocol_, port.port)) {}

  void build(const Targets& targets) {
    const bool wants_local = service_.internal_local || service_.external_local;
    if (!targets.cluster.empty()) balance(cluster_chain(), targets.cluster);
    if (wants_local && !targets.local.empty()) balance(local_chain(), targets.local);
    std::set<std::string> addresses;
    for (const auto* list : {&targets.cluster, wants_local ? &targets.local : &targets.cluster}) {
      for (const Target& target : *list) {
        if (addresses.insert(target.text()).second) add_endpoint(target);
      }
    }
    out_.endpoints += static_cast<uint32_t>(addresses.size());
    internal(targets);
    external(targets);
    if (port_.protocol == Protocol::kUdp) note_udp(targets);
  }

 private:
  [[nodiscard]] std::string cluster_chain() const { return chain_name("ORLOP-SVC-", key_); }
  [[nodiscard]] std::string local_chain() const { return chain_name("ORLOP-SVL-", key_); }
  [[nodiscard]] std::string external_chain() const { return chain_name("ORLOP-EXT-", key_); }
  [[nodiscard]] std::string endpoint_chain(const Target& target) const {
    return chain_name("ORLOP-SEP-", key_ + "|" + target.text());
  }
  [[nodiscard]] std::string match(uint16_t port) const {
    return fmt::format("-p {0} -m {0} --dport {1}", protocol_, port);
  }
  [[nodiscard]] std::string to(const std::string& address) const {
    return fmt::format("-d {}/32 {}", address, match(port_.port));
  }

  void balance(const std::string& chain, const std::vector<Target>& targets) {
    Rules& rules = out_.nat_chains[chain];
    if (service_.affinity) {
      for (const Target& target : targets) {
        const std::string endpoint = endpoint_chain(target);
        rules.push_back(
            fmt::format("-m recent --rcheck --seconds {1} --reap --name {0} --mask 255.255.255.255 --rsource -j {0}",
                        endpoint, service_.affinity_s));
      }
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      const size_t left = targets.size() - i;
      const std::string chance =
          left == 1 ? "" : fmt::format("-m statistic --mode random --probability {} ", chance_of(left));
      rules.push_back(chance + "-j " + endpoint_chain(targets[i]));
    }
  }

  void add_endpoint(const Target& target) {
    const std::string chain = endpoint_chain(target);
    Rules& rules = out_.nat_chains[chain];
    // A pod that reaches itself through the Service would get an answer from an address that it did not ask.
    rules.push_back(fmt::format("-s {}/32 -j ORLOP-MARK-MASQ", target.address));
    const std::string remember = service_.affinity
                                     ? fmt::format("-m recent --set --name {} --mask 255.255.255.255 --rsource ", chain)
                                     : std::string();
    rules.push_back(fmt::format("-p {0} -m {0} {1}-j DNAT --to-destination {2}", protocol_, remember, target.text()));
  }

  void refuse(const std::string& where, std::string_view why, std::string_view verdict) {
    out_.filter_services.push_back(
        fmt::format("{} {} -j {}", where, comment(fmt::format("{} {}", title_, why)), verdict));
  }
  // Nobody serves it at all: say so at once. Nobody here may serve it: be silent, another node does.
  void refuse(const std::string& where, bool any) {
    if (any) {
      refuse(where, "has no local endpoints", "DROP");
    } else {
      refuse(where, "has no endpoints", "REJECT --reject-with icmp-port-unreachable");
    }
  }

  void internal(const Targets& targets) {
    const bool served = !(service_.internal_local ? targets.local : targets.cluster).empty();
    const std::string chain = service_.internal_local ? local_chain() : cluster_chain();
    for (const std::string& address : service_.cluster_ips) {
      if (!served) {
        refuse(to(address), !targets.cluster.empty());
        continue;
      }
      out_.nat_services.push_back(fmt::format("{} {} -j {}", to(address), comment(title_), chain));
      // Not from a pod of ours: processes of this node, and machines that use it as a gateway to Services.
      if (context_.pod_cidrs.empty()) continue;
      Rules& rules = out_.nat_chains[chain];
      rules.insert(rules.begin(), fmt::format("! -s {} {} -j ORLOP-MARK-MASQ", context_.pod_cidrs[0], to(address)));
    }
  }

  [[nodiscard]] bool is_external() const {
    return port_.node_port != 0 || !service_.external_ips.empty() || !service_.balancer_ips.empty();
  }

  void external(const Targets& targets) {
    if (!is_external()) return;
    const bool served = !targets.cluster.empty();
    if (served) {
      Rules& rules = out_.nat_chains[external_chain()];
      if (service_.external_local) {
        for (const std::string& range : context_.pod_cidrs) {
          rules.push_back(fmt::format("-s {} -j {}", range, cluster_chain()));
        }
        rules.push_back("-m addrtype --src-type LOCAL -j ORLOP-MARK-MASQ");
        rules.push_back("-m addrtype --src-type LOCAL -j " + cluster_chain());
        if (!targets.local.empty()) rules.push_back("-j " + local_chain());
      } else {
        rules.push_back("-j ORLOP-MARK-MASQ");
        rules.push_back("-j " + cluster_chain());
      }
    }
    const bool refused = !served || (service_.external_local && targets.local.empty());
    auto front = [&](const std::string& where) {
      if (served) {
        out_.nat_services.push_back(fmt::format("{} {} -j {}", where, comment(title_), external_chain()));
      }
    };
    for (const std::string& address : service_.external_ips) {
      front(to(address));
      if (refused) refuse(to(address), served);
    }
    for (const std::string& address : service_.balancer_ips) {
      if (service_.source_ranges.empty()) front(to(address));
      for (const std::string& range : service_.source_ranges) front(fmt::format("-s {} {}", range, to(address)));
      if (refused) {
        refuse(to(address), served);
      } else if (!service_.source_ranges.empty()) {
        // What the rules above have led to an endpoint has another destination by now.
        refuse(to(address), "is not for this source", "DROP");
      }
    }
    if (port_.node_port == 0) return;
    if (served) {
      out_.nat_node_ports.push_back(
          fmt::format("{} {} -j {}", match(port_.node_port), comment(title_), external_chain()));
    }
    if (refused)
      refuse(fmt::format("-p {0} -m addrtype --dst-type LOCAL -m {0} --dport {1}", protocol_, port_.node_port), served);
  }

  void note_udp(const Targets& targets) {
    std::vector<std::string> addresses;
    for (const Target& target : targets.cluster) addresses.push_back(target.address);
    for (const auto* list : {&service_.cluster_ips, &service_.external_ips, &service_.balancer_ips}) {
      for (const std::string& address : *list) out_.udp.push_back({address, 0, addresses});
    }
    if (port_.node_port != 0) out_.udp.push_back({"", port_.node_port, addresses});
  }

  const Service& service_;
  const ServicePort& port_;
  const NodeContext& context_;
  ServiceRules& out_;
  const std::string_view protocol_;
  const std::string title_;
  const std::string key_;
};

TableFrame nat_frame(const NodeContext& context) {
  TableFrame nat;
  nat.table = "nat";
  const std::string mark = fmt::format("{:#x}", context.mark);
  nat.chains["ORLOP-SERVICES"];
  nat.chains["ORLOP-NODEPORTS"];
  nat.chains["ORLOP-MARK-MASQ"] = {fmt::format("-j MARK --set-xmark {0}/{0}", mark)};
  // The mark goes, so that a packet that comes back in a tunnel is not masqueraded again.
  nat.chains["ORLOP-MASQ"] = {"-j MARK --set-xmark " + mark + "/0x0", "-j MASQUERADE --random-fully"};
  Rules& out = nat.chains["ORLOP-POSTROUTING"];
  out.push_back(fmt::format("-m mark --mark {0}/{0} -j ORLOP-MASQ", mark));
  for (const std::string& range : context.pod_cidrs) out.push_back(fmt::format("-s {} -j ORLOP-EGRESS", range));
  Rules& egress = nat.chains["ORLOP-EGRESS"];
  for (const std::string& range : context.cluster_cidrs) egress.push_back(fmt::format("-d {} -j RETURN", range));
  egress.push_back("-d 224.0.0.0/4 -j RETURN");
  egress.push_back("-j MASQUERADE --random-fully");
  const std::string not_loopback = context.localhost_node_ports ? "" : "! -d 127.0.0.0/8 ";
  nat.services_last = {not_loopback + "-m addrtype --dst-type LOCAL -j ORLOP-NODEPORTS"};
  nat.jumps = {{"PREROUTING", comment("orlop: services"), "ORLOP-SERVICES"},
               {"OUTPUT", comment("orlop: services"), "ORLOP-SERVICES"},
               {"POSTROUTING", comment("orlop: masquerade"), "ORLOP-POSTROUTING"}};
  return nat;
}

TableFrame filter_frame(const NodeContext& context) {
  TableFrame filter;
  filter.table = "filter";
  const std::string mark = fmt::format("{:#x}", context.mark);
  filter.chains["ORLOP-SERVICES"];
  Rules& forward = filter.chains["ORLOP-FORWARD"];
  // Without a connection that is known, the way back of a translation is not: such a packet would make its receiver
  // reset a connection that works.
  forward.push_back("-m conntrack --ctstate INVALID -j DROP");
  forward.push_back(fmt::format("-m mark --mark {0}/{0} -j ACCEPT", mark));
  forward.push_back("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
  for (const std::string& range : context.pod_cidrs) {
    forward.push_back(fmt::format("-s {} -j ACCEPT", range));
    forward.push_back(fmt::format("-d {} -j ACCEPT", range));
  }
  Rules& firewall = filter.chains["ORLOP-FIREWALL"];
  if (context.localhost_node_ports) {
    firewall.push_back("! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP");
  }
  const std::string fresh = "-m conntrack --ctstate NEW " + comment("orlop: services");
  filter.jumps = {{"INPUT", fresh, "ORLOP-SERVICES"},
                  {"OUTPUT", fresh, "ORLOP-SERVICES"},
                  {"FORWARD", comment("orlop: pods"), "ORLOP-FORWARD"},
                  {"FORWARD", fresh, "ORLOP-SERVICES"},
                  {"INPUT", comment("orlop: firewall"), "ORLOP-FIREWALL"}};
  return filter;
}

}  // namespace

ServiceRules rules_of(const Service& service, std::span<const EndpointSlice* const> slices,
                      const NodeContext& context) {
  ServiceRules out;
  if (!service.proxied) return out;
  for (const ServicePort& port : service.ports) {
    Targets targets;
    targets.cluster = pick(port, slices, context.node, [](const Endpoint&) { return true; });
    targets.local =
        pick(port, slices, context.node, [&context](const Endpoint& each) { return each.node == context.node; });
    PortBuilder(service, port, context, out).build(targets);
  }
  return out;
}

std::vector<TableFrame> frame_of(const NodeContext& context) {
  return {nat_frame(context), filter_frame(context)};
}

bool is_service_chain(std::string_view chain) {
  for (std::string_view prefix : {"ORLOP-SVC-", "ORLOP-SVL-", "ORLOP-EXT-", "ORLOP-SEP-"}) {
    if (chain.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace orlop::net
