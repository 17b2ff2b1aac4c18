// One thread that runs small functions at moments of the monotonic clock: deadlines of calls, wake-ups, supervision.
//
// Threads: every method from any thread, also from within a function that the timer runs. Functions run one at a time
// on the timer's own thread, earliest first, never before their moment; they must return soon.
#pragma once

#include "kernel/bus/clock.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace orlop::bus {

class Timer {
 public:
  using Id = uint64_t;  // never 0

  explicit Timer(const Clock& clock);
  ~Timer();  // stop()
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Runs `function` at or after `monotonic_ns`. After stop() nothing is run any more and 0 is returned.
  Id at(int64_t monotonic_ns, std::function<void()> function);
  Id after(int64_t ns, std::function<void()> function) { return at(clock_.monotonic_ns() + ns, std::move(function)); }

  // True: it will not run. False: it has run, or is running now, or never was.
  bool cancel(Id id);

  // Waits until the function that runs now, if any, has returned: what was cancelled before is then certainly over. Not
  // from within a function that the timer runs.
  void settle();

  // Ends the thread; what has not run yet is dropped. Not from within a function that the timer runs.
  void stop();

 private:
  using Queue = std::map<std::pair<int64_t, Id>, std::function<void()>>;
  void run();

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  Queue queue_;                                   // guarded by mutex_
  std::unordered_map<Id, int64_t> moment_by_id_;  // guarded by mutex_
  Id next_id_ = 1;                                // guarded by mutex_
  bool stopping_ = false;                         // guarded by mutex_
  bool running_ = false;                          // guarded by mutex_
  std::thread thread_;
};

}  // namespace orlop::bus
