// Answers what the node and its pods use now.
//
// While somebody asks (and for a minute after) readings are taken every 10 s, so that a rate is always at hand;
// otherwise nothing is done at all. Callers share a reading for a second, the walk over the disk for half a minute.
//
// Threads: read() from any thread, one at a time in effect; one of its own between start() and stop().
#pragma once

#include "orlop/host.hpp"
#include "orlop/v1/node.pb.h"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/stats/disk_usage.hpp"
#include "plugins/node-agent/stats/reading.hpp"
#include "plugins/node-agent/stats/usage_source.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orlop::agent {

class NodeStats {
 public:
  NodeStats(Host host, const AgentConfig& config, const RuntimeClient& runtime, std::unique_ptr<UsageSource> source);
  ~NodeStats() { stop(); }
  void start();
  void stop();

  // Blocks while a reading is taken. kUnavailable, kTimeout: there is none and the runtime does not answer.
  Result<v1::StatsResponse> read(const v1::StatsRequest& request);

 private:
  void loop();
  Status take();     // under taking_
  void take_disk();  // under taking_
  void fill_disk(v1::StatsResponse& response) const;

  Host host_;
  const AgentConfig& config_;
  const RuntimeClient& runtime_;

  std::mutex taking_;
  std::unique_ptr<UsageSource> source_;  // guarded by taking_, as are the next four
  ReadingHistory history_;
  std::map<std::string, PodDisk> disk_;
  int64_t disk_at_ns_ = 0;
  bool disk_known_ = false;

  std::mutex mutex_;
  std::condition_variable woken_;
  bool running_ = false;     // guarded by mutex_
  int64_t asked_at_ns_ = 0;  // guarded by mutex_; 0: never
  std::thread thread_;
};

}  // namespace orlop::agent
