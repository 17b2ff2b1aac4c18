// What stands behind Gate; for this folder alone.
#pragma once

#include "kernel/gate/gate.hpp"
#include "kernel/gate/kinds.hpp"
#include "kernel/gate/worker.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace orlop::gate {

class Transaction;

// Shared by the gate and the transactions under way.
class GateState {
 public:
  GateState(store::Store& store, KindProviders& providers, Options options)
      : store_(store), providers_(providers), options_(std::move(options)) {}

  // Counts a transaction in; false: the gate is stopping.
  bool enter() {
    in_flight_.fetch_add(1);
    if (!stopping_.load()) return true;
    leave();
    return false;
  }

  void leave() {
    if (in_flight_.fetch_sub(1) != 1 || !stopping_.load()) return;
    const std::lock_guard lock(mutex_);
    idle_.notify_all();
  }

  void stop() {
    stopping_.store(true);
    {
      std::unique_lock lock(mutex_);
      idle_.wait(lock, [this] { return in_flight_.load() == 0; });
    }
    worker_.stop();
  }

  store::Store& store_;
  KindProviders& providers_;
  const Options options_;
  Kinds kinds_;
  // Where an attempt begins that must not run on the store's committer.
  Worker worker_;

  // Turns: transactions without a revision that lost a race for an object write it one after the other, newcomers
  // behind them, so that each needs few attempts however many there are. A transaction holds one turn at most and never
  // waits while it holds one.
  //
  // True: the turn is the transaction's. False: it is queued, and handed to the worker when its turn comes.
  // With `only_if_taken`: true, and no turn, when nobody has one for the object.
  bool take_turn(const store::Key& key, const std::shared_ptr<Transaction>& transaction, bool only_if_taken);
  void give_turn(const store::Key& key);

  std::atomic<uint64_t> reads_{0};
  std::atomic<uint64_t> commits_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> call_outs_{0};
  std::atomic<uint64_t> retries_{0};
  std::atomic<uint64_t> conflicts_{0};

 private:
  std::mutex turns_mutex_;  // guards turns_
  std::map<store::Key, std::deque<std::shared_ptr<Transaction>>> turns_;
  std::atomic<std::size_t> turns_size_{0};
  std::atomic<uint64_t> in_flight_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable idle_;
};

}  // namespace orlop::gate
