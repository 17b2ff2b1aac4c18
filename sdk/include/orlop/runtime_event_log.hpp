// The last events of the runtime, numbered, and those who wait for the next one.
//
// Delivery: a reader sees every event after its cursor exactly once and in order, or is told `lost`. Events are lost
// when the reader is more than the capacity behind, when the source itself had a gap (mark_gap), or when its cursor
// belongs to another process (instance). After `lost` a reader lists everything and goes on from the cursor that came
// with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orlop::runtime_events {

// Mirrors orlop.v1.RuntimeEvent.Type; the numbers are its.
enum class EventType {
  kContainerCreated = 1,
  kContainerStarted = 2,
  kContainerStopped = 3,
  kContainerRemoved = 4,
  kContainerOom = 5,
  kSandboxReady = 6,
  kSandboxStopped = 7,
};

struct Event {
  EventType type = EventType::kContainerCreated;
  std::string id;
  int32_t exit_code = 0;
  int64_t at_unix_ns = 0;
};

struct EventPage {
  uint64_t cursor = 0;
  bool lost = false;
  std::vector<Event> events;
};

// A page as the message that answers orlop.v1.Runtime/Events.
std::string response_of(const EventPage& page, const std::string& instance);

// Threads: any. A waiter's function runs on the thread that brought the event, the gap, the expiry or the stop, outside
// the lock.
class EventLog {
 public:
  using Clock = std::chrono::steady_clock;
  using Waiter = std::function<void(EventPage page)>;

  explicit EventLog(std::string instance, size_t capacity = 16384);

  [[nodiscard]] const std::string& instance() const { return instance_; }

  void append(Event event);
  // Events may have happened that nobody saw.
  void mark_gap();

  // Answers at once when there is something after the cursor (a loss included), else at the next event or, empty, at
  // the deadline. Returns whether it waits: then the caller sees to it that expire() is called at the deadline.
  bool read(uint64_t cursor, const std::string& instance, Clock::time_point deadline, Waiter done);

  // Answers those whose deadline has come.
  void expire(Clock::time_point now);
  // The earliest deadline of those who wait.
  [[nodiscard]] std::optional<Clock::time_point> next_deadline() const;
  // Answers all with an empty page; later reads answer at once.
  void stop();

 private:
  struct Waiting {
    uint64_t cursor;
    Clock::time_point deadline;
    Waiter done;
  };

  EventPage page_after(uint64_t cursor) const;
  void wake_all(std::unique_lock<std::mutex> lock);

  const std::string instance_;
  const size_t capacity_;
  mutable std::mutex mutex_;
  // Guarded by mutex_. Event number first_ + i is ring_[i]; numbers start at 1, a cursor is the number of the last one
  // seen.
  std::deque<Event> ring_;
  uint64_t first_ = 1;
  std::vector<Waiting> waiting_;
  bool stopped_ = false;
};

}  // namespace orlop::runtime_events
