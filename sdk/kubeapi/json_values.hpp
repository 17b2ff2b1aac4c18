// The types of Kubernetes that have a text form of their own in JSON: times, durations, bytes.
//
// Threads: pure functions.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::kube {

struct Instant {
  int64_t seconds = 0;  // since 1970, UTC
  int32_t nanos = 0;
};

// RFC 3339 with any offset. kBadRequest in Go's words.
Result<Instant> parse_time(std::string_view text, bool micro);
void append_time(Instant instant, bool micro, std::string& out);  // without quotes, in UTC

// Go's durations, nanoseconds: "1h2m3.5s".
Result<int64_t> parse_duration(std::string_view text);
void append_duration(int64_t nanos, std::string& out);

// Standard base64 with padding; line breaks are skipped. kBadRequest in Go's words.
Result<std::string> decode_base64(std::string_view text);
void append_base64(std::string_view bytes, std::string& out);

// A quoted JSON string; also in orlop/kube/json.hpp.
void append_json_string(std::string_view text, std::string& out);

// As Go's encoding/json: shortest, exponents below 1e-6 and from 1e21.
void append_double(double value, std::string& out);

}  // namespace orlop::kube
