#include "sdk/schedule/tzif.hpp"

#include <utility>
#include <vector>

namespace orlop {
namespace {

constexpr size_t kHeader = 44;

int64_t big_endian(std::string_view bytes) {
  uint64_t value = static_cast<unsigned char>(bytes[0]) >= 0x80 ? ~uint64_t{0} : 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return static_cast<int64_t>(value);
}

struct Header {
  int version = 0;
  int64_t ut = 0, standard = 0, leaps = 0, times = 0, types = 0, chars = 0;
  [[nodiscard]] int64_t size(int64_t time_bytes) const {
    return times * (time_bytes + 1) + types * 6 + chars + leaps * (time_bytes + 4) + standard + ut;
  }
};

std::optional<Header> header_of(std::string_view bytes) {
  if (bytes.size() < kHeader || bytes.substr(0, 4) != "TZif") return std::nullopt;
  Header header;
  header.version = bytes[4] == '\0' ? 1 : bytes[4] - '0';
  int64_t* const counts[] = {&header.ut, &header.standard, &header.leaps, &header.times, &header.types, &header.chars};
  size_t at = 20;
  for (int64_t* count : counts) {
    *count = big_endian(bytes.substr(at, 4));
    if (*count < 0 || *count > 100'000) return std::nullopt;
    at += 4;
  }
  return header.types == 0 ? std::nullopt : std::optional(header);
}

}  // namespace

Result<TimeZone> TzifReader::read(std::string_view bytes) {
  const Status malformed(Code::kInvalid, "malformed time zone information");
  auto header = header_of(bytes);
  if (!header) return malformed;
  int64_t time_bytes = 4;
  if (header->version >= 2) {
    const auto skip = kHeader + static_cast<size_t>(header->size(4));
    if (bytes.size() < skip) return malformed;
    bytes.remove_prefix(skip);
    header = header_of(bytes);
    if (!header) return malformed;
    time_bytes = 8;
  }
  bytes.remove_prefix(kHeader);
  if (bytes.size() < static_cast<size_t>(header->size(time_bytes))) return malformed;
  const auto width = static_cast<size_t>(time_bytes);
  const auto times = static_cast<size_t>(header->times);
  const std::string_view kinds = bytes.substr(times * width, times);
  const std::string_view types = bytes.substr(times * (width + 1), static_cast<size_t>(header->types) * 6);
  const auto offset_of = [&](size_t type) { return big_endian(types.substr(type * 6, 4)); };

  TimeZone zone;
  // Before the first transition the first type that is no daylight saving holds.
  for (size_t type = 0; type < static_cast<size_t>(header->types); ++type) {
    if (types[type * 6 + 4] != 0) continue;
    zone.first_offset_s_ = offset_of(type);
    break;
  }
  for (size_t i = 0; i < times; ++i) {
    const auto type = static_cast<unsigned char>(kinds[i]);
    if (type >= header->types) return malformed;
    zone.transitions_.push_back({big_endian(bytes.substr(i * width, width)), offset_of(type)});
  }
  bytes.remove_prefix(static_cast<size_t>(header->size(time_bytes)));
  if (time_bytes == 8 && bytes.size() > 2 && bytes.front() == '\n') {
    zone.footer_ = FooterReader(bytes.substr(1, bytes.find('\n', 1) - 1)).read();
  }
  return zone;
}

bool FooterReader::take(char c) {
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

bool FooterReader::skip_name() {
  if (take('<')) {
    const size_t end = rest_.find('>');
    if (end == std::string_view::npos) return false;
    rest_.remove_prefix(end + 1);
    return true;
  }
  size_t size = 0;
  while (size < rest_.size() && ((rest_[size] | 0x20) >= 'a' && (rest_[size] | 0x20) <= 'z')) ++size;
  rest_.remove_prefix(size);
  return size >= 3;
}

std::optional<int64_t> FooterReader::number() {
  size_t size = 0;
  int64_t value = 0;
  while (size < rest_.size() && size < 4 && rest_[size] >= '0' && rest_[size] <= '9') {
    value = value * 10 + (rest_[size++] - '0');
  }
  rest_.remove_prefix(size);
  return size == 0 ? std::nullopt : std::optional(value);
}

// [+-]hh[:mm[:ss]], in seconds.
std::optional<int64_t> FooterReader::offset() {
  const bool negative = take('-');
  if (!negative) take('+');
  int64_t seconds = 0;
  for (const int64_t unit : {3600, 60, 1}) {
    const auto part = number();
    if (!part) return std::nullopt;
    seconds += *part * unit;
    if (!take(':')) break;
  }
  return negative ? -seconds : seconds;
}

std::optional<TimeZone::DayRule> FooterReader::rule() {
  using Kind = TimeZone::DayRule::Kind;
  TimeZone::DayRule out;
  if (take('M')) {
    const auto month = number();
    if (!month || !take('.')) return std::nullopt;
    const auto week = number();
    if (!week || !take('.')) return std::nullopt;
    const auto day = number();
    if (!day || *month < 1 || *month > 12 || *week < 1 || *week > 5 || *day > 6) return std::nullopt;
    out.month = static_cast<int>(*month);
    out.week = static_cast<int>(*week);
    out.day = static_cast<int>(*day);
  } else {
    out.kind = take('J') ? Kind::kJulian : Kind::kZeroBased;
    const auto day = number();
    if (!day || *day > 366) return std::nullopt;
    out.day = static_cast<int>(*day);
  }
  if (take('/')) {
    const auto time = offset();
    if (!time) return std::nullopt;
    out.time_s = *time;
  }
  return out;
}

std::optional<TimeZone::Footer> FooterReader::read() {
  TimeZone::Footer out;
  if (!skip_name()) return std::nullopt;
  const auto west = offset();
  if (!west) return std::nullopt;
  out.standard_s = -*west;
  if (rest_.empty()) return out;
  if (!skip_name()) return std::nullopt;
  out.has_daylight = true;
  out.daylight_s = out.standard_s + 3600;
  if (!rest_.empty() && rest_.front() != ',') {
    const auto daylight_west = offset();
    if (!daylight_west) return std::nullopt;
    out.daylight_s = -*daylight_west;
  }
  if (!take(',')) return std::nullopt;
  const auto begin = rule();
  if (!begin || !take(',')) return std::nullopt;
  const auto end = rule();
  if (!end || !rest_.empty()) return std::nullopt;
  out.begin = *begin;
  out.end = *end;
  return out;
}

}  // namespace orlop
