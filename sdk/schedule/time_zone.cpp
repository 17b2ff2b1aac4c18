#include "orlop/time_zone.hpp"

#include "sdk/schedule/tzif.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

namespace orlop {
namespace {

constexpr int64_t kDayS = 86'400;
constexpr size_t kFileMax = 1 << 20;

int64_t floor_divide(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

// Days since 1970-01-01 of the proleptic Gregorian calendar; the month may lie outside 1 to 12.
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year += floor_divide(month - 1, 12);
  month = (month - 1) - floor_divide(month - 1, 12) * 12 + 1;
  if (month <= 2) --year;  // years that begin in March have their leap day at the end
  const int64_t era = floor_divide(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

bool is_leap(int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int weekday_of(int64_t days) {
  return static_cast<int>(days + 4 - floor_divide(days + 4, 7) * 7);
}

bool stays_inside(const std::string& name) {
  return !name.empty() && name.front() != '/' && name.find("..") == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

int64_t seconds_of(const CivilTime& time) {
  return days_of(time.year, time.month, time.day) * kDayS + int64_t{time.hour} * 3600 + int64_t{time.minute} * 60 +
         time.second;
}

CivilTime civil_of(int64_t seconds) {
  const int64_t days = floor_divide(seconds, kDayS);
  const int64_t rest = seconds - days * kDayS;
  const int64_t shifted = days + 719'468;
  const int64_t era = floor_divide(shifted, 146'097);
  const int64_t day_of_era = shifted - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  CivilTime out;
  out.day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  out.month = static_cast<int>(shifted_month + (shifted_month < 10 ? 3 : -9));
  out.year = year_of_era + era * 400 + (out.month <= 2 ? 1 : 0);
  out.hour = static_cast<int>(rest / 3600);
  out.minute = static_cast<int>(rest / 60 % 60);
  out.second = static_cast<int>(rest % 60);
  out.weekday = weekday_of(days);
  return out;
}

Result<TimeZone> TimeZone::load(const std::string& name, const std::string& folder) {
  if (name.empty() || name == "UTC") return TimeZone();
  const Status unknown(Code::kInvalid, "unknown time zone " + name);
  if (!stays_inside(name)) return unknown;
  std::ifstream file(folder + "/" + name, std::ios::binary);
  std::string bytes;
  std::array<char, 4096> buffer{};
  while (file && bytes.size() < kFileMax) {
    file.read(buffer.data(), buffer.size());
    bytes.append(buffer.data(), static_cast<size_t>(file.gcount()));
  }
  auto zone = parse(bytes);
  return zone ? zone : Result<TimeZone>(unknown);
}

Result<TimeZone> TimeZone::parse(std::string_view bytes) {
  return TzifReader::read(bytes);
}

int64_t TimeZone::day_of(const DayRule& rule, int64_t year) {
  const int64_t first = days_of(year, 1, 1);
  switch (rule.kind) {
    case DayRule::Kind::kJulian:  // 1 to 365: the leap day is not counted
      return first + rule.day - 1 + (is_leap(year) && rule.day >= 60 ? 1 : 0);
    case DayRule::Kind::kZeroBased:
      return first + rule.day;
    case DayRule::Kind::kMonth:
      break;
  }
  const int64_t month = days_of(year, rule.month, 1);
  int64_t day = month + (rule.day - weekday_of(month) + 7) % 7 + int64_t{rule.week - 1} * 7;
  while (day >= days_of(year, rule.month + 1, 1)) day -= 7;  // week 5 is the last one
  return day;
}

TimeZone::Period TimeZone::period_by_footer(int64_t unix_s, int64_t earliest_s) const {
  const Footer& footer = *footer_;
  Period out{earliest_s, std::numeric_limits<int64_t>::max(), footer.standard_s};
  if (!footer.has_daylight) return out;
  const int64_t year = civil_of(unix_s + footer.standard_s).year;
  // The changes of the years around, so that one of them lies on either side.
  std::vector<Transition> changes;
  for (int64_t y = year - 1; y <= year + 1; ++y) {
    changes.push_back({day_of(footer.begin, y) * kDayS + footer.begin.time_s - footer.standard_s, footer.daylight_s});
    changes.push_back({day_of(footer.end, y) * kDayS + footer.end.time_s - footer.daylight_s, footer.standard_s});
  }
  std::sort(changes.begin(), changes.end(), [](const Transition& a, const Transition& b) { return a.at_s < b.at_s; });
  for (const Transition& change : changes) {
    if (change.at_s > unix_s) {
      out.end_s = change.at_s;
      break;
    }
    out.begin_s = std::max(earliest_s, change.at_s);
    out.offset_s = change.offset_s;
  }
  return out;
}

TimeZone::Period TimeZone::period_at(int64_t unix_s) const {
  constexpr int64_t kEver = std::numeric_limits<int64_t>::max();
  const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), unix_s,
                                      [](int64_t at, const Transition& transition) { return at < transition.at_s; });
  if (after == transitions_.end() && footer_) {
    return period_by_footer(unix_s,
                            transitions_.empty() ? std::numeric_limits<int64_t>::min() : transitions_.back().at_s);
  }
  const int64_t end_s = after == transitions_.end() ? kEver : after->at_s;
  if (after == transitions_.begin()) return {std::numeric_limits<int64_t>::min(), end_s, first_offset_s_};
  return {std::prev(after)->at_s, end_s, std::prev(after)->offset_s};
}

int64_t TimeZone::unix_of(const CivilTime& time) const {
  const int64_t as_utc = seconds_of(time);
  const Period near = period_at(as_utc);
  if (near.offset_s == 0) return as_utc;
  const int64_t guess = as_utc - near.offset_s;
  if (guess >= near.begin_s && guess < near.end_s) return guess;
  return as_utc - period_at(guess).offset_s;
}

std::string TimeZone::rfc3339(int64_t unix_s) const {
  const int64_t offset_s = offset_at(unix_s);
  const CivilTime time = civil_of(unix_s + offset_s);
  char text[64];
  int size = std::snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d", static_cast<long long>(time.year),
                           time.month, time.day, time.hour, time.minute, time.second);
  if (offset_s == 0) return std::string(text, static_cast<size_t>(size)) + "Z";
  const int64_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
  size += std::snprintf(text + size, sizeof text - static_cast<size_t>(size), "%c%02d:%02d", offset_s < 0 ? '-' : '+',
                        static_cast<int>(minutes / 60 % 100), static_cast<int>(minutes % 60));
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace orlop
