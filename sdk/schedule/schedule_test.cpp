#include "orlop/schedule.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop {
namespace {

int64_t utc(int64_t year, int month, int day, int hour, int minute, int second = 0) {
  return seconds_of({year, month, day, hour, minute, second});
}
std::string after(const std::string& text, int64_t unix_s) {
  const auto schedule = Schedule::parse(text);
  if (!schedule) return schedule.message();
  const auto next = schedule->next(unix_s);
  return next ? TimeZone().rfc3339(*next) : "never";
}
// `offset_h`: of New York at the moment that is given.
std::string in_new_york(const std::string& text, int64_t local_s, int offset_h) {
  const TimeZone zone = *TimeZone::load("America/New_York");
  const auto schedule = Schedule::parse(text, zone);
  const auto next = schedule->next(local_s - int64_t{offset_h} * 3600);
  return next ? zone.rfc3339(*next) : "never";
}
std::string fault(const std::string& text) {
  return Schedule::parse(text).message();
}

TEST(Schedule, Fields) {
  const int64_t monday = utc(2012, 7, 9, 14, 45);
  EXPECT_EQ(after("*/15 * * * *", monday), "2012-07-09T15:00:00Z");
  EXPECT_EQ(after("0/15 * * * *", monday + 1), "2012-07-09T15:00:00Z");
  EXPECT_EQ(after("20-35/15 * * * *", monday), "2012-07-09T15:20:00Z");
  EXPECT_EQ(after("0 9-17/4 * * 1-5", utc(2012, 7, 13, 18, 0)), "2012-07-16T09:00:00Z");
  EXPECT_EQ(after("5,10,, * * * *", monday), "2012-07-09T15:05:00Z");
  EXPECT_EQ(after("30 8 * Apr Sun", monday), "2013-04-07T08:30:00Z");
  EXPECT_EQ(after("0 0 29 2 ?", monday), "2016-02-29T00:00:00Z");
  EXPECT_EQ(after("59 23 31 12 *", utc(2012, 12, 31, 23, 59)), "2013-12-31T23:59:00Z");
  EXPECT_EQ(after("0 0 31 2 *", monday), "never");
}

TEST(Schedule, EitherDayWhereBothAreRestricted) {
  const int64_t from = utc(2012, 7, 15, 0, 0);  // a Sunday
  EXPECT_EQ(after("0 0 1,15 * Sun", from), "2012-07-22T00:00:00Z");
  EXPECT_EQ(after("0 0 * * Mon", from), "2012-07-16T00:00:00Z");
  EXPECT_EQ(after("0 0 */10 * Sun", from), "2012-07-21T00:00:00Z");
  EXPECT_EQ(after("0 0 1,15 * *", from), "2012-08-01T00:00:00Z");
}

TEST(Schedule, Descriptors) {
  const int64_t from = utc(2012, 7, 9, 14, 45);
  EXPECT_EQ(after("@hourly", from), "2012-07-09T15:00:00Z");
  EXPECT_EQ(after("@daily", from), "2012-07-10T00:00:00Z");
  EXPECT_EQ(after("@midnight", from), "2012-07-10T00:00:00Z");
  EXPECT_EQ(after("@weekly", from), "2012-07-15T00:00:00Z");
  EXPECT_EQ(after("@monthly", from), "2012-08-01T00:00:00Z");
  EXPECT_EQ(after("@yearly", from), "2013-01-01T00:00:00Z");
  EXPECT_EQ(after("@annually", from), "2013-01-01T00:00:00Z");
  EXPECT_EQ(after("@every 1h30m", from), "2012-07-09T16:15:00Z");
  EXPECT_EQ(after("@every 10ms", from), "2012-07-09T14:45:01Z");
}

TEST(Schedule, ClocksThatGoForward) {
  const int64_t midnight = utc(2012, 3, 11, 0, 0);  // the hour from 2 to 3 does not happen
  EXPECT_EQ(in_new_york("30 2 11 Mar ?", midnight, -5), "2013-03-11T02:30:00-04:00");
  EXPECT_EQ(in_new_york("0 * * * ?", midnight + 3600, -5), "2012-03-11T03:00:00-04:00");
  EXPECT_EQ(in_new_york("0 1 * * ?", midnight, -5), "2012-03-11T01:00:00-05:00");
  EXPECT_EQ(in_new_york("0 2 * * ?", midnight, -5), "2012-03-12T02:00:00-04:00");
}

TEST(Schedule, ClocksThatGoBack) {
  const int64_t midnight = utc(2012, 11, 4, 0, 0);  // the hour from 1 to 2 happens twice
  EXPECT_EQ(in_new_york("30 2 04 Nov ?", midnight, -4), "2012-11-04T02:30:00-05:00");
  EXPECT_EQ(in_new_york("30 1 04 Nov ?", midnight + 105 * 60, -4), "2012-11-04T01:30:00-05:00");
  EXPECT_EQ(in_new_york("0 1 * * ?", midnight, -4), "2012-11-04T01:00:00-04:00");
  EXPECT_EQ(in_new_york("0 1 * * ?", midnight + 3600, -4), "2012-11-04T01:00:00-05:00");
  EXPECT_EQ(in_new_york("0 3 * * ?", midnight, -4), "2012-11-04T03:00:00-05:00");
}

TEST(Schedule, AZoneInItsText) {
  EXPECT_EQ(after("TZ=Asia/Shanghai 0 8 * * *", utc(2023, 1, 1, 0, 0)), "2023-01-02T00:00:00Z");
  EXPECT_EQ(after("CRON_TZ=Asia/Shanghai @daily", utc(2023, 1, 1, 0, 0)), "2023-01-01T16:00:00Z");
  EXPECT_EQ(fault("TZ=Nowhere/Else 0 8 * * *"), "provided bad location Nowhere/Else: unknown time zone Nowhere/Else");
  EXPECT_EQ(fault("TZ=UTC"), "expected exactly 5 fields, found 0: []");
}

TEST(Schedule, SaysWhatIsWrong) {
  EXPECT_EQ(fault(""), "empty spec string");
  EXPECT_EQ(fault("error"), "expected exactly 5 fields, found 1: [error]");
  EXPECT_EQ(fault("* * * *"), "expected exactly 5 fields, found 4: [* * * *]");
  EXPECT_EQ(fault("60 * * * *"), "end of range (60) above maximum (59): 60");
  EXPECT_EQ(fault("* * 0 * *"), "beginning of range (0) below minimum (1): 0");
  EXPECT_EQ(fault("5-2 * * * *"), "beginning of range (5) beyond end of range (2): 5-2");
  EXPECT_EQ(fault("1-2-3 * * * *"), "too many hyphens: 1-2-3");
  EXPECT_EQ(fault("*/5/2 * * * *"), "too many slashes: */5/2");
  EXPECT_EQ(fault("*/0 * * * *"), "step of range should be a positive number: */0");
  EXPECT_EQ(fault("*/-5 * * * *"), "negative number (-5) not allowed: -5");
  EXPECT_EQ(fault("x * * * *"), "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax");
  EXPECT_EQ(fault("-1 * * * *"), "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax");
  EXPECT_EQ(fault("* * * * 7"), "end of range (7) above maximum (6): 7");
  EXPECT_EQ(fault("@often"), "unrecognized descriptor: @often");
  EXPECT_EQ(fault("@every"), "unrecognized descriptor: @every");
  EXPECT_EQ(fault("@every 1d"), "failed to parse duration @every 1d: time: unknown unit \"d\" in duration \"1d\"");
  EXPECT_EQ(fault("@every 5"), "failed to parse duration @every 5: time: missing unit in duration \"5\"");
  EXPECT_EQ(fault("@every x"), "failed to parse duration @every x: time: invalid duration \"x\"");
}

TEST(Schedule, NeverGoesBackNorStandsStill) {
  for (const char* zone : {"America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Europe/Berlin"}) {
    for (const char* text : {"* * * * *", "0 0 * * *", "30 2 * * *", "15 1,13 */3 * 1-5"}) {
      const auto schedule = Schedule::parse(text, *TimeZone::load(zone));
      int64_t at = utc(2017, 10, 1, 0, 0);
      for (int i = 0; i < 3000; ++i) {
        const auto next = schedule->next(at);
        ASSERT_TRUE(next) << zone << " " << text;
        ASSERT_GT(*next, at) << zone << " " << text;
        at = *next;
      }
    }
  }
}

}  // namespace
}  // namespace orlop
