#include "plugins/api-kubernetes/auth/files.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::auth {
namespace {
Status failure(const std::string& path, const char* what) {
  return {Code::kUnavailable, path + ": " + what + ": " + std::strerror(errno)};
}
}  // namespace

Result<std::optional<std::string>> read_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return failure(path, "cannot be read");
  }
  std::string bytes;
  char buffer[8192];
  ssize_t count = 0;
  while ((count = ::read(fd, buffer, sizeof buffer)) > 0) bytes.append(buffer, static_cast<size_t>(count));
  Status status = count < 0 ? failure(path, "cannot be read") : Status::ok();
  ::close(fd);
  if (!status) return status;
  return std::optional<std::string>(std::move(bytes));
}

Status replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  std::string beside = path + ".new";
  ::unlink(beside.c_str());
  int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return failure(beside, "cannot be written");
  bool good = ::fchmod(fd, mode) == 0;
  for (size_t done = 0; good && done < bytes.size();) {
    ssize_t count = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    good = count > 0;
    if (good) done += static_cast<size_t>(count);
  }
  good = good && ::fdatasync(fd) == 0;
  Status status = good ? Status::ok() : failure(beside, "cannot be written");
  ::close(fd);
  if (status.is_ok() && ::rename(beside.c_str(), path.c_str()) != 0) status = failure(path, "cannot be replaced");
  if (!status) ::unlink(beside.c_str());
  return status;
}

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failure(path, "cannot be made");
  return Status::ok();
}

Result<FileLock> FileLock::take(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failure(path, "cannot be opened");
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    Status status = failure(path, "cannot be locked");
    ::close(fd);
    return status;
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace orlop::auth
