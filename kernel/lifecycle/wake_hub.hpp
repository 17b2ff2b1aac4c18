// From a commit to the wake-up of everybody who asked: one thread, which also rings the doorbell.
//
// The store's listener does nothing but mark who is concerned; the thread then wakes each, once, however many commits
// there were meanwhile. Nothing is lost: a mark that is set while its wake is under way gives another wake.
//
// Threads: every method from any thread. A wake function runs on the hub's thread and must do nothing but wake.
#pragma once

#include "kernel/bus/doorbell.hpp"
#include "kernel/store/store.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace orlop::lifecycle {

class WakeHub {
 public:
  using Token = uint64_t;

  // `doorbell` may be null. Both are used until stop().
  WakeHub(store::Store& store, bus::Doorbell* doorbell);
  ~WakeHub();  // stop()
  WakeHub(const WakeHub&) = delete;
  WakeHub& operator=(const WakeHub&) = delete;

  // Somebody who may be woken, once enabled.
  Token add(std::function<void()> wake);
  // Which kinds concern them; empty: all. Replaces what was said before; nothing concerns one who never subscribed.
  void subscribe(Token token, std::vector<std::string> kinds);
  // Wake-ups begin; one that has become due meanwhile comes at once.
  void enable(Token token);
  // After it no wake function of theirs runs.
  void remove(Token token);

  void stop();

 private:
  struct Sleeper {
    std::function<void()> wake;
    bool subscribed = false;
    std::vector<std::string> kinds;
    bool enabled = false;
    bool due = false;
  };
  void committed(uint64_t revision, std::span<const std::string> kinds);
  void run();

  store::Store& store_;
  bus::Doorbell* doorbell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::map<Token, Sleeper> sleepers_;  // guarded by mutex_, as is all below
  std::set<std::string> touched_;      // not yet rung
  uint64_t revision_ = 0;
  Token current_ = 0;  // whose wake is under way
  Token next_ = 1;
  bool work_ = false;
  bool stopping_ = false;
  uint64_t listener_ = 0;
  std::thread thread_;
};

}  // namespace orlop::lifecycle
