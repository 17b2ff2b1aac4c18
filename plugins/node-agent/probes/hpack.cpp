#include "plugins/node-agent/probes/grpc_reply.hpp"

#include <array>
#include <unordered_map>

namespace orlop::agent {
namespace {

// RFC 7541 appendix B: how many bits each symbol has. The code is canonical, so the lengths are all of it.
constexpr std::array<uint8_t, 257> kLengths = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  5,  5,  5,  6,  6,  6,  6,  6,  6,  6,
    7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  8,  7,  8,  13, 19, 13, 14, 6,  15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,
    5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24,
    24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22,
    23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26,
    27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23,
    22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30};
constexpr int kLongest = 30;

// Symbols by length and code.
const std::unordered_map<uint64_t, int>& symbols() {
  static const std::unordered_map<uint64_t, int> table = [] {
    std::unordered_map<uint64_t, int> out;
    uint64_t code = 0;
    for (uint64_t length = 1; length <= kLongest; ++length) {
      for (size_t symbol = 0; symbol < kLengths.size(); ++symbol) {
        if (kLengths[symbol] == length) out[length << 32 | code++] = static_cast<int>(symbol);
      }
      code <<= 1;
    }
    return out;
  }();
  return table;
}

// RFC 7541 5.1: an integer that begins in the low bits of a byte.
std::optional<uint64_t> take_integer(std::string_view& in, int prefix_bits) {
  if (in.empty()) return std::nullopt;
  const uint64_t mask = (1U << prefix_bits) - 1;
  uint64_t value = static_cast<uint8_t>(in.front()) & mask;
  in.remove_prefix(1);
  if (value < mask) return value;
  for (int shift = 0; shift < 32; shift += 7) {
    if (in.empty()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(in.front());
    in.remove_prefix(1);
    value += static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<std::string> take_string(std::string_view& in) {
  if (in.empty()) return std::nullopt;
  const bool coded = (static_cast<uint8_t>(in.front()) & 0x80) != 0;
  const auto size = take_integer(in, 7);
  if (!size || *size > in.size()) return std::nullopt;
  const std::string_view bytes = in.substr(0, *size);
  in.remove_prefix(*size);
  return coded ? huffman_decode(bytes) : std::string(bytes);
}

// Of the static table only what is asked for: :status.
std::pair<std::string, std::string> static_entry(uint64_t index) {
  static constexpr const char* kStatuses[] = {"200", "204", "206", "304", "400", "404", "500"};
  if (index >= 8 && index <= 14) return {":status", kStatuses[index - 8]};
  return {};
}

}  // namespace

std::optional<std::string> huffman_decode(std::string_view bytes) {
  std::string out;
  uint64_t code = 0;
  uint64_t length = 0;
  bool only_ones = true;
  for (const char byte : bytes) {
    for (int bit = 7; bit >= 0; --bit) {
      const uint64_t value = static_cast<uint8_t>(byte) >> bit & 1;
      code = code << 1 | value;
      only_ones = only_ones && value == 1;
      if (++length > kLongest) return std::nullopt;
      const auto found = symbols().find(length << 32 | code);
      if (found == symbols().end()) continue;
      if (found->second == 256) return std::nullopt;
      out += static_cast<char>(found->second);
      code = length = 0;
      only_ones = true;
    }
  }
  // Padding is fewer than eight ones.
  if (length > 7 || !only_ones) return std::nullopt;
  return out;
}

std::optional<std::map<std::string, std::string>> decode_headers(std::string_view block) {
  std::map<std::string, std::string> out;
  while (!block.empty()) {
    const auto first = static_cast<uint8_t>(block.front());
    if ((first & 0xe0) == 0x20) {  // the table's new size
      if (!take_integer(block, 5)) return std::nullopt;
      continue;
    }
    const bool indexed = (first & 0x80) != 0;
    const int prefix = indexed ? 7 : (first & 0x40) != 0 ? 6 : 4;
    const auto index = take_integer(block, prefix);
    if (!index || *index > 61 || (indexed && *index == 0)) return std::nullopt;
    auto [name, value] = static_entry(*index);
    if (!indexed) {
      if (*index == 0) {
        auto own = take_string(block);
        if (!own) return std::nullopt;
        name = std::move(*own);
      }
      auto text = take_string(block);
      if (!text) return std::nullopt;
      value = std::move(*text);
    }
    out[name] = value;
  }
  return out;
}

}  // namespace orlop::agent
