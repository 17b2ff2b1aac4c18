// Opening an environment: every check that stands between a folder and a store that can be trusted.
#include "kernel/store/environment.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::store {
namespace {

struct TableName {
  const char* name;
  MDB_dbi Tables::*table;
  unsigned flags;
};
constexpr TableName kTables[] = {
    {"latest", &Tables::latest, 0}, {"log", &Tables::log, MDB_INTEGERKEY}, {"graves", &Tables::graves, 0},
    {"index", &Tables::index, 0},   {"index_old", &Tables::index_old, 0},  {"counts", &Tables::counts, 0},
};

std::string read_small(int fd) {
  char text[64] = {};
  const ssize_t size = ::pread(fd, text, sizeof(text) - 1, 0);
  if (size <= 0) return "unknown";
  std::string line(text, static_cast<std::size_t>(size));
  return line.substr(0, line.find('\n'));
}

// A transaction that is aborted unless it was committed.
class OpeningTransaction {
 public:
  OpeningTransaction() = default;
  ~OpeningTransaction() {
    if (txn != nullptr) mdb_txn_abort(txn);
  }
  OpeningTransaction(const OpeningTransaction&) = delete;
  OpeningTransaction& operator=(const OpeningTransaction&) = delete;
  int commit() { return mdb_txn_commit(std::exchange(txn, nullptr)); }

  MDB_txn* txn = nullptr;
};

}  // namespace

Result<std::unique_ptr<Environment>> Environment::open(const LmdbOptions& options, Mode mode) {
  if (options.folder.empty()) return Status(Code::kInvalid, "the store needs a folder");
  std::unique_ptr<Environment> environment(new Environment(options.folder));
  ORLOP_TRY(environment->prepare_files(options, mode));
  ORLOP_TRY(environment->open_environment(options, mode));
  ORLOP_TRY(environment->check_length());
  ORLOP_TRY(environment->open_tables(mode));
  environment->check_readers();
  return environment;
}

Status Environment::lock_for_writing() {
  const std::string path = folder_ + "/writer.lock";
  writer_lock_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!writer_lock_.is_open()) return system_failure(errno, "cannot open " + path);
  if (::flock(writer_lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_failure(errno, "cannot lock " + path);
    return {Code::kConflict, "the store in " + folder_ + " is open for writing in process " +
                                 read_small(writer_lock_.get()) + ": end that one first"};
  }
  // The pid only serves the message above: not being able to write it (a full disk) is no reason to refuse.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(writer_lock_.get(), 0) != 0 || ::pwrite(writer_lock_.get(), pid.data(), pid.size(), 0) < 0) errno = 0;
  return Status::ok();
}

Status Environment::prepare_files(const LmdbOptions& options, Mode mode) {
  const std::string data = folder_ + "/data.mdb";
  struct stat file {};
  if (mode == Mode::kRead) {
    if (::stat(data.c_str(), &file) != 0 || file.st_size == 0) {
      return {Code::kNotFound, "there is no store in " + folder_};
    }
    return Status::ok();
  }
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_failure(errno, "cannot make the store's folder " + folder_);
  }
  ORLOP_TRY(lock_for_writing());
  // LMDB maps its lock file sparse; touching a hole of it on a full disk would be a SIGBUS. So its blocks are set aside
  // before. Twice a slot's size for each reader is more than LMDB asks for.
  const std::string lock = folder_ + "/lock.mdb";
  const FileDescriptor fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open()) return system_failure(errno, "cannot open " + lock);
  if (::fstat(fd.get(), &file) == 0 && file.st_size == 0) {
    const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(options.readers_max) * 128 + 4096);
    if (error != 0) return system_failure(error, "cannot set aside space for " + lock);
  }
  return Status::ok();
}

Status Environment::open_environment(const LmdbOptions& options, Mode mode) {
  const std::string what = "cannot open the store in " + folder_;
  if (const int error = mdb_env_create(&env_); error != 0) return lmdb_failure(error, what);
  struct stat file {};
  uint64_t map_bytes = options.map_bytes;
  if (::stat((folder_ + "/data.mdb").c_str(), &file) == 0) {
    while (map_bytes < static_cast<uint64_t>(file.st_size) * 5 / 4) map_bytes *= 2;
  }
  mdb_env_set_maxdbs(env_, 8);
  mdb_env_set_maxreaders(env_, options.readers_max);
  mdb_env_set_mapsize(env_, map_bytes);
  const unsigned flags = MDB_NOTLS | (mode == Mode::kRead ? MDB_RDONLY : 0u);
  if (const int error = mdb_env_open(env_, folder_.c_str(), flags, 0600); error != 0) return lmdb_failure(error, what);
  // LMDB leaves the data file open across exec; nobody else needs it.
  int fd = -1;
  if (mdb_env_get_fd(env_, &fd) == 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Status::ok();
}

Status Environment::check_length() const {
  MDB_envinfo info{};
  MDB_stat pages{};
  int fd = -1;
  struct stat file {};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &pages);
  if (mdb_env_get_fd(env_, &fd) != 0 || ::fstat(fd, &file) != 0) {
    return system_failure(errno, "cannot look at the data file in " + folder_);
  }
  const uint64_t needed = (info.me_last_pgno + 1) * pages.ms_psize;
  if (static_cast<uint64_t>(file.st_size) < needed) {
    return {Code::kInvalid, "the store in " + folder_ + " is damaged: its file has " + std::to_string(file.st_size) +
                                " bytes and should have " + std::to_string(needed) + "; restore a snapshot"};
  }
  return Status::ok();
}

Status Environment::create_tables(MDB_txn* txn) {
  for (const TableName& table : kTables) {
    const int error = mdb_dbi_open(txn, table.name, table.flags | MDB_CREATE, &(tables_.*table.table));
    if (error != 0) return lmdb_failure(error, "cannot make the store in " + folder_);
  }
  State state{};
  std::memcpy(state.magic, kFormatMagic, sizeof(kFormatMagic));
  state.format_version = kFormatVersion;
  MDB_val key = to_val(kStateKey);
  MDB_val value{sizeof(state), &state};
  const int error = mdb_put(txn, tables_.main, &key, &value, 0);
  return error == 0 ? Status::ok() : lmdb_failure(error, "cannot make the store in " + folder_);
}

Status Environment::check_state(MDB_txn* txn) const {
  MDB_val key = to_val(kStateKey);
  MDB_val value{};
  State state{};
  if (mdb_get(txn, tables_.main, &key, &value) != 0 || !decode_state(to_view(value), state)) {
    return {Code::kInvalid, "the file data.mdb in " + folder_ + " was not made by this store"};
  }
  if (state.format_version > kFormatVersion) {
    return {Code::kInvalid, "the store in " + folder_ + " has format " + std::to_string(state.format_version) +
                                "; this program knows up to " + std::to_string(kFormatVersion) + ": use a newer one"};
  }
  return Status::ok();
}

Status Environment::open_tables(Mode mode) {
  const std::string what = "cannot open the store in " + folder_;
  OpeningTransaction opening;
  int error = mdb_txn_begin(env_, nullptr, mode == Mode::kRead ? MDB_RDONLY : 0u, &opening.txn);
  if (error == MDB_MAP_RESIZED) {
    mdb_env_set_mapsize(env_, 0);
    error = mdb_txn_begin(env_, nullptr, mode == Mode::kRead ? MDB_RDONLY : 0u, &opening.txn);
  }
  if (error == 0) error = mdb_dbi_open(opening.txn, nullptr, 0, &tables_.main);
  MDB_stat main{};
  if (error == 0) error = mdb_stat(opening.txn, tables_.main, &main);
  if (error != 0) return lmdb_failure(error, what);
  if (main.ms_entries == 0) {
    if (mode == Mode::kRead) return {Code::kNotFound, "there is no store in " + folder_};
    ORLOP_TRY(create_tables(opening.txn));
  } else {
    ORLOP_TRY(check_state(opening.txn));
    for (const TableName& table : kTables) {
      error = mdb_dbi_open(opening.txn, table.name, table.flags, &(tables_.*table.table));
      if (error != 0) return {Code::kInvalid, "the store in " + folder_ + " is damaged: it has no table " + table.name};
    }
  }
  // Handles opened in a transaction stay open once it is committed, in a read transaction too.
  error = opening.commit();
  return error == 0 ? Status::ok() : lmdb_failure(error, what);
}

}  // namespace orlop::store
