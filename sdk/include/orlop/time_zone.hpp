// Time zones from the machine's own data base (package tzdata, TZif files of RFC 8536).
//
// The C++ library of g++ 12 has none: std::chrono::tzdb came with 14.
//
// Threads: a TimeZone is immutable once loaded.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop {

// A moment as a wall clock shows it.
struct CivilTime {
  int64_t year = 1970;
  int month = 1;  // from 1
  int day = 1;    // from 1
  int hour = 0;
  int minute = 0;
  int second = 0;
  int weekday = 4;  // from 0, Sunday
};

// Seconds since 1970 as if the civil time were UTC. Fields beyond their range carry over: month 13 is January.
int64_t seconds_of(const CivilTime& time);
CivilTime civil_of(int64_t seconds);

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;
  // "" and "UTC" need no file. kInvalid "unknown time zone NAME": no such zone, or a name that leaves the folder.
  static Result<TimeZone> load(const std::string& name, const std::string& folder = "/usr/share/zoneinfo");
  // From the bytes of a TZif file. kInvalid: they are none.
  static Result<TimeZone> parse(std::string_view bytes);

  // Seconds east of Greenwich at a moment, given in seconds since 1970.
  [[nodiscard]] int64_t offset_at(int64_t unix_s) const { return period_at(unix_s).offset_s; }
  [[nodiscard]] CivilTime local(int64_t unix_s) const { return civil_of(unix_s + offset_at(unix_s)); }
  // The moment at which clocks show `time`. One that they skip or show twice is taken by the offset that holds on one
  // side of the change, as Go's time.Date does it.
  [[nodiscard]] int64_t unix_of(const CivilTime& time) const;
  // "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00".
  [[nodiscard]] std::string rfc3339(int64_t unix_s) const;

 private:
  struct Period {
    int64_t begin_s;  // until the next one's begin
    int64_t end_s;
    int64_t offset_s;
  };
  struct Transition {
    int64_t at_s;
    int64_t offset_s;
  };
  // One change of daylight saving: the day of a year, and the time of that day.
  struct DayRule {
    enum class Kind { kMonth, kJulian, kZeroBased } kind = Kind::kMonth;
    int month = 0, week = 0, day = 0;
    int64_t time_s = 7200;
  };
  struct Footer {
    int64_t standard_s = 0;
    bool has_daylight = false;
    int64_t daylight_s = 0;
    DayRule begin, end;
  };
  friend class TzifReader;
  friend class FooterReader;

  [[nodiscard]] Period period_at(int64_t unix_s) const;
  [[nodiscard]] Period period_by_footer(int64_t unix_s, int64_t earliest_s) const;
  static int64_t day_of(const DayRule& rule, int64_t year);

  int64_t first_offset_s_ = 0;           // before the first transition
  std::vector<Transition> transitions_;  // in order
  std::optional<Footer> footer_;         // after the last transition
};

}  // namespace orlop
