// LmdbStore: the queue, the one thread that commits, and what it tells whom. Private to this folder.
#pragma once

#include "kernel/store/batch.hpp"
#include "kernel/store/lmdb_reader.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace orlop::store {

class LmdbStore final : public LmdbReading<Store> {
 public:
  LmdbStore(std::unique_ptr<Environment> environment, LmdbOptions options);
  ~LmdbStore() override;

  // Checks that the log and the state fit together, then starts the committer.
  Status start();

  void commit(Transaction transaction, CommitCallback done) override;
  uint64_t on_commit(CommitListener listener) override;
  void remove_listener(uint64_t token) override;
  Result<Revision> compact(Revision revision) override;
  Result<Revision> snapshot(const std::string& path) override;
  Revision current_revision() override { return committed_.load(std::memory_order_acquire); }
  Revision compacted_revision() override { return compacted_.load(std::memory_order_acquire); }
  Stats stats() override;

 protected:
  void wait_until_visible() override;

 private:
  using Answers = std::vector<Result<CommitResult>>;

  struct Attempt {
    Status status;  // of the batch as a whole
    bool map_full = false;
    bool more_to_trim = false;
    Revision trimmed_to = 0;  // the explicit bound that was taken into account
    Answers answers;
    State state{};
    std::vector<std::string> kinds;  // touched; sorted
  };

  void run();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  void gather(std::unique_lock<std::mutex>& lock);
  std::vector<PreparedTransaction> take_batch();
  void process(std::vector<PreparedTransaction>& batch);
  Attempt attempt(std::vector<PreparedTransaction>& batch);
  Attempt fill_and_commit(std::vector<PreparedTransaction>& batch, MDB_txn* txn);
  void answer_relaxed(std::vector<PreparedTransaction>& batch, const Attempt& attempt);
  void publish(std::vector<PreparedTransaction>& batch, Attempt& done);
  void call_listeners(const Attempt& done);
  void record_commit(const std::vector<PreparedTransaction>& batch, const Answers& answers, uint64_t microseconds,
                     uint64_t changes);
  Status check_disk() const;
  Status commit_failure(int error, uint64_t bytes);
  [[nodiscard]] Batch::Bounds bounds() const;
  [[nodiscard]] bool on_committer() const { return std::this_thread::get_id() == thread_.get_id(); }

  const LmdbOptions options_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable work_;           // for the committer
  std::condition_variable progressed_;     // for those who wait for it
  std::deque<PreparedTransaction> queue_;  // guarded by mutex_
  bool stopping_ = false;                  // guarded by mutex_
  bool committer_waits_ = false;           // guarded by mutex_
  std::size_t wanted_ = 1;                 // queue length worth waking the committer for; guarded by mutex_
  Revision compact_to_ = 0;                // asked for and not done yet; guarded by mutex_
  Status broken_;                          // an fsync has failed; guarded by mutex_
  Status last_pass_;                       // how it ended; guarded by mutex_
  bool trim_pending_ = true;               // the log is over its bounds; guarded by mutex_

  std::atomic<Revision> committed_{0};
  std::atomic<Revision> compacted_{0};
  std::atomic<Revision> acknowledged_{0};  // ahead of committed_ while relaxed answers wait for their commit

  // The committer's own.
  std::size_t last_batch_ = 1;
  uint64_t average_commit_us_ = 0;
  bool calling_listeners_ = false;

  std::recursive_mutex listeners_mutex_;          // held while listeners run
  std::map<uint64_t, CommitListener> listeners_;  // guarded by listeners_mutex_
  std::vector<uint64_t> removed_listeners_;       // by a listener that runs; guarded by listeners_mutex_
  uint64_t next_listener_ = 1;                    // guarded by listeners_mutex_

  std::mutex stats_mutex_;
  Stats counters_;  // the part that is counted here; guarded by stats_mutex_
};

}  // namespace orlop::store
