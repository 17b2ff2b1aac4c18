// Schedules of cron jobs: five fields (minute, hour, day of month, month, day of week), @hourly and its like, @every.
//
// Grammar, messages and treatment of daylight saving are those of github.com/robfig/cron/v3 ParseStandard, which
// Kubernetes uses. Where both days are restricted, either suffices. A local time that is skipped when clocks go forward
// does not happen; one that is shown twice happens twice.
//
// Threads: a Schedule is immutable.
#pragma once

#include "orlop/result.hpp"
#include "orlop/time_zone.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop {

class Schedule {
 public:
  // `zone`: in which the fields are meant, unless the text begins with "TZ=NAME " or "CRON_TZ=NAME ". kInvalid: what is
  // wrong with the text.
  static Result<Schedule> parse(std::string_view text, const TimeZone& zone = {});

  // The first moment after `unix_s`, both in seconds since 1970; nothing when there is none within five years.
  [[nodiscard]] std::optional<int64_t> next(int64_t unix_s) const;

 private:
  static Result<Schedule> parse_fields(std::string_view text);
  static Result<Schedule> parse_descriptor(std::string_view text);
  [[nodiscard]] bool is_day(const CivilTime& time) const;

  // Bit N: the value N. The highest bit: the field was given by a star.
  uint64_t minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  int64_t every_s_ = 0;  // of @every; the fields are void then
  TimeZone zone_;
};

}  // namespace orlop
