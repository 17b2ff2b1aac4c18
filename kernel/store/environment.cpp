#include "kernel/store/environment.hpp"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace orlop::store {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Status system_failure(int error, const std::string& what) {
  return {Code::kUnavailable, what + ": " + std::strerror(error)};
}

Status lmdb_failure(int error, const std::string& what) {
  switch (error) {
    case MDB_READERS_FULL:
      return {Code::kUnavailable, what + ": all reader slots are in use"};
    case MDB_MAP_FULL:
      return {Code::kUnavailable, what + ": the map is used up"};
    case MDB_INVALID:
      return {Code::kInvalid, what + ": the file is not one of ours, or is damaged"};
    case MDB_VERSION_MISMATCH:
      return {Code::kInvalid, what + ": the file belongs to another version of LMDB"};
    default:
      break;
  }
  if (error > 0) return system_failure(error, what);
  return {Code::kInternal, what + ": " + mdb_strerror(error)};
}

ReadTransaction::~ReadTransaction() {
  if (txn_ != nullptr) environment_->end_read(txn_);
}

Environment::~Environment() {
  for (MDB_txn* txn : idle_) mdb_txn_abort(txn);
  if (env_ != nullptr) mdb_env_close(env_);
}

void Environment::enter_gate() {
  std::unique_lock lock(gate_mutex_);
  gate_changed_.wait(lock, [&] { return !gate_closed_; });
  ++inside_;
}

void Environment::leave_gate() {
  const std::lock_guard lock(gate_mutex_);
  --inside_;
  if (gate_closed_ && inside_ == 0) gate_changed_.notify_all();
}

template <typename Function>
int Environment::with_gate_closed(Function&& function) {
  std::unique_lock lock(gate_mutex_);
  gate_changed_.wait(lock, [&] { return !gate_closed_; });
  gate_closed_ = true;
  gate_changed_.wait(lock, [&] { return inside_ == 0; });
  const int result = function();
  gate_closed_ = false;
  gate_changed_.notify_all();
  return result;
}

int Environment::renew(MDB_txn*& txn) {
  {
    const std::lock_guard lock(pool_mutex_);
    if (!idle_.empty()) {
      txn = idle_.back();
      idle_.pop_back();
    }
  }
  if (txn == nullptr) return mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  const int error = mdb_txn_renew(txn);
  if (error != 0) {
    mdb_txn_abort(txn);
    txn = nullptr;
  }
  return error;
}

Result<ReadTransaction> Environment::begin_read() {
  int error = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    enter_gate();
    MDB_txn* txn = nullptr;
    error = renew(txn);
    if (error == 0) return ReadTransaction(*this, txn);
    leave_gate();
    if (error == MDB_MAP_RESIZED) {
      // The writing process has grown the map beyond ours.
      error = with_gate_closed([&] { return mdb_env_set_mapsize(env_, 0); });
      if (error != 0) break;
    } else if (error == MDB_READERS_FULL) {
      check_readers();
    } else {
      break;
    }
  }
  return lmdb_failure(error, "cannot read the store in " + folder_);
}

void Environment::end_read(MDB_txn* txn) {
  mdb_txn_reset(txn);
  {
    const std::lock_guard lock(pool_mutex_);
    idle_.push_back(txn);
  }
  leave_gate();
}

Status Environment::grow(uint64_t map_bytes_max) {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  const uint64_t wanted = info.me_mapsize * 2;
  if (wanted > map_bytes_max) {
    return {Code::kUnavailable, "the store in " + folder_ + " has reached its largest size, " +
                                    std::to_string(info.me_mapsize) + " bytes: raise map_bytes_max"};
  }
  const int error = with_gate_closed([&] { return mdb_env_set_mapsize(env_, wanted); });
  if (error != 0) return lmdb_failure(error, "cannot enlarge the map of the store in " + folder_);
  map_growths_.fetch_add(1, std::memory_order_relaxed);
  return Status::ok();
}

int Environment::check_readers() {
  int dead = 0;
  mdb_reader_check(env_, &dead);
  return dead;
}

void Environment::measure(MDB_txn* txn, Stats& stats) const {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  stats.map_bytes = info.me_mapsize;
  stats.map_growths = map_growths();
  stats.readers = 0;
  mdb_reader_list(
      env_,
      [](const char* line, void* count) {
        // One line for each slot, after a line of headings; "-" in the place of the transaction: not reading now.
        if (std::strstr(line, "pid") == nullptr && std::strstr(line, "no active") == nullptr) {
          ++*static_cast<uint64_t*>(count);
        }
        return 0;
      },
      &stats.readers);
  int fd = -1;
  struct stat file {};
  if (mdb_env_get_fd(env_, &fd) == 0 && ::fstat(fd, &file) == 0) stats.file_bytes = static_cast<uint64_t>(file.st_size);
  for (const MDB_dbi table :
       {tables_.main, tables_.latest, tables_.log, tables_.graves, tables_.index, tables_.index_old, tables_.counts}) {
    MDB_stat one{};
    if (mdb_stat(txn, table, &one) != 0) continue;
    stats.used_bytes += (one.ms_branch_pages + one.ms_leaf_pages + one.ms_overflow_pages) * one.ms_psize;
    if (table == tables_.latest) stats.records = one.ms_entries;
    if (table == tables_.log) stats.log_entries = one.ms_entries;
    if (table == tables_.index) stats.index_entries = one.ms_entries;
  }
}

}  // namespace orlop::store
