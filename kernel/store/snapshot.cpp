// Snapshots: an LMDB file without its free pages, followed by a trailer with what is needed to trust it.
#include "kernel/store/committer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::store {
namespace {

constexpr char kTrailerMagic[8] = {'o', 'r', 'l', 'o', 'p', 's', 'n', 'p'};
constexpr std::size_t kDigestBytes = 32;

struct Trailer {
  uint64_t data_bytes;
  uint64_t revision;
  uint32_t format_version;
  uint32_t reserved;
  unsigned char sha256[kDigestBytes];  // of the data and of the fields above
  char magic[8];
};
static_assert(sizeof(Trailer) == 64);
constexpr std::size_t kTrailerHashed = offsetof(Trailer, sha256);

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    good_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void add(const void* data, std::size_t size) { good_ = good_ && EVP_DigestUpdate(context_.get(), data, size) == 1; }
  bool finish(unsigned char* out) { return good_ && EVP_DigestFinal_ex(context_.get(), out, nullptr) == 1; }

 private:
  struct Deleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Deleter> context_;
  bool good_ = false;
};

std::string hexadecimal(const unsigned char* bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < kDigestBytes; ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
  }
  return text;
}

// 0, or errno.
int write_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size != 0) {
    const ssize_t written = ::write(fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return 0;
}

int sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.is_open() && ::fsync(fd.get()) == 0 ? 0 : errno;
}

// Removes a file that is not complete, unless it was kept.
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)) {}
  ~PartialFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  Status keep_as(const std::string& path) {
    if (::rename(path_.c_str(), path.c_str()) != 0) return system_failure(errno, "cannot make " + path);
    kept_ = true;
    if (const int error = sync_folder_of(path); error != 0) return system_failure(error, "cannot make " + path);
    return Status::ok();
  }

 private:
  std::string path_;
  bool kept_ = false;
};

// The state within a data file that nobody else has open.
Result<State> state_of(const std::string& path) {
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi main = 0;
  State state{};
  MDB_val key = to_val(kStateKey);
  MDB_val value{};
  int error = mdb_env_create(&env);
  if (error == 0) error = mdb_env_open(env, path.c_str(), MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0600);
  if (error == 0) error = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
  if (error == 0) error = mdb_dbi_open(txn, nullptr, 0, &main);
  if (error == 0) error = mdb_get(txn, main, &key, &value);
  const bool good = error == 0 && decode_state(to_view(value), state);
  if (txn != nullptr) mdb_txn_abort(txn);
  mdb_env_close(env);
  if (!good) return Status(Code::kInvalid, path + " holds no store");
  return state;
}

// Calls f(data, size) for the first `size` bytes of the file; stops at the first error, which it returns.
template <typename Function>
int for_each_block(int fd, uint64_t size, Function&& f) {
  std::vector<char> block(1u << 20);
  for (uint64_t at = 0; at < size;) {
    const ssize_t got = ::pread(fd, block.data(), std::min<uint64_t>(block.size(), size - at), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    if (const int error = f(block.data(), static_cast<std::size_t>(got)); error != 0) return error;
    at += static_cast<uint64_t>(got);
  }
  return 0;
}

struct OpenSnapshot {
  FileDescriptor fd;
  Trailer trailer{};
};

Result<OpenSnapshot> open_snapshot(const std::string& path) {
  OpenSnapshot out;
  out.fd = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!out.fd.is_open()) {
    if (errno == ENOENT) return Status(Code::kNotFound, "there is no snapshot " + path);
    return system_failure(errno, "cannot read " + path);
  }
  struct stat file {};
  if (::fstat(out.fd.get(), &file) != 0) return system_failure(errno, "cannot read " + path);
  const auto bytes = static_cast<uint64_t>(file.st_size);
  const bool read = bytes > sizeof(Trailer) &&
                    ::pread(out.fd.get(), &out.trailer, sizeof(Trailer), static_cast<off_t>(bytes - sizeof(Trailer))) ==
                        static_cast<ssize_t>(sizeof(Trailer)) &&
                    std::memcmp(out.trailer.magic, kTrailerMagic, sizeof(kTrailerMagic)) == 0 &&
                    out.trailer.data_bytes == bytes - sizeof(Trailer);
  if (!read) return Status(Code::kInvalid, path + " is no snapshot of a store, or is cut off");
  if (out.trailer.format_version > kFormatVersion) {
    return Status(Code::kInvalid, path + " has format " + std::to_string(out.trailer.format_version) +
                                      "; this program knows up to " + std::to_string(kFormatVersion));
  }
  return out;
}

// Reads it to its end, writing it to `copy_to` as well unless that is negative, and compares the checksum.
Result<SnapshotInfo> check_snapshot(const std::string& path, const OpenSnapshot& snapshot, int copy_to) {
  Sha256 sha;
  int write_error = 0;
  const int error =
      for_each_block(snapshot.fd.get(), snapshot.trailer.data_bytes, [&](const char* data, std::size_t size) {
        sha.add(data, size);
        if (copy_to >= 0) write_error = write_all(copy_to, data, size);
        return write_error;
      });
  if (write_error != 0) return system_failure(write_error, "cannot write a copy of " + path);
  if (error != 0) return system_failure(error, "cannot read " + path);
  sha.add(&snapshot.trailer, kTrailerHashed);
  std::array<unsigned char, kDigestBytes> digest{};
  if (!sha.finish(digest.data())) return Status(Code::kInternal, "OpenSSL could not compute a checksum");
  if (std::memcmp(digest.data(), snapshot.trailer.sha256, kDigestBytes) != 0) {
    return Status(Code::kInvalid, path + " is damaged: its checksum does not fit");
  }
  return SnapshotInfo{snapshot.trailer.revision, snapshot.trailer.data_bytes, hexadecimal(digest.data())};
}

// Behind the data that `fd` holds.
Status append_trailer(int fd, const std::string& path) {
  ORLOP_ASSIGN(const State state, state_of(path));
  struct stat file {};
  if (::fstat(fd, &file) != 0) return system_failure(errno, "cannot read " + path);
  Trailer trailer{};
  trailer.data_bytes = static_cast<uint64_t>(file.st_size);
  trailer.revision = state.revision;
  trailer.format_version = state.format_version;
  std::memcpy(trailer.magic, kTrailerMagic, sizeof(kTrailerMagic));
  Sha256 sha;
  int error = for_each_block(fd, trailer.data_bytes, [&](const char* data, std::size_t size) {
    sha.add(data, size);
    return 0;
  });
  if (error != 0) return system_failure(error, "cannot read " + path);
  sha.add(&trailer, kTrailerHashed);
  if (!sha.finish(trailer.sha256)) return {Code::kInternal, "OpenSSL could not compute a checksum"};
  if (::lseek(fd, 0, SEEK_END) < 0) return system_failure(errno, "cannot write " + path);
  error = write_all(fd, &trailer, sizeof(trailer));
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  return error == 0 ? Status::ok() : system_failure(error, "cannot write " + path);
}

}  // namespace

Result<Revision> LmdbStore::snapshot(const std::string& path) {
  wait_until_visible();
  struct stat file {};
  if (::lstat(path.c_str(), &file) == 0) return Status(Code::kAlreadyExists, path + " exists already");
  PartialFile partial(path + ".partial");
  const FileDescriptor fd(::open(partial.path().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open()) return system_failure(errno, "cannot write " + partial.path());
  {
    // Keeps the map where it is while LMDB reads from it, in a transaction of its own.
    ORLOP_ASSIGN(const ReadTransaction txn, environment_->begin_read());
    const int error = mdb_env_copyfd2(environment_->env(), fd.get(), MDB_CP_COMPACT);
    if (error != 0) return lmdb_failure(error, "cannot write a snapshot to " + path);
  }
  ORLOP_TRY(append_trailer(fd.get(), partial.path()));
  ORLOP_TRY(partial.keep_as(path));
  ORLOP_ASSIGN(const OpenSnapshot written, open_snapshot(path));
  return written.trailer.revision;
}

Result<SnapshotInfo> verify_snapshot(const std::string& path) {
  ORLOP_ASSIGN(const OpenSnapshot snapshot, open_snapshot(path));
  return check_snapshot(path, snapshot, -1);
}

Result<SnapshotInfo> restore_snapshot(const std::string& path, const std::string& folder) {
  ORLOP_ASSIGN(const OpenSnapshot snapshot, open_snapshot(path));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return system_failure(errno, "cannot make " + folder);
  const std::string target = folder + "/data.mdb";
  struct stat file {};
  if (::lstat(target.c_str(), &file) == 0) {
    return Status(Code::kAlreadyExists, "there is a store in " + folder + " already: restore into an empty folder");
  }
  PartialFile partial(target + ".partial");
  const FileDescriptor fd(::open(partial.path().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open()) return system_failure(errno, "cannot write " + partial.path());
  ORLOP_ASSIGN(SnapshotInfo info, check_snapshot(path, snapshot, fd.get()));
  if (::fsync(fd.get()) != 0) return system_failure(errno, "cannot write " + partial.path());
  ORLOP_TRY(partial.keep_as(target));
  return info;
}

}  // namespace orlop::store
