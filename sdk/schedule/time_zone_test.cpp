#include "orlop/time_zone.hpp"

#include <string>

#include <gtest/gtest.h>

namespace orlop {
namespace {

int64_t utc(int64_t year, int month, int day, int hour = 0, int minute = 0) {
  return seconds_of({year, month, day, hour, minute, 0});
}

TEST(Civil, ThereAndBack) {
  EXPECT_EQ(seconds_of({1970, 1, 1}), 0);
  EXPECT_EQ(seconds_of({2000, 3, 1}), 951'868'800);
  EXPECT_EQ(seconds_of({2023, 13, 1}), seconds_of({2024, 1, 1}));
  EXPECT_EQ(seconds_of({2023, 2, 29}), seconds_of({2023, 3, 1}));
  for (int64_t at = utc(1899, 12, 25); at < utc(2101, 1, 5); at += 86'399) {
    const CivilTime time = civil_of(at);
    ASSERT_EQ(seconds_of(time), at);
    ASSERT_GE(time.month, 1);
    ASSERT_LE(time.month, 12);
  }
  EXPECT_EQ(civil_of(utc(2023, 11, 14)).weekday, 2);
  EXPECT_EQ(civil_of(utc(1969, 12, 28)).weekday, 0);
}

TEST(TimeZone, OffsetsBeforeAndAfterItsTable) {
  const TimeZone berlin = *TimeZone::load("Europe/Berlin");
  EXPECT_EQ(berlin.offset_at(utc(2023, 1, 1)), 3600);
  EXPECT_EQ(berlin.offset_at(utc(2023, 7, 1)), 7200);
  EXPECT_EQ(berlin.offset_at(utc(2023, 3, 26, 0, 59)), 3600);
  EXPECT_EQ(berlin.offset_at(utc(2023, 3, 26, 1, 0)), 7200);
  EXPECT_EQ(berlin.offset_at(utc(2090, 7, 1)), 7200);
  EXPECT_EQ(berlin.offset_at(utc(2090, 12, 1)), 3600);
  EXPECT_EQ(berlin.offset_at(utc(2090, 3, 26, 0, 59)), 3600);
  EXPECT_EQ(berlin.offset_at(utc(2090, 3, 26, 1, 0)), 7200);
  EXPECT_EQ(berlin.offset_at(utc(2090, 10, 29, 0, 59)), 7200);
  EXPECT_EQ(berlin.offset_at(utc(2090, 10, 29, 1, 0)), 3600);
  const TimeZone shanghai = *TimeZone::load("Asia/Shanghai");
  EXPECT_EQ(shanghai.offset_at(utc(2090, 7, 1)), 28'800);
  const TimeZone lord_howe = *TimeZone::load("Australia/Lord_Howe");
  EXPECT_EQ(lord_howe.offset_at(utc(2090, 1, 1)), 39'600);
  EXPECT_EQ(lord_howe.offset_at(utc(2090, 7, 1)), 37'800);
}

TEST(TimeZone, LocalTimesToMoments) {
  const TimeZone berlin = *TimeZone::load("Europe/Berlin");
  EXPECT_EQ(berlin.unix_of({2023, 7, 1, 12}), utc(2023, 7, 1, 10));
  EXPECT_EQ(berlin.unix_of({2023, 1, 1, 12}), utc(2023, 1, 1, 11));
  EXPECT_EQ(berlin.local(utc(2023, 7, 1, 22, 30)).day, 2);
  // One of the two moments that the clocks show, and a neighbour of one that they skip.
  const int64_t twice = berlin.unix_of({2023, 10, 29, 2, 30});
  EXPECT_TRUE(twice == utc(2023, 10, 29, 0, 30) || twice == utc(2023, 10, 29, 1, 30));
  const int64_t skipped = berlin.unix_of({2023, 3, 26, 2, 30});
  EXPECT_TRUE(skipped == utc(2023, 3, 26, 0, 30) || skipped == utc(2023, 3, 26, 1, 30));
}

TEST(TimeZone, Rfc3339) {
  EXPECT_EQ(TimeZone().rfc3339(utc(2023, 11, 14, 22, 13)), "2023-11-14T22:13:00Z");
  EXPECT_EQ(TimeZone::load("Europe/Berlin")->rfc3339(utc(2023, 11, 14, 22, 13)), "2023-11-14T23:13:00+01:00");
  EXPECT_EQ(TimeZone::load("America/New_York")->rfc3339(utc(2023, 11, 14, 22, 13)), "2023-11-14T17:13:00-05:00");
}

TEST(TimeZone, UnknownNames) {
  EXPECT_TRUE(TimeZone::load("UTC"));
  EXPECT_TRUE(TimeZone::load(""));
  EXPECT_TRUE(TimeZone::load("Etc/GMT+5"));
  for (const char* name : {"Mars/Olympus", "Europe", "../zoneinfo/UTC", "/etc/passwd", "zone.tab", "europe/berlin\\"}) {
    const auto zone = TimeZone::load(name);
    EXPECT_EQ(zone.code(), Code::kInvalid) << name;
    EXPECT_EQ(zone.message(), std::string("unknown time zone ") + name);
  }
}

TEST(TimeZone, GarbageIsNoZone) {
  EXPECT_FALSE(TimeZone::parse(""));
  EXPECT_FALSE(TimeZone::parse("TZif2"));
  std::string bytes = "TZif" + std::string(40, '\0');
  EXPECT_FALSE(TimeZone::parse(bytes));
  bytes = "TZif2" + std::string(39, '\x7f');
  EXPECT_FALSE(TimeZone::parse(bytes));
}

}  // namespace
}  // namespace orlop
