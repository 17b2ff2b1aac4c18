// Slows down the replacement of pods that fail again and again: 1 s after the first, doubling to 15 min. A key that was
// quiet for twice that starts anew (k8s.io/client-go util/flowcontrol, Backoff). Pure: times come in.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace orlop::workload {

class Backoff {
 public:
  // 0: go ahead, and this counts as one more attempt. Otherwise so many nanoseconds are left to wait.
  int64_t attempt(const std::string& key, int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    if (entries_.size() > kEntriesMax) {
      std::erase_if(entries_, [&](const auto& each) { return is_over(each.second, now_ns); });
    }
    Entry& entry = entries_[key];
    const bool fresh = entry.delay_ns == 0 || is_over(entry, now_ns);
    if (!fresh && now_ns - entry.last_ns < entry.delay_ns) return entry.delay_ns - (now_ns - entry.last_ns);
    entry.delay_ns = fresh ? kFirstNs : std::min(2 * entry.delay_ns, kMaxNs);
    entry.last_ns = now_ns;
    return 0;
  }

 private:
  static constexpr int64_t kFirstNs = 1'000'000'000;
  static constexpr int64_t kMaxNs = 900 * kFirstNs;
  static constexpr size_t kEntriesMax = 10'000;

  struct Entry {
    int64_t delay_ns = 0;
    int64_t last_ns = 0;
  };
  static bool is_over(const Entry& entry, int64_t now_ns) { return now_ns - entry.last_ns > 2 * kMaxNs; }

  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace orlop::workload
