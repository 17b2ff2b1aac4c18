#include "sdk/schedule/duration.hpp"

#include <limits>
#include <utility>

namespace orlop {
namespace {

constexpr std::pair<std::string_view, int64_t> kUnits[] = {
    {"ns", 1},
    {"us", 1'000},
    {"µs", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Result<int64_t> parse_go_duration(std::string_view text) {
  const std::string_view whole = text;
  const auto fails = [&](const std::string& what) {
    return Status(Code::kInvalid, "time: " + what + "duration " + go_quoted(whole));
  };
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return fails("invalid ");
  double total = 0;
  while (!text.empty()) {
    double value = 0, scale = 1;
    bool digits = false, point = false;
    while (!text.empty() && (is_digit(text.front()) || (text.front() == '.' && !point))) {
      if (text.front() == '.') {
        point = true;
      } else {
        digits = true;
        value = value * 10 + (text.front() - '0');
        scale *= point ? 10 : 1;
      }
      text.remove_prefix(1);
    }
    if (!digits) return fails("invalid ");
    size_t size = 0;
    while (size < text.size() && text[size] != '.' && !is_digit(text[size])) ++size;
    const std::string_view name = text.substr(0, size);
    if (name.empty()) return fails("missing unit in ");
    int64_t unit = 0;
    for (const auto& [known, nanoseconds] : kUnits) {
      if (known == name) unit = nanoseconds;
    }
    if (unit == 0) return fails("unknown unit " + go_quoted(name) + " in ");
    text.remove_prefix(size);
    total += value / scale * static_cast<double>(unit);
  }
  if (total >= static_cast<double>(std::numeric_limits<int64_t>::max())) return fails("invalid ");
  const auto nanoseconds = static_cast<int64_t>(total);
  return negative ? -nanoseconds : nanoseconds;
}

}  // namespace orlop
