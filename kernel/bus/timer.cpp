#include "kernel/bus/timer.hpp"

#include <chrono>
#include <utility>

#include <pthread.h>

namespace orlop::bus {

Timer::Timer(const Clock& clock) : clock_(clock), thread_([this] { run(); }) {}

Timer::~Timer() {
  stop();
}

Timer::Id Timer::at(int64_t monotonic_ns, std::function<void()> function) {
  bool earliest = false;
  Id id = 0;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return 0;
    id = next_id_++;
    auto [place, inserted] = queue_.emplace(std::pair{monotonic_ns, id}, std::move(function));
    moment_by_id_.emplace(id, monotonic_ns);
    earliest = place == queue_.begin();
  }
  if (earliest) changed_.notify_one();
  return id;
}

bool Timer::cancel(Id id) {
  std::function<void()> dropped;  // destroyed outside the lock: it may own things that call back
  std::lock_guard lock(mutex_);
  auto moment = moment_by_id_.find(id);
  if (moment == moment_by_id_.end()) return false;
  auto place = queue_.find({moment->second, id});
  dropped = std::move(place->second);
  queue_.erase(place);
  moment_by_id_.erase(moment);
  return true;
}

void Timer::settle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !running_; });
}

void Timer::stop() {
  Queue dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
    moment_by_id_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Timer::run() {
  pthread_setname_np(pthread_self(), "timer");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const int64_t moment = queue_.begin()->first.first;
    const int64_t now = clock_.monotonic_ns();
    if (moment > now) {
      // A held clock does not tell when it moves on, hence the upper limit.
      changed_.wait_for(lock, std::chrono::nanoseconds(std::min<int64_t>(moment - now, 1'000'000'000)));
      continue;
    }
    auto node = queue_.extract(queue_.begin());
    moment_by_id_.erase(node.key().second);
    running_ = true;
    lock.unlock();
    node.mapped()();
    node.mapped() = nullptr;
    lock.lock();
    running_ = false;
    idle_.notify_all();
  }
}

}  // namespace orlop::bus
