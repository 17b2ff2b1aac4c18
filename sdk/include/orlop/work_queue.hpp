// The queue between what changed and who mends it.
//
// Guarantees, before any method:
// - Deduplicated: a key that waits is there once, however often it was added.
// - Exclusive: a key is with one worker at a time. Added while it is being worked on, it comes again after done().
// - Fair: keys come out in the order in which they became due.
// - Backed off: retry() grows from 5 ms by doubling to 60 s for each failure in a row of that key; forget() resets it.
//
// Times are moments of the host's monotonic clock in nanoseconds, given by the caller: the queue has no clock of its
// own. Threads: every method from any thread.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace orlop {

template <typename Key>
class WorkQueue {
 public:
  void add(const Key& key) {
    const std::lock_guard lock(mutex_);
    add_locked(key);
  }

  // Becomes due at `at_ns`; an earlier moment asked for before stays.
  void add_at(const Key& key, int64_t at_ns) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    const auto found = due_.find(key);
    if (found != due_.end() && found->second <= at_ns) return;
    if (found != due_.end()) erase_delayed(key, found->second);
    due_[key] = at_ns;
    delayed_.emplace(at_ns, key);
  }

  // Adds the key again after its back-off. Returns the delay in nanoseconds.
  int64_t retry(const Key& key, int64_t now_ns) {
    int64_t delay = 0;
    {
      const std::lock_guard lock(mutex_);
      const int failures = std::min(failures_[key]++, 14);
      delay = std::min<int64_t>(kRetryFirstNs << failures, kRetryMaxNs);
    }
    add_at(key, now_ns + delay);
    return delay;
  }
  void forget(const Key& key) {
    const std::lock_guard lock(mutex_);
    failures_.erase(key);
  }
  [[nodiscard]] int failures(const Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = failures_.find(key);
    return found == failures_.end() ? 0 : found->second;
  }

  // Moves what is due into the queue. Returns the moment at which the next key becomes due, if any waits.
  std::optional<int64_t> promote(int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    while (!delayed_.empty() && delayed_.begin()->first <= now_ns) {
      const Key key = delayed_.begin()->second;
      delayed_.erase(delayed_.begin());
      due_.erase(key);
      add_locked(key);
    }
    if (delayed_.empty()) return std::nullopt;
    return delayed_.begin()->first;
  }

  // The next key, or nothing. Whoever gets one must call done().
  std::optional<Key> try_take() {
    const std::lock_guard lock(mutex_);
    return take_locked();
  }
  // Waits for a key; nothing once the queue is closed.
  std::optional<Key> take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (closed_) return std::nullopt;
    return take_locked();
  }
  void done(const Key& key) {
    const std::lock_guard lock(mutex_);
    working_.erase(key);
    if (waiting_.contains(key) && !closed_) {
      queue_.push_back(key);
      ready_.notify_one();
    }
  }

  // Wakes every take() with nothing; later additions are dropped.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }

  [[nodiscard]] size_t size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  static constexpr int64_t kRetryFirstNs = 5'000'000;
  static constexpr int64_t kRetryMaxNs = 60'000'000'000;

  void add_locked(const Key& key) {
    if (closed_ || !waiting_.insert(key).second) return;
    if (working_.contains(key)) return;  // done() queues it
    queue_.push_back(key);
    ready_.notify_one();
  }
  std::optional<Key> take_locked() {
    if (queue_.empty()) return std::nullopt;
    Key key = std::move(queue_.front());
    queue_.pop_front();
    waiting_.erase(key);
    working_.insert(key);
    return key;
  }
  void erase_delayed(const Key& key, int64_t at_ns) {
    auto [first, last] = delayed_.equal_range(at_ns);
    for (auto entry = first; entry != last; ++entry) {
      if (entry->second == key) {
        delayed_.erase(entry);
        return;
      }
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Key> queue_;  // guarded by mutex_, as is all below
  std::set<Key> waiting_;  // queued, or to be queued by done()
  std::set<Key> working_;
  std::multimap<int64_t, Key> delayed_;  // by due moment
  std::map<Key, int64_t> due_;           // of each delayed key
  std::map<Key, int> failures_;
  bool closed_ = false;
};

}  // namespace orlop
