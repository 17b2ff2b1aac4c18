#include "plugins/controllers-cluster/nodes/pod_cidrs.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace orlop::cluster {
namespace {

std::optional<uint32_t> parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string format(uint32_t address, int bits) {
  const in_addr network{htonl(address)};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &network, text, sizeof text);
  return std::string(text) + "/" + std::to_string(bits);
}

}  // namespace

Result<PodCidrs> PodCidrs::parse(const std::string& cidr, int node_mask_bits) {
  const auto slash = cidr.find('/');
  const auto base = parse_address(cidr.substr(0, slash));
  int bits = -1;
  if (slash != std::string::npos) std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), bits);
  if (!base || bits < 8 || bits > 30) {
    return Status(Code::kInvalid, "pod_cidr: \"" + cidr + "\" is not an IPv4 network such as 10.244.0.0/16");
  }
  if (node_mask_bits < bits) {
    return Status(Code::kInvalid, "node_mask_bits: a node's part (/" + std::to_string(node_mask_bits) +
                                      ") is larger than the whole pod network (" + cidr + ")");
  }
  PodCidrs out;
  out.base_ = *base & ~((1u << (32 - bits)) - 1);
  out.bits_ = node_mask_bits;
  out.count_ = 1u << (node_mask_bits - bits);
  return out;
}

std::optional<uint32_t> PodCidrs::index_of(const std::string& cidr) const {
  const auto address = parse_address(cidr.substr(0, cidr.find('/')));
  if (!address || *address < base_) return std::nullopt;
  const uint32_t index = (*address - base_) >> (32 - bits_);
  return index < count_ ? std::optional(index) : std::nullopt;
}

void PodCidrs::take(const std::string& cidr) {
  if (const auto index = index_of(cidr)) used_.insert(*index);
}

void PodCidrs::release(const std::string& cidr) {
  const auto index = index_of(cidr);
  if (!index) return;
  used_.erase(*index);
  lowest_ = std::min(lowest_, *index);
}

std::optional<std::string> PodCidrs::allocate() {
  while (used_.contains(lowest_)) ++lowest_;
  if (lowest_ >= count_) return std::nullopt;
  used_.insert(lowest_);
  return format(base_ + (lowest_ << (32 - bits_)), bits_);
}

}  // namespace orlop::cluster
