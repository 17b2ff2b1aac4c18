#include "orlop/kube/envelope.hpp"

#include <cstdint>

namespace orlop::kube {
namespace {

constexpr std::string_view kMagic("k8s\0", 4);

void append_varint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

constexpr size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// Field numbers below 16: the tag is one byte.
size_t field_size(size_t length) {
  return 1 + varint_size(length) + length;
}

void append_tag(int number, size_t length, std::string& out) {
  out += static_cast<char>(number << 3 | 2);
  append_varint(length, out);
}

void append_field(int number, std::string_view bytes, std::string& out) {
  append_tag(number, bytes.size(), out);
  out += bytes;
}

size_t type_size(std::string_view api_version, std::string_view kind) {
  return field_size(api_version.size()) + field_size(kind.size());
}

size_t envelope_size(std::string_view api_version, std::string_view kind, std::string_view raw) {
  return kMagic.size() + field_size(type_size(api_version, kind)) + field_size(raw.size()) + 4;
}

// Reads the fields of one message; every one that is known here is length-delimited, others are skipped.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  // False at the end and when the bytes are wrong; see failed().
  bool next(int& number, std::string_view& bytes) {
    while (!rest_.empty()) {
      uint64_t tag = 0;
      uint64_t value = 0;
      if (!varint(tag)) return fail();
      switch (tag & 7) {
        case 0:
          if (!varint(value)) return fail();
          continue;
        case 1:
          value = 8;
          break;
        case 5:
          value = 4;
          break;
        case 2:
          if (!varint(value)) return fail();
          break;
        default:
          return fail();
      }
      if (value > rest_.size()) return fail();
      bytes = rest_.substr(0, value);
      rest_.remove_prefix(value);
      if ((tag & 7) != 2) continue;
      number = static_cast<int>(tag >> 3);
      return true;
    }
    return false;
  }

  [[nodiscard]] bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }

  bool varint(uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      out |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view rest_;
  bool failed_ = false;
};

Status truncated() {
  return {Code::kBadRequest, "provided data does not appear to be a protobuf message: it ends early or is malformed"};
}

}  // namespace

bool is_envelope(std::string_view bytes) {
  return bytes.starts_with(kMagic);
}

Result<Envelope> decode_envelope(std::string_view bytes) {
  if (!is_envelope(bytes)) {
    return Status(Code::kBadRequest,
                  "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  }
  Envelope out;
  Reader reader(bytes.substr(kMagic.size()));
  int number = 0;
  std::string_view field;
  while (reader.next(number, field)) {
    if (number == 1) {
      Reader type(field);
      std::string_view text;
      while (type.next(number, text)) {
        if (number == 1) out.api_version = text;
        if (number == 2) out.kind = text;
      }
      if (type.failed()) return truncated();
    } else if (number == 2) {
      out.raw = field;
    } else if (number == 3) {
      out.content_encoding = field;
    } else if (number == 4) {
      out.content_type = field;
    }
  }
  if (reader.failed()) return truncated();
  return out;
}

void encode_envelope(std::string_view api_version, std::string_view kind, std::string_view raw, std::string& out) {
  out += kMagic;
  append_tag(1, type_size(api_version, kind), out);
  append_field(1, api_version, out);
  append_field(2, kind, out);
  append_field(2, raw, out);
  append_field(3, {}, out);
  append_field(4, {}, out);
}

void encode_watch_frame(std::string_view type, std::string_view api_version, std::string_view kind,
                        std::string_view raw, std::string& out) {
  const size_t object = envelope_size(api_version, kind, raw);
  const size_t extension = field_size(object);
  const auto length = static_cast<uint32_t>(field_size(type.size()) + field_size(extension));
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(length >> shift);
  append_field(1, type, out);
  append_tag(2, extension, out);
  append_tag(1, object, out);
  encode_envelope(api_version, kind, raw, out);
}

}  // namespace orlop::kube
