// One protobuf message on the wire, taken apart in place: each field's occurrences, chained in the order of the wire.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace orlop::kube {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // of a varint or fixed field
  std::string_view bytes;  // of a length-delimited one
};

class WireReader {
 public:
  explicit WireReader(std::string_view wire) : at_(wire.data()), end_(wire.data() + wire.size()) {}

  // False at the end, and when the bytes are no message (malformed()).
  bool next(WireField& field) {
    if (at_ == end_) return false;
    uint64_t tag = 0;
    if (!varint(tag) || tag >> 3 == 0 || tag >> 32 != 0) return fail();
    field.number = static_cast<uint32_t>(tag >> 3);
    field.type = static_cast<WireType>(tag & 7);
    switch (field.type) {
      case WireType::kVarint:
        return varint(field.value) || fail();
      case WireType::kFixed64:
        return fixed(field.value, 8) || fail();
      case WireType::kFixed32:
        return fixed(field.value, 4) || fail();
      case WireType::kBytes: {
        uint64_t size = 0;
        if (!varint(size) || size > static_cast<uint64_t>(end_ - at_)) return fail();
        field.bytes = std::string_view(at_, size);
        at_ += size;
        return true;
      }
    }
    return fail();  // groups are in none of these schemas
  }

  [[nodiscard]] bool malformed() const { return malformed_; }

  bool varint(uint64_t& out) {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) {
      out = static_cast<unsigned char>(*at_++);
      return true;
    }
    out = 0;
    for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      out |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

 private:
  bool fixed(uint64_t& out, size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) return false;
    out = 0;
    std::memcpy(&out, at_, size);
    at_ += size;
    return true;
  }

  bool fail() {
    malformed_ = true;
    at_ = end_;
    return false;
  }

  const char* at_;
  const char* end_;
  bool malformed_ = false;
};

}  // namespace orlop::kube
