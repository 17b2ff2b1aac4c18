#include "orlop/schedule.hpp"

#include "sdk/schedule/duration.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

namespace orlop {
namespace {

constexpr uint64_t kStar = uint64_t{1} << 63;
constexpr int64_t kYearsAhead = 5;

constexpr std::string_view kMonthNames[] = {"",    "jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kDayNames[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Bounds {
  uint32_t min, max;
  std::span<const std::string_view> names = {};
};
constexpr Bounds kMinutes{0, 59}, kHours{0, 23}, kDays{1, 31}, kMonths{1, 12, kMonthNames}, kWeekdays{0, 6, kDayNames};

Status wrong(const std::string& message) {
  return {Code::kInvalid, message};
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t at = text.find(by);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::vector<std::string_view> words(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  std::vector<std::string_view> out;
  for (size_t begin = text.find_first_not_of(kBlanks); begin != std::string_view::npos;
       begin = text.find_first_not_of(kBlanks, begin)) {
    const size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

Result<uint32_t> number(std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = !digits.empty() && digits.front() != '-' && end == digits.data() + digits.size();
  const std::string atoi =
      "failed to parse int from " + std::string(text) + ": strconv.Atoi: parsing " + go_quoted(text);
  if (!is_number) return wrong(atoi + ": invalid syntax");
  if (error == std::errc::result_out_of_range) return wrong(atoi + ": value out of range");
  if (negative && value > 0) {
    return wrong("negative number (-" + std::to_string(value) + ") not allowed: " + std::string(text));
  }
  // Beyond every field's range; which one is told by whoever knows it.
  return static_cast<uint32_t>(std::min<int64_t>(value, 4'000'000'000));
}

Result<uint32_t> number_or_name(std::string_view text, const Bounds& bounds) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  const auto found = std::find(bounds.names.begin(), bounds.names.end(), lower);
  if (found != bounds.names.end() && !lower.empty()) return static_cast<uint32_t>(found - bounds.names.begin());
  return number(text);
}

// "*", "?", "N", "N-M", each with "/STEP"; "N/STEP" goes on to the end.
Result<uint64_t> range_bits(std::string_view text, const Bounds& bounds) {
  const auto parts = split(text, '/');
  const auto limits = split(parts[0], '-');
  const std::string shown(text);
  uint32_t begin = bounds.min, end = bounds.max, step = 1;
  uint64_t star = 0;
  if (limits[0] == "*" || limits[0] == "?") {
    star = kStar;
  } else {
    ORLOP_ASSIGN(begin, number_or_name(limits[0], bounds));
    end = begin;
    if (limits.size() > 2) return wrong("too many hyphens: " + shown);
    if (limits.size() == 2) {
      ORLOP_ASSIGN(end, number_or_name(limits[1], bounds));
    }
  }
  if (parts.size() > 2) return wrong("too many slashes: " + shown);
  if (parts.size() == 2) {
    ORLOP_ASSIGN(step, number(parts[1]));
    if (limits.size() == 1) end = bounds.max;
    if (step > 1) star = 0;
  }
  const auto beyond = [&](const std::string& what, uint32_t a, const std::string& than, uint32_t b) {
    return wrong(what + " (" + std::to_string(a) + ") " + than + " (" + std::to_string(b) + "): " + shown);
  };
  if (begin < bounds.min) return beyond("beginning of range", begin, "below minimum", bounds.min);
  if (end > bounds.max) return beyond("end of range", end, "above maximum", bounds.max);
  if (begin > end) return beyond("beginning of range", begin, "beyond end of range", end);
  if (step == 0) return wrong("step of range should be a positive number: " + shown);
  uint64_t bits = star;
  for (uint64_t value = begin; value <= end; value += step) bits |= uint64_t{1} << value;
  return bits;
}

Result<uint64_t> field_bits(std::string_view text, const Bounds& bounds) {
  uint64_t bits = 0;
  for (const std::string_view part : split(text, ',')) {
    if (part.empty()) continue;
    ORLOP_ASSIGN(const uint64_t more, range_bits(part, bounds));
    bits |= more;
  }
  return bits;
}

bool has(uint64_t bits, int64_t value) {
  return (bits >> value & 1) != 0;
}

}  // namespace

Result<Schedule> Schedule::parse(std::string_view text, const TimeZone& zone) {
  if (text.empty()) return wrong("empty spec string");
  TimeZone named = zone;
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const size_t begin = text.find('=') + 1;
    const size_t end = std::min(text.find(' '), text.size());
    const std::string name(text.substr(begin, end - begin));
    auto loaded = TimeZone::load(name);
    if (!loaded) return wrong("provided bad location " + name + ": " + loaded.message());
    named = std::move(*loaded);
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  }
  auto schedule = text.starts_with('@') ? parse_descriptor(text) : parse_fields(text);
  if (schedule) schedule->zone_ = std::move(named);
  return schedule;
}

Result<Schedule> Schedule::parse_fields(std::string_view text) {
  const auto fields = words(text);
  if (fields.size() != 5) {
    std::string shown;
    for (const std::string_view field : fields) shown += (shown.empty() ? "" : " ") + std::string(field);
    return wrong("expected exactly 5 fields, found " + std::to_string(fields.size()) + ": [" + shown + "]");
  }
  Schedule out;
  ORLOP_ASSIGN(out.minutes_, field_bits(fields[0], kMinutes));
  ORLOP_ASSIGN(out.hours_, field_bits(fields[1], kHours));
  ORLOP_ASSIGN(out.days_, field_bits(fields[2], kDays));
  ORLOP_ASSIGN(out.months_, field_bits(fields[3], kMonths));
  ORLOP_ASSIGN(out.weekdays_, field_bits(fields[4], kWeekdays));
  return out;
}

Result<Schedule> Schedule::parse_descriptor(std::string_view text) {
  if (text == "@yearly" || text == "@annually") return parse_fields("0 0 1 1 *");
  if (text == "@monthly") return parse_fields("0 0 1 * *");
  if (text == "@weekly") return parse_fields("0 0 * * 0");
  if (text == "@daily" || text == "@midnight") return parse_fields("0 0 * * *");
  if (text == "@hourly") return parse_fields("0 * * * *");
  constexpr std::string_view kEvery = "@every ";
  if (!text.starts_with(kEvery)) return wrong("unrecognized descriptor: " + std::string(text));
  const auto duration = parse_go_duration(text.substr(kEvery.size()));
  if (!duration) return wrong("failed to parse duration " + std::string(text) + ": " + duration.message());
  Schedule out;
  out.every_s_ = std::max<int64_t>(1, *duration / 1'000'000'000);
  return out;
}

bool Schedule::is_day(const CivilTime& time) const {
  const bool day = has(days_, time.day);
  const bool weekday = has(weekdays_, time.weekday);
  return ((days_ | weekdays_) & kStar) != 0 ? day && weekday : day || weekday;
}

std::optional<int64_t> Schedule::next(int64_t unix_s) const {
  if (every_s_ > 0) return unix_s + every_s_;
  int64_t at = unix_s + 1;
  CivilTime time = zone_.local(at);
  const int64_t last_year = time.year + kYearsAhead;
  const auto set = [&](int64_t moment) {
    at = moment;
    time = zone_.local(at);
  };
  // From the largest unit to the smallest; one that is advanced begins at its start, and one that wraps around makes
  // the larger ones be looked at again.
  bool advanced = false;
  while (time.year <= last_year) {
    bool wrapped = false;
    while (!wrapped && !has(months_, time.month)) {
      if (!advanced) set(zone_.unix_of({time.year, time.month, 1}));
      advanced = true;
      CivilTime later = time;
      ++later.month;
      set(zone_.unix_of(later));
      wrapped = time.month == 1;
    }
    while (!wrapped && !is_day(time)) {
      if (!advanced) set(zone_.unix_of({time.year, time.month, time.day}));
      advanced = true;
      CivilTime later = time;
      ++later.day;
      set(zone_.unix_of(later));
      // Where clocks change at midnight, the day may begin at another hour.
      if (time.hour != 0) set(at + int64_t{time.hour > 12 ? 24 - time.hour : -time.hour} * 3600);
      wrapped = time.day == 1;
    }
    while (!wrapped && !has(hours_, time.hour)) {
      if (!advanced) set(zone_.unix_of({time.year, time.month, time.day, time.hour}));
      advanced = true;
      set(at + 3600);
      wrapped = time.hour == 0;
    }
    while (!wrapped && !has(minutes_, time.minute)) {
      if (!advanced) set(at - time.second);
      advanced = true;
      set(at + 60);
      wrapped = time.minute == 0;
    }
    while (!wrapped && time.second != 0) {
      advanced = true;
      set(at + 1);
      wrapped = time.second == 0;
    }
    if (!wrapped) return at;
  }
  return std::nullopt;
}

}  // namespace orlop
