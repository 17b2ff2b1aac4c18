#include "kernel/bus/wire.hpp"

namespace orlop::bus {

Writer::Writer(FrameType type, uint64_t id) {
  buffer_.push_back(static_cast<char>(type));
  number(id);
}

Writer& Writer::number(uint64_t value) {
  while (value >= 0x80) {
    buffer_.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  buffer_.push_back(static_cast<char>(value));
  return *this;
}

Writer& Writer::signed_number(int64_t value) {
  return number((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
}

Writer& Writer::bytes(std::string_view value) {
  number(value.size());
  buffer_.append(value);
  return *this;
}

uint64_t Reader::number() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) break;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    if (shift == 63 && byte > 1) break;  // would not fit
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  fail();
  return 0;
}

int64_t Reader::signed_number() {
  const uint64_t value = number();
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

std::string_view Reader::bytes() {
  const uint64_t size = number();
  if (size > rest_.size()) {
    fail();
    return {};
  }
  auto value = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return value;
}

Result<Frame> parse_frame(std::string_view bytes) {
  if (bytes.empty()) return Status(Code::kBadRequest, "an empty frame");
  const auto type = static_cast<uint8_t>(bytes.front());
  const bool known = (type >= 1 && type <= 12) || (type >= 20 && type <= 27);
  if (!known) return Status(Code::kBadRequest, "a frame of the unknown type " + std::to_string(type));
  Reader reader(bytes.substr(1));
  Frame frame;
  frame.type = static_cast<FrameType>(type);
  frame.id = reader.number();
  if (!reader.ok()) return Status(Code::kBadRequest, "a frame without an id");
  frame.fields = reader.rest();
  return frame;
}

Code code_from_number(uint64_t number) {
  if (number > static_cast<uint64_t>(Code::kCancelled)) return Code::kInternal;
  return static_cast<Code>(number);
}

}  // namespace orlop::bus
