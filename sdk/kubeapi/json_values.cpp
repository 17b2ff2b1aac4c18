#include "sdk/kubeapi/json_values.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace orlop::kube {
namespace {

constexpr std::string_view kLayout = "2006-01-02T15:04:05Z07:00";
constexpr std::string_view kMicroLayout = "2006-01-02T15:04:05.000000Z07:00";

// Reads exactly `count` digits.
std::optional<int> take_number(std::string_view& text, size_t count) {
  if (text.size() < count) return std::nullopt;
  int out = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return out;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

Status wrong_time(std::string_view text, bool micro, std::string_view rest, std::string_view element) {
  return {Code::kBadRequest, "parsing time \"" + std::string(text) + "\" as \"" +
                                 std::string(micro ? kMicroLayout : kLayout) + "\": cannot parse \"" +
                                 std::string(rest) + "\" as \"" + std::string(element) + "\""};
}

Status out_of_range(std::string_view text, std::string_view what) {
  return {Code::kBadRequest, "parsing time \"" + std::string(text) + "\": " + std::string(what) + " out of range"};
}

void append_padded(std::string& out, int64_t value, size_t width) {
  const std::string digits = std::to_string(value);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

// The fraction, as nanoseconds; digits beyond the ninth are dropped.
int32_t take_fraction(std::string_view& rest) {
  int32_t nanos = 0;
  int digits = 0;
  while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
    if (digits < 9) {
      nanos = nanos * 10 + (rest[0] - '0');
      ++digits;
    }
    rest.remove_prefix(1);
  }
  for (; digits < 9; ++digits) nanos *= 10;
  return nanos;
}

}  // namespace

Result<Instant> parse_time(std::string_view text, bool micro) {
  std::string_view rest = text;
  int parts[6] = {};
  static constexpr struct {
    size_t digits;
    char before;
    std::string_view element;
  } kParts[] = {{4, 0, "2006"}, {2, '-', "01"}, {2, '-', "02"}, {2, 'T', "15"}, {2, ':', "04"}, {2, ':', "05"}};
  for (size_t i = 0; i < 6; ++i) {
    if (kParts[i].before != 0) {
      const std::string_view before = rest;
      if (!take(rest, kParts[i].before)) return wrong_time(text, micro, before, std::string(1, kParts[i].before));
    }
    const auto number = take_number(rest, kParts[i].digits);
    if (!number) return wrong_time(text, micro, rest, kParts[i].element);
    parts[i] = *number;
  }
  Instant out;
  if (rest.size() > 1 && rest[0] == '.' && rest[1] >= '0' && rest[1] <= '9') {
    rest.remove_prefix(1);
    out.nanos = take_fraction(rest);
  } else if (micro) {
    return wrong_time(text, micro, rest, ".000000");
  }
  int offset_s = 0;
  const std::string_view zone = rest;
  if (!take(rest, 'Z')) {
    if (rest.empty() || (rest[0] != '+' && rest[0] != '-')) return wrong_time(text, micro, zone, "Z07:00");
    const int sign = rest[0] == '-' ? -1 : 1;
    rest.remove_prefix(1);
    const auto hours = take_number(rest, 2);
    const bool colon = take(rest, ':');
    const auto minutes = take_number(rest, 2);
    if (!hours || !colon || !minutes || *hours > 24 || *minutes > 60) return wrong_time(text, micro, zone, "Z07:00");
    offset_s = sign * (*hours * 3600 + *minutes * 60);
  }
  if (!rest.empty()) {
    return Status(Code::kBadRequest,
                  "parsing time \"" + std::string(text) + "\": extra text: \"" + std::string(rest) + "\"");
  }
  const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                         std::chrono::month(static_cast<unsigned>(parts[1])),
                                         std::chrono::day(static_cast<unsigned>(parts[2]))};
  if (parts[1] < 1 || parts[1] > 12) return out_of_range(text, "month");
  if (!date.ok()) return out_of_range(text, "day");
  if (parts[3] > 23) return out_of_range(text, "hour");
  if (parts[4] > 59) return out_of_range(text, "minute");
  if (parts[5] > 59) return out_of_range(text, "second");
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  out.seconds = days * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5] - offset_s;
  out.nanos = micro ? out.nanos / 1000 * 1000 : 0;
  return out;
}

void append_time(Instant instant, bool micro, std::string& out) {
  const std::chrono::sys_seconds when{std::chrono::seconds(instant.seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const int64_t second = (when - day).count();
  append_padded(out, int(date.year()), 4);
  out += '-';
  append_padded(out, unsigned(date.month()), 2);
  out += '-';
  append_padded(out, unsigned(date.day()), 2);
  out += 'T';
  append_padded(out, second / 3600, 2);
  out += ':';
  append_padded(out, second / 60 % 60, 2);
  out += ':';
  append_padded(out, second % 60, 2);
  if (micro) {
    out += '.';
    append_padded(out, instant.nanos / 1000, 6);
  }
  out += 'Z';
}

Result<int64_t> parse_duration(std::string_view text) {
  const Status wrong(Code::kBadRequest, "time: invalid duration \"" + std::string(text) + "\"");
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return int64_t{0};
  if (rest.empty()) return wrong;
  static constexpr struct {
    std::string_view name;
    int64_t nanos;
  } kUnits[] = {{"ns", 1},
                {"us", 1000},
                {"µs", 1000},
                {"ms", 1'000'000},
                {"s", 1'000'000'000LL},
                {"m", 60'000'000'000LL},
                {"h", 3'600'000'000'000LL}};
  long double total = 0;
  while (!rest.empty()) {
    size_t length = 0;
    while (length < rest.size() && ((rest[length] >= '0' && rest[length] <= '9') || rest[length] == '.')) ++length;
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + length, number);
    if (length == 0 || error != std::errc() || end != rest.data() + length) return wrong;
    rest.remove_prefix(length);
    size_t unit_length = 0;
    while (unit_length < rest.size() && rest[unit_length] != '.' &&
           (rest[unit_length] < '0' || rest[unit_length] > '9')) {
      ++unit_length;
    }
    const std::string_view unit = rest.substr(0, unit_length);
    if (unit.empty()) {
      return Status(Code::kBadRequest, "time: missing unit in duration \"" + std::string(text) + "\"");
    }
    int64_t scale = 0;
    for (const auto& row : kUnits) {
      if (row.name == unit) scale = row.nanos;
    }
    if (scale == 0) {
      return Status(Code::kBadRequest,
                    "time: unknown unit \"" + std::string(unit) + "\" in duration \"" + std::string(text) + "\"");
    }
    total += static_cast<long double>(number) * static_cast<long double>(scale);
    rest.remove_prefix(unit_length);
  }
  if (total > 9.2e18L) return wrong;
  const auto nanos = static_cast<int64_t>(total);
  return negative ? -nanos : nanos;
}

void append_duration(int64_t nanos, std::string& out) {
  if (nanos == 0) {
    out += "0s";
    return;
  }
  uint64_t rest = nanos < 0 ? 0 - static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  if (nanos < 0) out += '-';
  const auto fraction = [&out](uint64_t value, uint64_t unit, std::string_view name) {
    out += std::to_string(value / unit);
    uint64_t below = value % unit;
    if (below != 0) {
      std::string digits = std::to_string(below + unit).substr(1);
      while (digits.back() == '0') digits.pop_back();
      out += '.' + digits;
    }
    out += name;
  };
  if (rest < 1000) return fraction(rest, 1, "ns");
  if (rest < 1'000'000) return fraction(rest, 1000, "µs");
  if (rest < 1'000'000'000) return fraction(rest, 1'000'000, "ms");
  const uint64_t minutes = rest / 60'000'000'000ull;
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  fraction(rest % 60'000'000'000ull, 1'000'000'000, "s");
}

Result<std::string> decode_base64(std::string_view text) {
  static constexpr auto kValues = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < alphabet.size(); ++i)
      values[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
    return values;
  }();
  const auto wrong = [](size_t at) {
    return Status(Code::kBadRequest, "illegal base64 data at input byte " + std::to_string(at));
  };
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  int count = 0;
  int padding = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      if (count + padding < 2 || ++padding + count > 4) return wrong(i);
      continue;
    }
    const int value = kValues[static_cast<unsigned char>(c)];
    if (value < 0 || padding > 0) return wrong(i);
    group = group << 6 | static_cast<uint32_t>(value);
    if (++count == 4) {
      out += static_cast<char>(group >> 16);
      out += static_cast<char>(group >> 8);
      out += static_cast<char>(group);
      group = 0;
      count = 0;
    }
  }
  if (count + padding != 0 && count + padding != 4) return wrong(text.size() - static_cast<size_t>(count));
  if (count >= 2) out += static_cast<char>(group >> (count == 2 ? 4 : 10));
  if (count == 3) out += static_cast<char>(group >> 2);
  return out;
}

void append_base64(std::string_view bytes, std::string& out) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto byte = [&bytes](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += {kAlphabet[group >> 18], kAlphabet[group >> 12 & 63], kAlphabet[group >> 6 & 63], kAlphabet[group & 63]};
  }
  if (bytes.size() - i == 1) {
    const uint32_t group = byte(i) << 16;
    out += {kAlphabet[group >> 18], kAlphabet[group >> 12 & 63], '=', '='};
  } else if (bytes.size() - i == 2) {
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8;
    out += {kAlphabet[group >> 18], kAlphabet[group >> 12 & 63], kAlphabet[group >> 6 & 63], '='};
  }
}

void append_double(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const double magnitude = std::fabs(value);
  const bool scientific = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  char buffer[400];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value,
                                          scientific ? std::chars_format::scientific : std::chars_format::fixed);
  static_cast<void>(error);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  // Go writes e-9 where C++ writes e-09.
  const auto exponent = text.find("e-0");
  if (exponent != std::string_view::npos) {
    out += text.substr(0, exponent + 2);
    out += text.substr(exponent + 3);
  } else {
    out += text;
  }
}

}  // namespace orlop::kube
