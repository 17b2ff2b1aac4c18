// The frame of a reconcile loop: watch some kinds, map each change to keys, bring each key's world to what it should
// be.
//
// A Reconciler reads the store itself, at its latest revision, whenever it reconciles: no informer cache, so no stale
// read and no expectations to keep. It must be idempotent: it is called again after a failure, after a restart for
// every object, and now and then without need.
//
// Threads: observe() and reset() run on the set's one watch thread, reconcile() on its workers, for different keys at
// the same time. With run_until_idle() (tests) everything runs on the caller's thread.
#pragma once

#include "orlop/host.hpp"
#include "orlop/watch.hpp"
#include "orlop/work_queue.hpp"

#include <algorithm>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace orlop {

struct ObjectKey {
  std::string name_space;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  [[nodiscard]] std::string text() const { return name_space.empty() ? name : name_space + "/" + name; }
};

using KeyQueue = WorkQueue<ObjectKey>;

// What a successful reconcile says: nothing more for now, or come again.
struct Outcome {
  int64_t again_after_ns = 0;  // 0: only when something changes
};

class Reconciler {
 public:
  virtual ~Reconciler() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // The kinds that observe() wants to see.
  [[nodiscard]] virtual std::vector<std::string> kinds() const = 0;
  [[nodiscard]] virtual bool wants_previous() const { return false; }
  // The queue that observe() is given, for keys that come from elsewhere. Once, before anything else; it outlives the
  // reconciler's use.
  virtual void attach(KeyQueue& queue) { (void)queue; }
  // Adds to the queue whatever this change concerns. Quick: no write, no call.
  virtual void observe(const ChangeView& change, KeyQueue& queue) = 0;
  // Everything that was observed is void; all existing objects come again.
  virtual void reset() {}
  // A failure is retried with back-off (a kConflict at once) and logged when it is not a conflict.
  virtual Result<Outcome> reconcile(const ObjectKey& key) = 0;
  [[nodiscard]] virtual unsigned workers() const { return 1; }
};

// The controllers of one plugin. Owns their threads.
class ControllerSet {
 public:
  explicit ControllerSet(Host host) : host_(host) {}
  ~ControllerSet() { stop(); }
  ControllerSet(const ControllerSet&) = delete;
  ControllerSet& operator=(const ControllerSet&) = delete;

  // Before start().
  void add(std::unique_ptr<Reconciler> reconciler) {
    auto entry = std::make_unique<Entry>();
    Entry* raw = entry.get();
    entry->reconciler = std::move(reconciler);
    entry->reconciler->attach(entry->queue);
    entry->watch = std::make_unique<Watch>(
        host_, WatchOptions{entry->reconciler->kinds(), entry->reconciler->wants_previous()},
        [raw](const ChangeView& change) { raw->reconciler->observe(change, raw->queue); },
        [raw] { raw->reconciler->reset(); });
    entries_.push_back(std::move(entry));
  }

  Status start() {
    ORLOP_TRY(subscribe());
    running_ = true;
    woken_ = true;
    watcher_ = std::thread([this] { watch_loop(); });
    for (auto& entry : entries_) {
      for (unsigned i = 0; i < entry->reconciler->workers(); ++i) {
        workers_.emplace_back([this, raw = entry.get()] { work_loop(*raw); });
      }
    }
    return Status::ok();
  }

  // Ends intake, lets each worker finish its key, joins. Idempotent.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
      changed_.notify_all();
    }
    for (auto& entry : entries_) entry->queue.close();
    if (watcher_.joinable()) watcher_.join();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
  }

  // From Plugin::wake(), whatever the reason.
  void wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }

  // Tests, instead of start(): works until no key is due and nothing is new, or `limit` keys are done. Returns how many
  // keys were reconciled.
  size_t run_until_idle(size_t limit = 100'000) {
    size_t worked = 0;
    bool progress = true;
    while (progress && worked < limit) {
      progress = false;
      for (auto& entry : entries_) {
        auto drained = entry->watch->drain();
        progress = progress || (drained && *drained);
        entry->queue.promote(host_.monotonic_now_ns());
        while (worked < limit) {
          const auto key = entry->queue.try_take();
          if (!key) break;
          work(*entry, *key);
          progress = true;
          ++worked;
        }
      }
    }
    return worked;
  }

 private:
  struct Entry {
    std::unique_ptr<Reconciler> reconciler;
    KeyQueue queue;
    std::unique_ptr<Watch> watch;
  };

  Status subscribe() {
    std::vector<std::string> kinds;
    for (const auto& entry : entries_) {
      for (std::string& kind : entry->reconciler->kinds()) {
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(std::move(kind));
      }
    }
    return host_.subscribe(kinds);
  }

  void watch_loop() {
    std::unique_lock lock(mutex_);
    while (running_) {
      woken_ = false;
      lock.unlock();
      std::optional<int64_t> next;
      for (auto& entry : entries_) {
        auto drained = entry->watch->drain();
        if (!drained) {
          host_.log_warn(std::string(entry->reconciler->name()) + ": cannot follow the store: " + drained.message());
          next = sooner(next, host_.monotonic_now_ns() + kStoreRetryNs);
        }
        next = sooner(next, entry->queue.promote(host_.monotonic_now_ns()));
      }
      if (next) host_.wake_at(*next);
      lock.lock();
      changed_.wait(lock, [this] { return woken_ || !running_; });
    }
  }

  void work_loop(Entry& entry) {
    while (auto key = entry.queue.take()) {
      work(entry, *key);
      wake();  // a delayed key may have become the next one that is due
    }
  }

  void work(Entry& entry, const ObjectKey& key) {
    const Result<Outcome> outcome = entry.reconciler->reconcile(key);
    const int64_t now = host_.monotonic_now_ns();
    if (outcome) {
      entry.queue.forget(key);
      if (outcome->again_after_ns > 0) entry.queue.add_at(key, now + outcome->again_after_ns);
    } else {
      const int64_t delay = entry.queue.retry(key, now);
      if (outcome.code() != Code::kConflict) {
        host_.log_warn(std::string(entry.reconciler->name()) + ": " + key.text() + ": " + outcome.message() +
                       "; again in " + std::to_string(delay / 1'000'000) + " ms");
      }
    }
    entry.queue.done(key);
  }

  static std::optional<int64_t> sooner(std::optional<int64_t> a, std::optional<int64_t> b) {
    if (!a) return b;
    if (!b) return a;
    return std::min(*a, *b);
  }

  static constexpr int64_t kStoreRetryNs = 200'000'000;

  Host host_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;  // guarded by mutex_
  bool woken_ = false;    // guarded by mutex_
  std::thread watcher_;
  std::vector<std::thread> workers_;
};

}  // namespace orlop
