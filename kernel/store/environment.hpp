// The LMDB environment: opening with all its checks, read transactions from a pool, growth of the map. Private to this
// folder.
#pragma once

#include "kernel/store/format.hpp"
#include "kernel/store/lmdb_store.hpp"
#include "orlop/result.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <lmdb.h>

namespace orlop::store {

struct Tables {
  MDB_dbi main = 0;
  MDB_dbi latest = 0;
  MDB_dbi log = 0;
  MDB_dbi graves = 0;
  MDB_dbi index = 0;
  MDB_dbi index_old = 0;
  MDB_dbi counts = 0;
};

// A file descriptor that is closed when it goes.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// "what: reason", with the code that fits LMDB's or the system's error number.
Status lmdb_failure(int error, const std::string& what);
// "what: reason" for errno.
Status system_failure(int error, const std::string& what);

class Environment;

// A read transaction on loan from the environment's pool; gives it back when it goes.
class ReadTransaction {
 public:
  ReadTransaction(Environment& environment, MDB_txn* txn) : environment_(&environment), txn_(txn) {}
  ReadTransaction(ReadTransaction&& other) noexcept
      : environment_(other.environment_), txn_(std::exchange(other.txn_, nullptr)) {}
  ReadTransaction& operator=(ReadTransaction&&) = delete;
  ~ReadTransaction();
  [[nodiscard]] MDB_txn* get() const { return txn_; }

 private:
  Environment* environment_;
  MDB_txn* txn_;
};

class Environment {
 public:
  enum class Mode { kWrite, kRead };

  static Result<std::unique_ptr<Environment>> open(const LmdbOptions& options, Mode mode);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  [[nodiscard]] MDB_env* env() const { return env_; }
  [[nodiscard]] const Tables& tables() const { return tables_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

  // kUnavailable: all reader slots are taken.
  Result<ReadTransaction> begin_read();

  // Doubles the map, once every read transaction of this process has ended; new ones wait meanwhile. No write
  // transaction may be open. kUnavailable: the map is as large as it may be, or the address space is used up.
  Status grow(uint64_t map_bytes_max);

  // Frees the slots of processes that died; returns how many.
  int check_readers();

  [[nodiscard]] uint64_t map_growths() const { return map_growths_.load(std::memory_order_relaxed); }
  // Fills the sizes.
  void measure(MDB_txn* txn, Stats& stats) const;

 private:
  friend class ReadTransaction;
  explicit Environment(std::string folder) : folder_(std::move(folder)) {}

  Status lock_for_writing();
  Status prepare_files(const LmdbOptions& options, Mode mode);
  Status open_environment(const LmdbOptions& options, Mode mode);
  Status check_length() const;
  Status open_tables(Mode mode);
  Status create_tables(MDB_txn* txn);
  Status check_state(MDB_txn* txn) const;
  void end_read(MDB_txn* txn);
  // The map may be exchanged only while no read transaction is open: readers enter, an exchange closes the gate.
  void enter_gate();
  void leave_gate();
  template <typename Function>
  int with_gate_closed(Function&& function);
  int renew(MDB_txn*& txn);

  std::string folder_;
  FileDescriptor writer_lock_;
  MDB_env* env_ = nullptr;
  Tables tables_;
  std::atomic<uint64_t> map_growths_{0};

  std::mutex pool_mutex_;
  std::vector<MDB_txn*> idle_;  // reset; guarded by pool_mutex_

  std::mutex gate_mutex_;
  std::condition_variable gate_changed_;
  uint64_t inside_ = 0;       // guarded by gate_mutex_
  bool gate_closed_ = false;  // guarded by gate_mutex_
};

}  // namespace orlop::store
