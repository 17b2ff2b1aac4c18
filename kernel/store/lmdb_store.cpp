#include "kernel/store/lmdb_store.hpp"

#include "kernel/store/committer.hpp"

#include <chrono>

namespace orlop::store {
namespace {

int64_t system_time_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<std::unique_ptr<Store>> open_lmdb_store(LmdbOptions options) {
  if (!options.unix_time_ms) options.unix_time_ms = system_time_ms;
  ORLOP_ASSIGN(auto environment, Environment::open(options, Environment::Mode::kWrite));
  auto store = std::make_unique<LmdbStore>(std::move(environment), std::move(options));
  ORLOP_TRY(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

Result<std::unique_ptr<Reader>> open_lmdb_reader(LmdbOptions options) {
  ORLOP_ASSIGN(auto environment, Environment::open(options, Environment::Mode::kRead));
  return std::unique_ptr<Reader>(
      std::make_unique<LmdbReading<Reader>>(std::move(environment), std::move(options.sealing_keys)));
}

LmdbStore::LmdbStore(std::unique_ptr<Environment> environment, LmdbOptions options)
    : LmdbReading<Store>(std::move(environment), options.sealing_keys), options_([&] {
        options.sealing_keys.clear();  // the sealer has them, and wipes them
        return std::move(options);
      }()) {}

LmdbStore::~LmdbStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  progressed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status LmdbStore::start() {
  {
    ORLOP_ASSIGN(const ReadTransaction txn, environment_->begin_read());
    ReadView view(*environment_, sealer_, txn.get());
    ORLOP_TRY(view.load());
    const State& state = view.state();
    bool first = true;
    bool last = true;
    bool beyond = false;
    LogEntry entry;
    if (state.compacted != state.revision) {
      ORLOP_TRY(view.log_entry(state.compacted + 1, first, entry));
      ORLOP_TRY(view.log_entry(state.revision, last, entry));
    }
    ORLOP_TRY(view.log_entry(state.revision + 1, beyond, entry));
    if (state.compacted > state.revision || !first || !last || beyond) {
      return damaged(options_.folder, "its log and its revision do not fit together");
    }
    committed_ = state.revision;
    compacted_ = state.compacted;
  }
  const std::lock_guard lock(mutex_);  // the committer begins once thread_ is set
  thread_ = std::thread([this] { run(); });
  return Status::ok();
}

void LmdbStore::commit(Transaction transaction, CommitCallback done) {
  auto prepared = prepare(std::move(transaction), sealer_, options_.transaction_bytes_max);
  if (!prepared) {
    if (done) done(prepared.status());
    return;
  }
  prepared->done = done ? std::move(done) : [](const Result<CommitResult>&) {};
  std::unique_lock lock(mutex_);
  if (stopping_ || !broken_.is_ok()) {
    const Status refused = broken_.is_ok() ? Status(Code::kUnavailable, "the store is closing") : broken_;
    lock.unlock();
    prepared->done(refused);
    return;
  }
  queue_.push_back(std::move(*prepared));
  const bool wake = committer_waits_ && queue_.size() >= wanted_;
  lock.unlock();
  if (wake) work_.notify_one();
}

uint64_t LmdbStore::on_commit(CommitListener listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void LmdbStore::remove_listener(uint64_t token) {
  if (on_committer() && calling_listeners_) {
    // call_listeners holds the lock, and erases afterwards: the listener may be the one that runs.
    removed_listeners_.push_back(token);
    return;
  }
  const std::lock_guard lock(listeners_mutex_);
  listeners_.erase(token);
}

Result<Revision> LmdbStore::compact(Revision revision) {
  wait_until_visible();
  if (revision > current_revision()) {
    return Status(Code::kBadRequest, "cannot compact to revision " + std::to_string(revision) + ": the latest is " +
                                         std::to_string(current_revision()));
  }
  std::unique_lock lock(mutex_);
  if (stopping_) return Status(Code::kUnavailable, "the store is closing");
  if (!broken_.is_ok()) return broken_;
  if (revision <= compacted_) return compacted_.load();
  compact_to_ = std::max(compact_to_, revision);
  work_.notify_one();
  progressed_.wait(lock, [&] { return stopping_ || compact_to_ == 0; });
  if (!last_pass_.is_ok()) return last_pass_;
  return compacted_.load();
}

void LmdbStore::wait_until_visible() {
  const Revision wanted = acknowledged_.load(std::memory_order_acquire);
  if (wanted == 0 || on_committer()) return;
  std::unique_lock lock(mutex_);
  progressed_.wait(lock, [&] { return acknowledged_.load() < wanted || committed_.load() >= wanted; });
}

Stats LmdbStore::stats() {
  Stats stats = LmdbReading<Store>::stats();
  const std::lock_guard lock(stats_mutex_);
  stats.commits = counters_.commits;
  stats.transactions = counters_.transactions;
  stats.transactions_failed = counters_.transactions_failed;
  stats.changes = counters_.changes;
  stats.batch_transactions_max = counters_.batch_transactions_max;
  stats.commit_us_total = counters_.commit_us_total;
  stats.commit_us_max = counters_.commit_us_max;
  stats.commit_us_last = counters_.commit_us_last;
  stats.batch_histogram = counters_.batch_histogram;
  return stats;
}

}  // namespace orlop::store
