// Counts and latencies of requests, in Prometheus' text format.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace orlop::rest {

// Threads: any.
class Metrics {
 public:
  void count(std::string_view verb, std::string_view resource, std::string_view subresource, int code,
             std::chrono::nanoseconds took);
  void watch_began(std::string_view resource, int change);
  [[nodiscard]] std::string text() const;

 private:
  struct Latency {
    uint64_t buckets[12] = {};
    uint64_t count = 0;
    double sum_s = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t, std::less<>> requests_;  // labels → count; guarded by mutex_
  std::map<std::string, Latency, std::less<>> latencies_;  // guarded by mutex_
  std::map<std::string, int64_t, std::less<>> watches_;    // guarded by mutex_
};

}  // namespace orlop::rest
