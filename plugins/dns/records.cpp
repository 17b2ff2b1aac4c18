#include "plugins/dns/records.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include <arpa/inet.h>
#include <ldns/ldns.h>

namespace orlop::dns {
namespace {

struct FreeRr {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};

// A record from its text, by the library that knows every form of rdata. Nothing when the text is none.
void add(std::vector<Entry>& out, const std::string& text, const std::string& target = {}) {
  ldns_rr* raw = nullptr;
  if (ldns_rr_new_frm_str(&raw, text.c_str(), 0, nullptr, nullptr) != LDNS_STATUS_OK) return;
  const std::unique_ptr<ldns_rr, FreeRr> rr(raw);
  const std::unique_ptr<ldns_buffer, decltype(&ldns_buffer_free)> buffer(ldns_buffer_new(LDNS_MIN_BUFLEN),
                                                                         &ldns_buffer_free);
  if (ldns_rr_rdata2buffer_wire(buffer.get(), rr.get()) != LDNS_STATUS_OK) return;
  const ldns_rdf* owner = ldns_rr_owner(rr.get());
  Entry entry;
  entry.key = lower({reinterpret_cast<const char*>(ldns_rdf_data(owner)), ldns_rdf_size(owner)});
  entry.type = static_cast<uint16_t>(ldns_rr_get_type(rr.get()));
  entry.rdata.assign(reinterpret_cast<const char*>(ldns_buffer_begin(buffer.get())),
                     ldns_buffer_position(buffer.get()));
  if (!target.empty()) {
    const auto name = name_of(target);
    if (!name) return;
    entry.target = lower(*name);
  }
  out.push_back(std::move(entry));
}

void add_name(std::vector<Entry>& out, const std::string& name) {
  if (const auto key = name_of(name)) out.push_back({*key, 0, {}, {}});
}

bool is_v6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

void add_address(std::vector<Entry>& out, const std::string& name, const std::string& address) {
  add(out, name + ". IN " + (is_v6(address) ? "AAAA " : "A ") + address);
}

std::string reverse_name(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    std::string out;
    for (int i = 3; i >= 0; --i) out += std::to_string(bytes[static_cast<size_t>(i)]) + ".";
    return out + "in-addr.arpa";
  }
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return {};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int i = 15; i >= 0; --i) {
    const unsigned char byte = bytes[static_cast<size_t>(i)];
    out += {kDigits[byte & 0xf], '.', kDigits[byte >> 4], '.'};
  }
  return out + "ip6.arpa";
}

void add_pointer(std::vector<Entry>& out, const std::string& address, const std::string& name) {
  const std::string reverse = reverse_name(address);
  if (!reverse.empty()) add(out, reverse + ". IN PTR " + name + ".");
}

std::string protocol_label(const std::string& protocol) {
  std::string out = "_" + (protocol.empty() ? "tcp" : protocol);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

// One port of one target: under its own name when it has one, and under the Service's.
struct Target {
  std::string port_name, protocol;
  int32_t port = 0;
  std::string name;
  auto operator<=>(const Target&) const = default;
};

void add_targets(std::vector<Entry>& out, const std::string& service, const std::set<Target>& targets) {
  for (const Target& target : targets) {
    // Whoever takes the first by weight spreads over all: the weights of a port are together about a hundred.
    const auto peers = std::count_if(targets.begin(), targets.end(), [&](const Target& other) {
      return other.port_name == target.port_name && other.protocol == target.protocol;
    });
    const std::string rdata = ". IN SRV 0 " + std::to_string(std::max<int64_t>(1, 100 / peers)) + " " +
                              std::to_string(target.port) + " " + target.name + ".";
    add(out, service + rdata, target.name);
    if (target.port_name.empty()) continue;
    const std::string protocol = protocol_label(target.protocol) + "." + service;
    add_name(out, protocol);
    add(out, "_" + target.port_name + "." + protocol + rdata, target.name);
  }
}

bool is_published(const Service& service, const k8s::io::api::discovery::v1::Endpoint& endpoint) {
  if (service.spec().publishnotreadyaddresses()) return true;
  return !endpoint.conditions().has_ready() || endpoint.conditions().ready();
}

std::string endpoint_label(const k8s::io::api::discovery::v1::Endpoint& endpoint, const std::string& address) {
  if (!endpoint.hostname().empty()) return endpoint.hostname();
  std::string out = address;
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '.' || c == ':'; }, '-');
  return out;
}

void add_endpoints(std::vector<Entry>& out, const std::string& name, const Service& service, bool headless,
                   const std::vector<const EndpointSlice*>& slices) {
  std::set<Target> targets;
  for (const EndpointSlice* slice : slices) {
    if (slice->addresstype() == "FQDN") continue;
    for (const auto& endpoint : slice->endpoints()) {
      if (!is_published(service, endpoint)) continue;
      for (const std::string& address : endpoint.addresses()) {
        const std::string own = endpoint_label(endpoint, address) + "." + name;
        add_address(out, own, address);
        if (!endpoint.hostname().empty()) add_pointer(out, address, own);
        if (!headless) continue;
        add_address(out, name, address);
        for (const auto& port : slice->ports()) {
          if (port.port() > 0) targets.insert({port.name(), port.protocol(), port.port(), own});
        }
      }
    }
  }
  add_targets(out, name, targets);
}

}  // namespace

std::string reverse_key(const std::string& address) {
  const std::string name = reverse_name(address);
  return name.empty() ? std::string() : name_of(name).value_or("");
}

std::string address_of_label(std::string_view label) {
  if (label.size() > 39) return {};
  std::array<char, 16> bytes{};
  std::string dotted(label);
  std::replace(dotted.begin(), dotted.end(), '-', '.');
  if (::inet_pton(AF_INET, dotted.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  std::string colons(label);
  std::replace(colons.begin(), colons.end(), '-', ':');
  if (::inet_pton(AF_INET6, colons.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
  return {};
}

std::vector<Entry> zone_records(const std::string& domain, const std::string& server_address, uint32_t serial,
                                uint32_t ttl) {
  std::vector<Entry> out;
  const std::string server = "ns.dns." + domain;
  add(out, domain + ". IN SOA " + server + ". hostmaster." + domain + ". " + std::to_string(serial) +
               " 7200 1800 86400 " + std::to_string(ttl));
  add(out, domain + ". IN NS " + server + ".", server);
  add(out, "dns-version." + domain + ". IN TXT \"1.1.0\"");
  for (const char* name : {"svc.", "pod.", "dns.", "ns.dns."}) add_name(out, name + domain);
  if (!server_address.empty()) add_address(out, server, server_address);
  return out;
}

std::vector<Entry> namespace_records(const std::string& domain, const std::string& name_space) {
  std::vector<Entry> out;
  add_name(out, name_space + ".svc." + domain);
  add_name(out, name_space + ".pod." + domain);
  return out;
}

std::vector<Entry> service_records(const std::string& domain, const Service& service,
                                   const std::vector<const EndpointSlice*>& slices) {
  std::vector<Entry> out;
  const std::string name = service.metadata().name() + "." + service.metadata().namespace_() + ".svc." + domain;
  const auto& spec = service.spec();
  if (spec.type() == "ExternalName") {
    std::string target = spec.externalname();
    if (target.ends_with('.')) target.pop_back();
    if (!target.empty()) add(out, name + ". IN CNAME " + target + ".", target);
    return out;
  }
  const bool headless = spec.clusterip() == "None";
  if (!headless && spec.clusterip().empty()) return out;
  add_endpoints(out, name, service, headless, slices);
  if (headless) return out;
  std::set<std::string> addresses(spec.clusterips().begin(), spec.clusterips().end());
  addresses.insert(spec.clusterip());
  for (const std::string& address : addresses) {
    add_address(out, name, address);
    add_pointer(out, address, name);
  }
  std::set<Target> targets;
  for (const auto& port : spec.ports()) targets.insert({port.name(), port.protocol(), port.port(), name});
  add_targets(out, name, targets);
  return out;
}

}  // namespace orlop::dns
