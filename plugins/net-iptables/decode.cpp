#include "plugins/net-iptables/decode.hpp"

#include "orlop/wire.hpp"

#include <charconv>
#include <functional>
#include <utility>

#include <arpa/inet.h>

namespace orlop::net {

namespace {

using wire::Field;

// Hands every field to `take`; false when the bytes are no message.
template <typename Take>
bool each_field(std::string_view bytes, Take&& take) {
  wire::Walker walk(bytes);
  Field field;
  while (walk.next(field)) take(field);
  return !walk.malformed();
}

std::string text(const Field& field) {
  return std::string(field.bytes);
}

Status malformed(std::string_view kind) {
  return {Code::kBadRequest, "the stored " + std::string(kind) + " cannot be read"};
}

uint16_t port_of(const Field& field) {
  return field.varint > 0 && field.varint < 65536 ? static_cast<uint16_t>(field.varint) : 0;
}

// Empty means TCP, as the API's default does. False: a protocol that no rule can be made of.
bool read_protocol(std::string_view name, Protocol& out) {
  if (name.empty() || name == "TCP") {
    out = Protocol::kTcp;
  } else if (name == "UDP") {
    out = Protocol::kUdp;
  } else if (name == "SCTP") {
    out = Protocol::kSctp;
  } else {
    return false;
  }
  return true;
}

struct Metadata {
  ObjectName id;
  std::string slice_of;  // label kubernetes.io/service-name
  bool other_proxy = false;
};

bool read_metadata(std::string_view bytes, Metadata& out) {
  return each_field(bytes, [&out](const Field& field) {
    if (field.number == 1) out.id.name = text(field);
    if (field.number == 3) out.id.name_space = text(field);
    if (field.number != 11) return;
    std::string_view key;
    std::string_view value;
    each_field(field.bytes, [&](const Field& part) { (part.number == 1 ? key : value) = part.bytes; });
    if (key == "kubernetes.io/service-name") out.slice_of = std::string(value);
    if (key == "service.kubernetes.io/service-proxy-name") out.other_proxy = true;
  });
}

void add_ip(std::vector<std::string>& out, const Field& field) {
  std::string ip = text(field);
  if (!is_ipv4(ip)) return;
  for (const std::string& known : out) {
    if (known == ip) return;
  }
  out.push_back(std::move(ip));
}

void read_service_port(std::string_view bytes, Service& out) {
  ServicePort port;
  bool known = true;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) port.name = text(field);
    if (field.number == 2) known = read_protocol(field.bytes, port.protocol);
    if (field.number == 3) port.port = port_of(field);
    if (field.number == 5) port.node_port = port_of(field);
  });
  if (known && port.port != 0) out.ports.push_back(std::move(port));
}

void read_affinity_config(std::string_view bytes, Service& out) {
  each_field(bytes, [&out](const Field& config) {
    if (config.number != 1) return;
    each_field(config.bytes, [&out](const Field& field) {
      if (field.number == 1 && field.varint > 0 && field.varint <= 86400) {
        out.affinity_s = static_cast<uint32_t>(field.varint);
      }
    });
  });
}

bool read_service_spec(std::string_view bytes, Service& out) {
  std::string cluster_ip;
  const bool whole = each_field(bytes, [&](const Field& field) {
    switch (field.number) {
      case 1:
        read_service_port(field.bytes, out);
        break;
      case 3:
        cluster_ip = text(field);
        add_ip(out.cluster_ips, field);
        break;
      case 4:
        if (field.bytes == "ExternalName") out.proxied = false;
        break;
      case 5:
        add_ip(out.external_ips, field);
        break;
      case 7:
        out.affinity = field.bytes == "ClientIP";
        break;
      case 9:
        if (is_ipv4_range(text(field))) out.source_ranges.push_back(text(field));
        break;
      case 11:
        out.external_local = field.bytes == "Local";
        break;
      case 14:
        read_affinity_config(field.bytes, out);
        break;
      case 18:
        add_ip(out.cluster_ips, field);
        break;
      case 22:
        out.internal_local = field.bytes == "Local";
        break;
      default:
        break;
    }
  });
  if (cluster_ip.empty() || cluster_ip == "None") out.proxied = false;
  return whole;
}

void read_balancer_address(std::string_view bytes, Service& out) {
  std::vector<std::string> ips;
  bool through_proxy = false;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) add_ip(ips, field);
    if (field.number == 3) through_proxy = field.bytes == "Proxy";
  });
  if (!through_proxy) out.balancer_ips.insert(out.balancer_ips.end(), ips.begin(), ips.end());
}

void read_service_status(std::string_view bytes, Service& out) {
  each_field(bytes, [&out](const Field& balancer) {
    if (balancer.number != 1) return;
    each_field(balancer.bytes, [&out](const Field& ingress) {
      if (ingress.number == 1) read_balancer_address(ingress.bytes, out);
    });
  });
}

void read_conditions(std::string_view bytes, Endpoint& out) {
  int ready = -1;
  int serving = -1;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) ready = field.varint != 0 ? 1 : 0;
    if (field.number == 2) serving = field.varint != 0 ? 1 : 0;
    if (field.number == 3) out.terminating = field.varint != 0;
  });
  // Unknown counts as true; serving, when not told, is what ready is.
  out.ready = ready != 0;
  out.serving = serving < 0 ? out.ready : serving != 0;
}

bool read_endpoint(std::string_view bytes, EndpointSlice& out) {
  Endpoint endpoint;
  const bool whole = each_field(bytes, [&endpoint](const Field& field) {
    if (field.number == 1) add_ip(endpoint.addresses, field);
    if (field.number == 2) read_conditions(field.bytes, endpoint);
    if (field.number == 6) endpoint.node = text(field);
  });
  if (!endpoint.addresses.empty()) out.endpoints.push_back(std::move(endpoint));
  return whole;
}

void read_slice_port(std::string_view bytes, EndpointSlice& out) {
  SlicePort port;
  bool known = true;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) port.name = text(field);
    if (field.number == 2) known = read_protocol(field.bytes, port.protocol);
    if (field.number == 3) port.port = port_of(field);
  });
  if (known && port.port != 0) out.ports.push_back(std::move(port));
}

void read_node_address(std::string_view bytes, Node& out) {
  std::string type;
  std::string address;
  each_field(bytes, [&](const Field& field) { (field.number == 1 ? type : address) = text(field); });
  if (type == "InternalIP" && out.internal_ip.empty() && is_ipv4(address)) out.internal_ip = address;
}

}  // namespace

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_ipv4_range(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos || !is_ipv4(text.substr(0, slash))) return false;
  unsigned bits = 0;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + slash + 1, end, bits);
  return error == std::errc() && after == end && bits <= 32;
}

Result<Service> decode_service(std::string_view bytes) {
  Service out;
  Metadata metadata;
  bool whole = true;
  bool any_spec = false;
  whole = each_field(bytes,
                     [&](const Field& field) {
                       if (field.number == 1) whole = read_metadata(field.bytes, metadata) && whole;
                       if (field.number == 2) {
                         whole = read_service_spec(field.bytes, out) && whole;
                         any_spec = true;
                       }
                       if (field.number == 3) read_service_status(field.bytes, out);
                     }) &&
          whole;
  if (!whole) return malformed("Service");
  out.id = std::move(metadata.id);
  if (metadata.other_proxy || !any_spec) out.proxied = false;
  return out;
}

Result<EndpointSlice> decode_endpoint_slice(std::string_view bytes) {
  EndpointSlice out;
  Metadata metadata;
  bool parts = true;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number == 1) parts = read_metadata(field.bytes, metadata) && parts;
    if (field.number == 2) parts = read_endpoint(field.bytes, out) && parts;
    if (field.number == 3) read_slice_port(field.bytes, out);
    if (field.number == 4) out.ipv4 = field.bytes == "IPv4";
  });
  if (!whole || !parts) return malformed("EndpointSlice");
  out.service = {metadata.id.name_space, metadata.slice_of};
  return out;
}

Result<Node> decode_node(std::string_view bytes) {
  Node out;
  Metadata metadata;
  auto add_range = [&out](const Field& field) {
    std::string range = text(field);
    if (!is_ipv4_range(range)) return;
    for (const std::string& known : out.pod_cidrs) {
      if (known == range) return;
    }
    out.pod_cidrs.push_back(std::move(range));
  };
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number == 1) read_metadata(field.bytes, metadata);
    if (field.number == 2) {
      each_field(field.bytes, [&](const Field& spec) {
        if (spec.number == 1 || spec.number == 7) add_range(spec);
      });
    }
    if (field.number == 3) {
      each_field(field.bytes, [&](const Field& status) {
        if (status.number == 5) read_node_address(status.bytes, out);
      });
    }
  });
  if (!whole) return malformed("Node");
  out.name = std::move(metadata.id.name);
  return out;
}

}  // namespace orlop::net
