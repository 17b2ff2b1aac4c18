// One call of grpc.health.v1.Health/Check in HTTP/2's bytes: what is sent, and what the answer means. Pure.
//
// As much of RFC 9113 and RFC 7541 as one unary call on a fresh connection needs: no flow control to speak of, and no
// dynamic header table, since the settings that are sent allow none.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::agent {

// All that the client sends of its own accord: preface, settings, the request.
std::string grpc_health_request(const GrpcCheck& check);

class GrpcReply {
 public:
  // Takes bytes as they come. A result once the answer is whole or cannot become one.
  std::optional<CheckResult> feed(std::string_view bytes);
  // What must be sent back (acknowledgements); empty for nothing.
  std::string take_output() { return std::exchange(output_, {}); }

 private:
  std::optional<CheckResult> frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  std::optional<CheckResult> headers_done(bool end);
  [[nodiscard]] CheckResult result() const;

  std::string input_;
  std::string output_;
  std::string block_;  // of a header block that goes on
  bool block_ends_stream_ = false;
  std::string data_;
  std::map<std::string, std::string> headers_;  // of the answer and its trailers
};

// The text of RFC 7541's Huffman code; nothing when it is none.
std::optional<std::string> huffman_decode(std::string_view bytes);
// A header block that uses no dynamic table: names of the static table other than :status come out empty.
std::optional<std::map<std::string, std::string>> decode_headers(std::string_view block);

}  // namespace orlop::agent
