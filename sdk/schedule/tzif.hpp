// Reads TZif files (RFC 8536) and their footers (POSIX TZ strings).
#pragma once

#include "orlop/time_zone.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace orlop {

class TzifReader {
 public:
  static Result<TimeZone> read(std::string_view bytes);
};

class FooterReader {
 public:
  explicit FooterReader(std::string_view text) : rest_(text) {}
  // "CET-1CEST,M3.5.0,M10.5.0/3". Nothing: not such a text.
  std::optional<TimeZone::Footer> read();

 private:
  bool skip_name();
  std::optional<int64_t> number();
  std::optional<int64_t> offset();
  std::optional<TimeZone::DayRule> rule();
  bool take(char c);

  std::string_view rest_;
};

}  // namespace orlop
