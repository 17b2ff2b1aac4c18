// Times as the API and the runtime's logs write them. Pure.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace orlop {

// Nanoseconds since 1970 of "2026-11-22T19:00:00.123456789Z" or with an offset ("+02:00"); nothing when it is not one.
inline std::optional<int64_t> parse_rfc3339_ns(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  int64_t nanos = 0;
  if (*rest == '.') {
    int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) nanos += (*rest - '0') * unit;
  }
  int64_t offset_s = 0;
  if (*rest == '+' || *rest == '-') {
    int hours = 0, minutes = 0;
    if (std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2) return std::nullopt;
    offset_s = (hours * 3600 + minutes * 60) * (*rest == '-' ? -1 : 1);
  }
  return (static_cast<int64_t>(::timegm(&parts)) - offset_s) * 1'000'000'000 + nanos;
}

}  // namespace orlop
