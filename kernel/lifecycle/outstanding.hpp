// The completions that a plugin in this process waits for: each runs exactly once, and none after close().
//
// Threads: any.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "orlop/abi/types.h"
#include "orlop/result.hpp"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orlop::lifecycle {

class Outstanding : public std::enable_shared_from_this<Outstanding> {
 public:
  // An answer function for the kernel's parts that ends `done`. After close(), `done` ends at once with kCancelled.
  bus::AnswerFunction add(orlop_completion done, void* user) {
    uint64_t id = 0;
    {
      std::lock_guard lock(mutex_);
      if (!closed_) {
        id = next_++;
        waiting_.emplace(id, Entry{done, user});
      }
    }
    if (id == 0) cancel({done, user});
    return [self = shared_from_this(), id](Code code, std::string_view payload) { self->finish(id, code, payload); };
  }

  // Ends all that wait with kCancelled, and waits for those that are just being ended.
  void close() {
    std::unordered_map<uint64_t, Entry> rest;
    {
      std::unique_lock lock(mutex_);
      closed_ = true;
      rest.swap(waiting_);
      quiet_.wait(lock, [this] { return running_ == 0; });
    }
    for (auto& [id, entry] : rest) cancel(entry);
  }

 private:
  struct Entry {
    orlop_completion done;
    void* user;
  };

  static void cancel(const Entry& entry) {
    const std::string bytes = bus::encode_status({Code::kCancelled, "the plugin has been stopped"});
    entry.done(entry.user, ORLOP_CANCELLED, {bytes.data(), bytes.size()});
  }

  void finish(uint64_t id, Code code, std::string_view payload) {
    Entry entry{};
    {
      std::lock_guard lock(mutex_);
      auto found = waiting_.find(id);
      if (found == waiting_.end()) return;
      entry = found->second;
      waiting_.erase(found);
      ++running_;
    }
    entry.done(entry.user, static_cast<orlop_code>(code), {payload.data(), payload.size()});
    std::lock_guard lock(mutex_);
    if (--running_ == 0) quiet_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable quiet_;
  std::unordered_map<uint64_t, Entry> waiting_;  // guarded by mutex_, as is all below
  uint64_t next_ = 1;
  uint64_t running_ = 0;
  bool closed_ = false;
};

}  // namespace orlop::lifecycle
