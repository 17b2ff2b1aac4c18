#include "orlop/runtime_event_log.hpp"
#include "orlop/v1/runtime.pb.h"

#include <algorithm>
#include <utility>

namespace orlop::runtime_events {

std::string response_of(const EventPage& page, const std::string& instance) {
  v1::RuntimeEventsResponse response;
  response.set_cursor(page.cursor);
  response.set_instance(instance);
  response.set_lost(page.lost);
  for (const Event& event : page.events) {
    auto* out = response.add_events();
    out->set_type(static_cast<v1::RuntimeEvent_Type>(event.type));
    out->set_container_id(event.id);
    out->set_exit_code(event.exit_code);
    out->set_at_unix_ns(event.at_unix_ns);
  }
  return response.SerializeAsString();
}

EventLog::EventLog(std::string instance, size_t capacity) : instance_(std::move(instance)), capacity_(capacity) {}

EventPage EventLog::page_after(uint64_t cursor) const {
  EventPage page;
  page.cursor = first_ + ring_.size() - 1;
  page.lost = cursor + 1 < first_ || cursor > page.cursor;
  uint64_t from = std::clamp(cursor + 1, first_, page.cursor + 1);
  page.events.assign(ring_.begin() + static_cast<std::ptrdiff_t>(from - first_), ring_.end());
  return page;
}

void EventLog::wake_all(std::unique_lock<std::mutex> lock) {
  std::vector<std::pair<Waiter, EventPage>> ready;
  for (Waiting& waiting : waiting_) ready.emplace_back(std::move(waiting.done), page_after(waiting.cursor));
  waiting_.clear();
  lock.unlock();
  for (auto& [done, page] : ready) done(std::move(page));
}

void EventLog::append(Event event) {
  std::unique_lock lock(mutex_);
  ring_.push_back(std::move(event));
  if (ring_.size() > capacity_) {
    ring_.pop_front();
    ++first_;
  }
  wake_all(std::move(lock));
}

void EventLog::mark_gap() {
  std::unique_lock lock(mutex_);
  // The gap takes a number of its own, so that a reader that is up to date falls behind it. What is before it is of no
  // more use: such a reader lists everything anyway.
  first_ += ring_.size() + 1;
  ring_.clear();
  wake_all(std::move(lock));
}

bool EventLog::read(uint64_t cursor, const std::string& instance, Clock::time_point deadline, Waiter done) {
  std::unique_lock lock(mutex_);
  EventPage page;
  if (instance != instance_) {
    page.cursor = first_ + ring_.size() - 1;
    page.lost = true;
  } else {
    page = page_after(cursor);
    if (!page.lost && page.events.empty() && !stopped_) {
      waiting_.push_back({cursor, deadline, std::move(done)});
      return true;
    }
  }
  lock.unlock();
  done(std::move(page));
  return false;
}

void EventLog::expire(Clock::time_point now) {
  std::unique_lock lock(mutex_);
  std::vector<Waiting> expired;
  auto middle = std::stable_partition(waiting_.begin(), waiting_.end(),
                                      [now](const Waiting& waiting) { return waiting.deadline > now; });
  std::move(middle, waiting_.end(), std::back_inserter(expired));
  waiting_.erase(middle, waiting_.end());
  lock.unlock();
  for (Waiting& waiting : expired) {
    EventPage page;
    page.cursor = waiting.cursor;
    waiting.done(std::move(page));
  }
}

std::optional<EventLog::Clock::time_point> EventLog::next_deadline() const {
  std::lock_guard lock(mutex_);
  std::optional<Clock::time_point> earliest;
  for (const Waiting& waiting : waiting_) {
    if (!earliest || waiting.deadline < *earliest) earliest = waiting.deadline;
  }
  return earliest;
}

void EventLog::stop() {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  wake_all(std::move(lock));
}

}  // namespace orlop::runtime_events
