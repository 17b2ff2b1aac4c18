// What another server answered, taken apart; and which servers there are.
//
// Threads: pure functions.
#pragma once

#include "plugins/dns/packet.hpp"

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::dns {

struct Received {
  Response response;
  bool truncated = false;
};

// Nothing: this is no answer to that question with that id (forged, late, or not to be read).
std::optional<Received> read_response(std::string_view packet, uint16_t id, const Question& question);

struct Server {
  std::string address;  // IPv4 or IPv6
  uint16_t port = 53;
  bool operator==(const Server&) const = default;
};

// "10.0.0.2", "10.0.0.2:5353", "fd00::1", "[fd00::1]:5353".
std::optional<Server> server_of(std::string_view text);
// The name servers of a resolv.conf, in their order.
std::vector<Server> servers_of(std::istream& resolv_conf);

}  // namespace orlop::dns
