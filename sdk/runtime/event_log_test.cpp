#include "orlop/runtime_event_log.hpp"

#include <gtest/gtest.h>

namespace orlop::runtime_events {
namespace {

using Clock = EventLog::Clock;

Event event(std::string id) {
  return {EventType::kContainerStarted, std::move(id), 0, 1};
}

class EventLogTest : public ::testing::Test {
 protected:
  // What a read answers; nothing while it waits.
  std::shared_ptr<std::optional<EventPage>> read(uint64_t cursor, const std::string& instance = "me") {
    auto out = std::make_shared<std::optional<EventPage>>();
    log_.read(cursor, instance, deadline_, [out](EventPage page) { *out = std::move(page); });
    return out;
  }

  EventLog log_{"me", 4};
  Clock::time_point deadline_ = Clock::time_point() + std::chrono::seconds(10);
};

TEST_F(EventLogTest, FirstReadIsToldToList) {
  log_.append(event("a"));
  auto page = read(0, "");
  ASSERT_TRUE(page->has_value());
  EXPECT_TRUE((*page)->lost);
  EXPECT_TRUE((*page)->events.empty());
  EXPECT_EQ((*page)->cursor, 1u);
}

TEST_F(EventLogTest, ReaderGetsWhatFollowsItsCursor) {
  log_.append(event("a"));
  log_.append(event("b"));
  auto page = read(1);
  ASSERT_TRUE(page->has_value());
  EXPECT_FALSE((*page)->lost);
  ASSERT_EQ((*page)->events.size(), 1u);
  EXPECT_EQ((*page)->events[0].id, "b");
  EXPECT_EQ((*page)->cursor, 2u);
}

TEST_F(EventLogTest, WaiterWakesAtTheNextEvent) {
  auto page = read(0);
  EXPECT_FALSE(page->has_value());
  EXPECT_EQ(log_.next_deadline(), deadline_);
  log_.append(event("a"));
  ASSERT_TRUE(page->has_value());
  EXPECT_EQ((*page)->events.size(), 1u);
  EXPECT_FALSE(log_.next_deadline());
}

TEST_F(EventLogTest, WaiterEndsEmptyAtItsDeadline) {
  auto page = read(0);
  log_.expire(deadline_ - std::chrono::nanoseconds(1));
  EXPECT_FALSE(page->has_value());
  log_.expire(deadline_);
  ASSERT_TRUE(page->has_value());
  EXPECT_FALSE((*page)->lost);
  EXPECT_EQ((*page)->cursor, 0u);
}

TEST_F(EventLogTest, SlowReaderIsToldOfItsLoss) {
  for (int i = 0; i < 6; ++i) log_.append(event(std::to_string(i)));
  auto behind = read(1);
  ASSERT_TRUE(behind->has_value());
  EXPECT_TRUE((*behind)->lost);
  EXPECT_EQ((*behind)->events.size(), 4u);
  EXPECT_FALSE((*read(2))->lost);
}

TEST_F(EventLogTest, GapWakesAndTellsEveryReader) {
  log_.append(event("a"));
  auto waiting = read(1);
  log_.mark_gap();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_TRUE((*waiting)->lost);
  auto next = read((*waiting)->cursor);
  EXPECT_FALSE(next->has_value()) << "told once";
  log_.append(event("b"));
  ASSERT_TRUE(next->has_value());
  EXPECT_FALSE((*next)->lost);
  EXPECT_EQ((*next)->events[0].id, "b");
}

TEST_F(EventLogTest, CursorFromTheFutureIsLost) {
  auto page = read(99);
  ASSERT_TRUE(page->has_value());
  EXPECT_TRUE((*page)->lost);
  EXPECT_EQ((*page)->cursor, 0u);
}

TEST_F(EventLogTest, StopAnswersEverybody) {
  auto waiting = read(0);
  log_.stop();
  EXPECT_TRUE(waiting->has_value());
  EXPECT_TRUE(read(0)->has_value());
}

}  // namespace
}  // namespace orlop::runtime_events
