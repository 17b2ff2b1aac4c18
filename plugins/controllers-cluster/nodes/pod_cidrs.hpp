// Each node's part of the pod network. Pure.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace orlop::cluster {

class PodCidrs {
 public:
  // kInvalid: not an IPv4 prefix, or parts that are larger than the whole.
  static Result<PodCidrs> parse(const std::string& cidr, int node_mask_bits);

  // Marks a part as used; what lies outside the whole is ignored.
  void take(const std::string& cidr);
  void release(const std::string& cidr);
  // The lowest free part, marked as used; nothing when all are taken.
  std::optional<std::string> allocate();

 private:
  [[nodiscard]] std::optional<uint32_t> index_of(const std::string& cidr) const;

  uint32_t base_ = 0;
  int bits_ = 24;
  uint32_t count_ = 0;
  uint32_t lowest_ = 0;  // nothing below it is free
  std::set<uint32_t> used_;
};

}  // namespace orlop::cluster
