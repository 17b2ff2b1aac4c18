// Stored objects into the model, straight from their bytes: only the fields that count are looked at.
//
// Follows k8s.io/api core/v1 and discovery/v1 (generated.proto). Addresses, ranges and ports that are not IPv4 or not
// valid are left out, so that one odd object cannot spoil the rules of all.
//
// Threads: pure functions. kBadRequest: the bytes are no message.
#pragma once

#include "orlop/result.hpp"
#include "plugins/net-iptables/model.hpp"

#include <string_view>

namespace orlop::net {

Result<Service> decode_service(std::string_view bytes);
Result<EndpointSlice> decode_endpoint_slice(std::string_view bytes);
Result<Node> decode_node(std::string_view bytes);

// "10.0.0.1", dotted and decimal.
bool is_ipv4(const std::string& text);
// "10.0.0.0/8".
bool is_ipv4_range(const std::string& text);

}  // namespace orlop::net
