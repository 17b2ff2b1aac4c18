#include "kernel/store/committer.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>

#include <sys/statvfs.h>

namespace orlop::store {
namespace {

using Clock = std::chrono::steady_clock;

// Log entries dropped within one commit, so that compaction never holds up writers for long.
constexpr uint64_t kTrimmedAtOnce = 2000;
// A commit that runs into a short write of a full disk tells "I/O error"; below this many free bytes it is taken for
// what it is.
constexpr uint64_t kFullDiskBytes = 1u << 20;
// How long the committer waits, at most, for writers that were just answered to come back.
constexpr auto kGatherMax = std::chrono::microseconds(300);

uint64_t microseconds_since(Clock::time_point begin) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

// False: cannot be told.
bool free_bytes(const std::string& folder, uint64_t& out) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return false;
  out = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  return true;
}

Status disk_full(const std::string& folder, uint64_t free) {
  return {Code::kUnavailable, "the disk with the store's folder " + folder + " is full (" + std::to_string(free) +
                                  " bytes free): make room there; writing then goes on by itself"};
}

}  // namespace

Status LmdbStore::check_disk() const {
  uint64_t free = 0;
  if (options_.disk_reserve_bytes == 0 || !free_bytes(options_.folder, free)) return Status::ok();
  return free >= options_.disk_reserve_bytes ? Status::ok() : disk_full(options_.folder, free);
}

// What an error of mdb_txn_commit means, and whether it may ever be tried again.
Status LmdbStore::commit_failure(int error, uint64_t bytes) {
  uint64_t free = 0;
  const bool known = free_bytes(options_.folder, free);
  if (error == ENOSPC || error == EDQUOT || (error == EIO && known && free < std::max(bytes * 2, kFullDiskBytes))) {
    return disk_full(options_.folder, free);
  }
  const bool damage = error == MDB_PANIC || error == MDB_CORRUPTED || error == MDB_PAGE_NOTFOUND;
  if ((error < 0 && !damage) || error == ENOMEM) {
    return lmdb_failure(error, "cannot write to the store in " + options_.folder);
  }
  // After a failed fsync the kernel may hold pages for clean that never reached the disk: no later success could be
  // believed.
  Status status{Code::kUnavailable, "writing the store in " + options_.folder + " to disk failed (" +
                                        std::string(mdb_strerror(error)) +
                                        "): it takes no more writes until it is opened again; check the disk"};
  const std::lock_guard lock(mutex_);
  broken_ = status;
  return status;
}

Batch::Bounds LmdbStore::bounds() const {
  Batch::Bounds bounds;
  bounds.committed_before_ms =
      options_.log_age_ms_max == 0 ? INT64_MIN : options_.unix_time_ms() - options_.log_age_ms_max;
  bounds.log_bytes_max = options_.log_bytes_max;
  return bounds;
}

void LmdbStore::run() {
  auto checked = Clock::now();
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    gather(lock);
    std::vector<PreparedTransaction> batch = take_batch();
    lock.unlock();
    if (options_.housekeeping_ms > 0 && Clock::now() - checked >= std::chrono::milliseconds(options_.housekeeping_ms)) {
      environment_->check_readers();
      checked = Clock::now();
    }
    process(batch);
    lock.lock();
  }
}

// False: stopping, and nothing is left to do.
bool LmdbStore::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const auto ready = [&] { return stopping_ || !queue_.empty() || compact_to_ != 0 || trim_pending_; };
  committer_waits_ = true;
  wanted_ = 1;
  if (options_.housekeeping_ms > 0) {
    // A pass without transactions looks at the log's age.
    work_.wait_for(lock, std::chrono::milliseconds(options_.housekeeping_ms), ready);
  } else {
    work_.wait(lock, ready);
  }
  committer_waits_ = false;
  return !stopping_ || !queue_.empty();
}

// Writers that wait for their answer before they write again come back a moment after the last batch was answered.
// Waiting for as many as the last batch had, for a fraction of what a commit takes, keeps groups large where they were
// large; a single writer never waits.
void LmdbStore::gather(std::unique_lock<std::mutex>& lock) {
  if (queue_.empty() || queue_.size() >= last_batch_ || stopping_) return;
  const auto limit = std::min<std::chrono::microseconds>(kGatherMax, std::chrono::microseconds(average_commit_us_ / 4));
  wanted_ = last_batch_;
  committer_waits_ = true;
  work_.wait_for(lock, limit, [&] { return stopping_ || queue_.size() >= wanted_; });
  committer_waits_ = false;
}

std::vector<PreparedTransaction> LmdbStore::take_batch() {
  std::vector<PreparedTransaction> batch;
  uint64_t bytes = 0;
  while (!queue_.empty() && batch.size() < options_.batch_transactions_max) {
    if (!batch.empty() && bytes + queue_.front().bytes > options_.batch_bytes_max) break;
    bytes += queue_.front().bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void LmdbStore::process(std::vector<PreparedTransaction>& batch) {
  Attempt done;
  do {
    done = attempt(batch);
    if (done.map_full) {
      const Status grown = environment_->grow(options_.map_bytes_max);
      if (!grown) {
        done.status = grown;
        done.map_full = false;
      }
    }
  } while (done.map_full);
  if (!batch.empty()) last_batch_ = batch.size();
  publish(batch, done);
}

LmdbStore::Attempt LmdbStore::attempt(std::vector<PreparedTransaction>& batch) {
  Attempt failed;
  {
    const std::lock_guard lock(mutex_);
    failed.status = broken_;
  }
  if (!batch.empty() && failed.status.is_ok()) failed.status = check_disk();
  if (!failed.status.is_ok()) return failed;
  MDB_txn* txn = nullptr;
  if (const int error = mdb_txn_begin(environment_->env(), nullptr, 0, &txn); error != 0) {
    failed.status = lmdb_failure(error, "cannot write to the store in " + options_.folder);
    return failed;
  }
  return fill_and_commit(batch, txn);
}

// Ends `txn`.
LmdbStore::Attempt LmdbStore::fill_and_commit(std::vector<PreparedTransaction>& batch, MDB_txn* txn) {
  Attempt done;
  Batch changes(*environment_, sealer_, txn, options_.unix_time_ms());
  done.status = changes.load();
  uint64_t bytes = 0;
  for (const PreparedTransaction& transaction : batch) {
    if (!done.status.is_ok() || changes.error() != 0) break;
    done.answers.push_back(changes.apply(transaction));
    bytes += transaction.bytes;
  }
  if (done.status.is_ok() && changes.error() == 0) {
    Batch::Bounds limits = bounds();
    limits.entries_max = std::max(kTrimmedAtOnce, 2 * (changes.state().revision - committed_.load()));
    {
      const std::lock_guard lock(mutex_);
      limits.revision = done.trimmed_to = compact_to_;
    }
    auto trimmed = changes.trim(limits);
    if (trimmed) {
      done.more_to_trim = *trimmed;
    } else {
      done.status = trimmed.status();
    }
  }
  int error = changes.error();
  const uint64_t revisions = changes.state().revision - committed_.load();
  const bool commits = error == 0 && done.status.is_ok() && changes.changed();
  if (commits) error = changes.finish();
  done.state = changes.state();
  done.kinds.assign(changes.kinds().begin(), changes.kinds().end());
  if (!commits || error != 0) {
    mdb_txn_abort(txn);
  } else {
    answer_relaxed(batch, done);
    const auto begin = Clock::now();
    error = mdb_txn_commit(txn);
    if (error == 0) record_commit(batch, done.answers, microseconds_since(begin), revisions);
  }
  done.map_full = error == MDB_MAP_FULL;
  if (error != 0 && !done.map_full) done.status = commit_failure(error, bytes);
  return done;
}

// Ahead of the fsync, but in an order that nothing can change any more.
void LmdbStore::answer_relaxed(std::vector<PreparedTransaction>& batch, const Attempt& attempt) {
  if (!options_.relaxed_durability_allowed) return;
  const auto waits = [](const PreparedTransaction& t) { return t.durability == Durability::kRelaxed && !t.answered; };
  if (std::none_of(batch.begin(), batch.end(), waits)) return;
  acknowledged_.store(attempt.state.revision, std::memory_order_release);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!waits(batch[i])) continue;
    batch[i].answered = true;
    batch[i].done(attempt.answers[i]);
  }
}

void LmdbStore::publish(std::vector<PreparedTransaction>& batch, Attempt& done) {
  const bool good = done.status.is_ok();
  const bool changed = good && done.state.revision != committed_.load();
  {
    const std::lock_guard lock(mutex_);
    if (good) {
      committed_.store(done.state.revision, std::memory_order_release);
      compacted_.store(done.state.compacted, std::memory_order_release);
    }
    // Whatever became of the batch, nobody has to wait for it any more.
    acknowledged_.store(0, std::memory_order_release);
    trim_pending_ = good && done.more_to_trim;
    last_pass_ = done.status;
    if (!good || (!done.more_to_trim && compact_to_ == done.trimmed_to)) compact_to_ = 0;
  }
  progressed_.notify_all();
  if (changed) call_listeners(done);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].answered) continue;
    if (good) {
      batch[i].done(std::move(done.answers[i]));
    } else {
      batch[i].done(done.status);
    }
  }
}

void LmdbStore::call_listeners(const Attempt& done) {
  if (done.kinds.empty()) return;
  const std::lock_guard lock(listeners_mutex_);
  calling_listeners_ = true;
  for (const auto& [token, listener] : listeners_) {
    const bool removed =
        std::find(removed_listeners_.begin(), removed_listeners_.end(), token) != removed_listeners_.end();
    if (!removed) listener(done.state.revision, done.kinds);
  }
  for (const uint64_t token : removed_listeners_) listeners_.erase(token);
  removed_listeners_.clear();
  calling_listeners_ = false;
}

void LmdbStore::record_commit(const std::vector<PreparedTransaction>& batch, const Answers& answers,
                              uint64_t microseconds, uint64_t changes) {
  average_commit_us_ = average_commit_us_ == 0 ? microseconds : (average_commit_us_ * 7 + microseconds) / 8;
  const auto failed = static_cast<uint64_t>(
      std::count_if(answers.begin(), answers.end(), [](const auto& answer) { return !answer.is_ok(); }));
  const std::lock_guard lock(stats_mutex_);
  ++counters_.commits;
  counters_.transactions += batch.size() - failed;
  counters_.transactions_failed += failed;
  counters_.changes += changes;
  counters_.batch_transactions_max = std::max<uint64_t>(counters_.batch_transactions_max, batch.size());
  counters_.commit_us_total += microseconds;
  counters_.commit_us_max = std::max(counters_.commit_us_max, microseconds);
  counters_.commit_us_last = microseconds;
  const auto bucket = static_cast<std::size_t>(std::bit_width(std::max<std::size_t>(batch.size(), 1)) - 1);
  ++counters_.batch_histogram[std::min(bucket, counters_.batch_histogram.size() - 1)];
}

}  // namespace orlop::store
