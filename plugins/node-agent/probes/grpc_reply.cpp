#include "plugins/node-agent/probes/grpc_reply.hpp"

#include "plugins/node-agent/probes/tcp_check.hpp"

#include <charconv>
#include <utility>

namespace orlop::agent {
namespace {

enum FrameType : uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7, kMore = 9 };
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kAck = 0x1;
constexpr uint8_t kEndHeaders = 0x4;
constexpr uint8_t kPadded = 0x8;
constexpr uint8_t kPriority = 0x20;
constexpr size_t kFrameMax = 1 << 16;  // more than a server may send unasked

std::string big_endian(uint32_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::string make_frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  return big_endian(static_cast<uint32_t>(payload.size()), 3) + static_cast<char>(type) + static_cast<char>(flags) +
         big_endian(stream, 4).append(payload);
}

std::string plain_string(std::string_view text) {
  std::string out;
  if (text.size() < 127) {
    out += static_cast<char>(text.size());
  } else {
    out += '\x7f';
    size_t rest = text.size() - 127;
    for (; rest >= 128; rest >>= 7) out += static_cast<char>((rest & 0x7f) | 0x80);
    out += static_cast<char>(rest);
  }
  return out.append(text);
}

std::string literal(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + plain_string(name) + plain_string(value);
}

const char* name_of_status(int code) {
  static constexpr const char* kNames[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  return code >= 0 && code <= 16 ? kNames[code] : "Unknown";
}

// grpc-message is percent-encoded.
std::string percent_decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() + 0 &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The status of a HealthCheckResponse in gRPC's frame; nothing when there is no whole message.
std::optional<int> health_status(std::string_view data) {
  if (data.size() < 5 || data[0] != 0) return std::nullopt;
  data.remove_prefix(5);
  if (data.empty()) return 0;
  if (data.size() < 2 || data[0] != 0x08) return std::nullopt;
  return static_cast<int>(data[1]);
}

}  // namespace

std::string grpc_health_request(const GrpcCheck& check) {
  std::string headers("\x83\x86", 2);  // :method POST, :scheme http
  headers += literal(":path", "/grpc.health.v1.Health/Check");
  headers += literal(":authority", join_host_port(check.host, check.port));
  headers += literal("content-type", "application/grpc");
  headers += literal("te", "trailers");
  headers += literal("user-agent", "kube-probe/1.32");
  std::string message;
  if (!check.service.empty()) message = "\x0a" + plain_string(check.service);
  if (check.service.size() >= 127) {
    // A varint, which is not HPACK's integer.
    message = "\x0a";
    size_t size = check.service.size();
    for (; size >= 128; size >>= 7) message += static_cast<char>((size & 0x7f) | 0x80);
    message += static_cast<char>(size);
    message += check.service;
  }
  const std::string data = std::string(1, '\0') + big_endian(static_cast<uint32_t>(message.size()), 4) + message;
  // No header table, no pushed streams.
  const std::string settings = big_endian(1, 2) + big_endian(0, 4) + big_endian(2, 2) + big_endian(0, 4);
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + make_frame(kSettings, 0, 0, settings) +
         make_frame(kHeaders, kEndHeaders, 1, headers) + make_frame(kData, kEndStream, 1, data);
}

std::optional<CheckResult> GrpcReply::feed(std::string_view bytes) {
  input_.append(bytes);
  while (input_.size() >= 9) {
    const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(input_[at])); };
    const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (size > kFrameMax)
      return CheckResult{CheckOutcome::kFailure, "error: health rpc probe failed: the server does not speak HTTP/2"};
    if (input_.size() < 9 + size) return std::nullopt;
    const uint32_t stream = (byte(5) & 0x7f) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    const std::string payload = input_.substr(9, size);
    const auto type = static_cast<uint8_t>(byte(3));
    const auto flags = static_cast<uint8_t>(byte(4));
    input_.erase(0, 9 + size);
    if (auto done = frame(type, flags, stream, payload)) return done;
  }
  return std::nullopt;
}

std::optional<CheckResult> GrpcReply::frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  if (type == kSettings && (flags & kAck) == 0) output_ += make_frame(kSettings, kAck, 0, "");
  if (type == kPing && (flags & kAck) == 0) output_ += make_frame(kPing, kAck, 0, payload);
  if (type == kGoAway || (type == kReset && stream == 1)) {
    return CheckResult{CheckOutcome::kFailure,
                       "error: health rpc probe failed: rpc error: code = Unavailable desc = "
                       "the server ended the connection"};
  }
  if (stream != 1) return std::nullopt;
  if ((type == kData || type == kHeaders) && (flags & kPadded) != 0 && !payload.empty()) {
    const size_t padding = static_cast<uint8_t>(payload.front());
    payload = payload.substr(1, payload.size() - 1 - std::min(padding, payload.size() - 1));
  }
  if (type == kData) {
    data_.append(payload);
    if ((flags & kEndStream) != 0) return result();
  }
  if (type == kHeaders) {
    if ((flags & kPriority) != 0) payload.remove_prefix(std::min<size_t>(5, payload.size()));
    block_ = std::string(payload);
    block_ends_stream_ = (flags & kEndStream) != 0;
  }
  if (type == kMore) block_.append(payload);
  if ((type == kHeaders || type == kMore) && (flags & kEndHeaders) != 0) return headers_done(block_ends_stream_);
  return std::nullopt;
}

std::optional<CheckResult> GrpcReply::headers_done(bool end) {
  const auto headers = decode_headers(block_);
  if (!headers) {
    return CheckResult{CheckOutcome::kFailure,
                       "error: health rpc probe failed: rpc error: code = Internal desc = "
                       "the answer's headers cannot be decoded"};
  }
  for (const auto& [name, value] : *headers) headers_[name] = value;
  if (end) return result();
  return std::nullopt;
}

CheckResult GrpcReply::result() const {
  const auto text = [&](const char* name) {
    const auto found = headers_.find(name);
    return found == headers_.end() ? std::string() : found->second;
  };
  const std::string status = text("grpc-status");
  const std::string message = percent_decoded(text("grpc-message"));
  int code = status.empty() ? 2 : 0;
  std::from_chars(status.data(), status.data() + status.size(), code);
  if (code == 12) {
    return {CheckOutcome::kFailure,
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): " + message};
  }
  if (code != 0) {
    const std::string why =
        status.empty() ? "unexpected HTTP status code received from server: " + text(":status") : message;
    return {CheckOutcome::kFailure, std::string("error: health rpc probe failed: rpc error: code = ") +
                                        name_of_status(code) + " desc = " + why};
  }
  static constexpr const char* kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  const int health = health_status(data_).value_or(0);
  if (health == 1) return {CheckOutcome::kSuccess, "service healthy"};
  const std::string name = health >= 0 && health <= 3 ? kNames[health] : std::to_string(health);
  return {CheckOutcome::kFailure, "service unhealthy (responded with \"" + name + "\")"};
}

}  // namespace orlop::agent
