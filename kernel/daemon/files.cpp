#include "kernel/daemon/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::daemon {
namespace {

Status failed(const char* what, const std::string& path) {
  return {Code::kUnavailable, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno))};
}

bool write_all(int descriptor, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t wrote = ::write(descriptor, at, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }
  int release() {
    const int value = value_;
    value_ = -1;
    return value;
  }

 private:
  int value_;
};

}  // namespace

Status make_folders(const std::string& path, unsigned mode) {
  for (std::size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at);
    const std::string part = path.substr(0, at);
    const bool last = at == std::string::npos;
    if (::mkdir(part.c_str(), last ? mode : 0755) != 0 && errno != EEXIST) return failed("make the folder", part);
    if (!last) ++at;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return failed("look at", path);
  if (!S_ISDIR(info.st_mode)) return {Code::kUnavailable, fmt::format("{} is not a folder", path)};
  return {};
}

Result<std::string> read_whole_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return Status(Code::kNotFound, fmt::format("there is no file {}", path));
  if (file.get() < 0) return failed("read", path);
  std::string text;
  char buffer[16 << 10];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > (8u << 20)) return Status(Code::kUnavailable, fmt::format("{} is too large", path));
  }
}

Result<std::unique_ptr<FolderLock>> FolderLock::take(const std::string& folder, std::chrono::milliseconds patience) {
  const std::string path = folder + "/orlopd.lock";
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed("open", path);
  // One that was killed holds its lock until the system has taken it apart: that is waited for.
  const auto until = std::chrono::steady_clock::now() + patience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return failed("lock", path);
    if (std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    char pid[32] = {};
    if (::pread(file.get(), pid, sizeof pid - 1, 0) < 0) pid[0] = '\0';
    return Status(Code::kConflict, fmt::format("another orlopd (process {}) uses {}; stop it, or give this one another "
                                               "folders.data in its configuration",
                                               pid[0] != '\0' ? pid : "unknown", folder));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(file.get(), 0) != 0 || !write_all(file.get(), pid.data(), pid.size())) return failed("write", path);
  return std::unique_ptr<FolderLock>(new FolderLock(file.release()));
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

Result<std::array<uint8_t, 32>> sealing_key(const std::string& folder) {
  const std::string path = folder + "/sealing.key";
  std::array<uint8_t, 32> key{};
  auto stored = read_whole_file(path);
  if (stored) {
    if (stored->size() != key.size()) {
      return Status(Code::kInvalid,
                    fmt::format("{} is not a sealing key: it has {} bytes, not {}; put the right one back "
                                "from your backup",
                                path, stored->size(), key.size()));
    }
    std::copy_n(stored->begin(), key.size(), key.begin());
    return key;
  }
  if (stored.code() != Code::kNotFound) return stored.status();
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) return failed("make a key for", path);
  const std::string fresh = path + ".new";
  const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0 || !write_all(file.get(), key.data(), key.size()) || ::fsync(file.get()) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    return failed("write", path);
  }
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() < 0 || ::fsync(parent.get()) != 0) return failed("write", folder);
  return key;
}

}  // namespace orlop::daemon
