// Protobuf's wire format, read and written field by field without a schema: for whoever must change one field of a
// message and leave every other byte as it came.
//
// Follows "Encoding" of protobuf.dev. Groups (wire types 3 and 4) are refused: no schema of ours has any.
// Threads: values and pure functions. Every view points into the bytes that were given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::wire {

enum class Type : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint32_t number = 0;
  Type type = Type::kVarint;
  std::string_view raw;    // tag and payload: what is copied to keep the field
  std::string_view bytes;  // kBytes: the payload without its length; kFixed64, kFixed32: the 8 or 4 bytes
  uint64_t varint = 0;     // kVarint: the value
};

// Reads a varint at `at`, which it moves on. False: the bytes end, or it is longer than ten bytes.
inline bool read_varint(std::string_view bytes, std::size_t& at, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at >= bytes.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// Walks the top-level fields of a message in the order in which they stand.
//
//   Walker walk(bytes);
//   Field field;
//   while (walk.next(field)) …
//   if (walk.malformed()) …
class Walker {
 public:
  explicit Walker(std::string_view message) : message_(message) {}

  // False at the end, and when what follows is no field; malformed() tells which.
  bool next(Field& field) {
    if (at_ >= message_.size() || malformed_) return false;
    const std::size_t start = at_;
    uint64_t tag = 0;
    malformed_ = true;  // until the field has been read whole
    if (!read_varint(message_, at_, tag) || (tag >> 3) == 0 || (tag >> 3) > 536870911u) return false;
    field.number = static_cast<uint32_t>(tag >> 3);
    field.type = static_cast<Type>(tag & 7);
    field.varint = 0;
    field.bytes = {};
    switch (tag & 7) {
      case 0:
        if (!read_varint(message_, at_, field.varint)) return false;
        break;
      case 1:
        if (!take(8, field.bytes)) return false;
        break;
      case 5:
        if (!take(4, field.bytes)) return false;
        break;
      case 2: {
        uint64_t size = 0;
        if (!read_varint(message_, at_, size) || !take(size, field.bytes)) return false;
        break;
      }
      default:
        return false;
    }
    field.raw = message_.substr(start, at_ - start);
    malformed_ = false;
    return true;
  }

  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  bool take(uint64_t size, std::string_view& out) {
    if (size > message_.size() - at_) return false;
    out = message_.substr(at_, size);
    at_ += size;
    return true;
  }

  std::string_view message_;
  std::size_t at_ = 0;
  bool malformed_ = false;
};

inline void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void append_bytes_field(std::string& out, uint32_t number, std::string_view bytes) {
  append_varint(out, (static_cast<uint64_t>(number) << 3) | 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}

inline void append_varint_field(std::string& out, uint32_t number, uint64_t value) {
  append_varint(out, static_cast<uint64_t>(number) << 3);
  append_varint(out, value);
}

}  // namespace orlop::wire
