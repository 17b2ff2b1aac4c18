#include "cli/client/spdy.hpp"

#include <algorithm>

namespace orlop::client {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr uint8_t kFin = 1;
constexpr uint16_t kSynStream = 1, kReset = 3, kPing = 6, kGoAway = 7;
constexpr uint32_t kControlBit = 0x80000000;
constexpr uint32_t kVersion = 3;
constexpr size_t kSynFixedBytes = 10;

void append(std::string& out, uint32_t number, int bytes) {
  for (int at = bytes - 1; at >= 0; --at) out += static_cast<char>(number >> (8 * at) & 0xff);
}

uint32_t number_at(std::string_view bytes, size_t at, int count) {
  uint32_t out = 0;
  for (int i = 0; i < count; ++i) out = out << 8 | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
  return out;
}

std::string control(uint16_t type, std::string_view body) {
  std::string out;
  append(out, kControlBit | kVersion << 16 | type, 4);
  append(out, static_cast<uint32_t>(body.size()), 4);
  return out.append(body);
}

// A piece of the one zlib stream that all header blocks of a connection make up: stored as it is, without the
// protocol's dictionary, and flushed by an empty block, so that the reader has all of it.
std::string packed(std::string_view block, bool first) {
  std::string out = first ? std::string("\x78\x01", 2) : std::string();
  for (const std::string_view piece : {block, std::string_view()}) {
    const auto size = static_cast<uint16_t>(piece.size());
    out += '\0';
    for (const uint16_t number : {size, static_cast<uint16_t>(~size)}) {
      out += static_cast<char>(number & 0xff);
      out += static_cast<char>(number >> 8);
    }
    out.append(piece);
  }
  return out;
}

std::string_view type_of(Channel channel) {
  switch (channel) {
    case Channel::kInput:
      return "stdin";
    case Channel::kOutput:
      return "stdout";
    case Channel::kErrors:
      return "stderr";
    case Channel::kStatus:
      return "error";
    case Channel::kWindow:
      return "resize";
  }
  return "";
}

uint32_t id_at(size_t index) {
  return static_cast<uint32_t>(2 * index + 1);
}

}  // namespace

std::string SpdyStreams::open() {
  std::string out;
  for (size_t i = 0; i < channels_.size(); ++i) {
    std::string block;
    append(block, 1, 4);
    for (const std::string_view text : {std::string_view("streamtype"), type_of(channels_[i])}) {
      append(block, static_cast<uint32_t>(text.size()), 4);
      block.append(text);
    }
    std::string body;
    append(body, id_at(i), 4);
    body.append(kSynFixedBytes - body.size(), '\0');
    out += control(kSynStream, body + packed(block, i == 0));
  }
  return out;
}

std::string SpdyStreams::frame(Channel channel, std::string_view bytes, bool last) {
  const auto found = std::find(channels_.begin(), channels_.end(), channel);
  if (found == channels_.end()) return {};
  std::string out;
  append(out, id_at(static_cast<size_t>(found - channels_.begin())), 4);
  append(out, static_cast<uint32_t>(last ? kFin : 0) << 24 | static_cast<uint32_t>(bytes.size()), 4);
  return out.append(bytes);
}

std::string SpdyStreams::receive(std::string_view bytes,
                                 const std::function<void(Channel, std::string_view)>& on_data) {
  pending_.append(bytes);
  std::string answer;
  std::string_view rest = pending_;
  while (rest.size() >= kHeadBytes) {
    const size_t length = number_at(rest, 5, 3);
    if (rest.size() < kHeadBytes + length) break;
    const std::string_view whole = rest.substr(0, kHeadBytes + length);
    rest.remove_prefix(whole.size());
    const uint32_t first = number_at(whole, 0, 4);
    if ((first & kControlBit) != 0) {
      answer += take_control(whole);
      continue;
    }
    const size_t index = first / 2;
    if (index < channels_.size() && id_at(index) == first && length > 0) {
      on_data(channels_[index], whole.substr(kHeadBytes));
    }
    if ((whole[4] & kFin) != 0) ended_.insert(first);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return answer;
}

std::string SpdyStreams::take_control(std::string_view frame) {
  const auto type = static_cast<uint16_t>(number_at(frame, 2, 2));
  const std::string_view body = frame.substr(kHeadBytes);
  if (type == kGoAway) gone_ = true;
  if (body.size() < 4) return {};
  // Ours have odd numbers; one of the server's comes back as it is.
  if (type == kPing && number_at(body, 0, 4) % 2 == 0) return std::string(frame);
  const bool ends = type == kReset || (frame[4] & kFin) != 0;
  if (ends && type != kPing) ended_.insert(number_at(body, 0, 4) & ~kControlBit);
  return {};
}

bool SpdyStreams::is_over() const {
  if (gone_) return true;
  for (size_t i = 0; i < channels_.size(); ++i) {
    const bool receives = channels_[i] != Channel::kInput && channels_[i] != Channel::kWindow;
    if (receives && !ended_.contains(id_at(i))) return false;
  }
  return true;
}

}  // namespace orlop::client
