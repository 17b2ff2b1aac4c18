// Files that are replaced whole or not at all.
#pragma once

#include "orlop/result.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace orlop::auth {

// Nothing: it does not exist. kUnavailable: it cannot be read.
Result<std::optional<std::string>> read_file(const std::string& path);
// Written beside, flushed to disk, renamed.
Status replace_file(const std::string& path, std::string_view bytes, mode_t mode);
Status make_folder(const std::string& path, mode_t mode);

// Holds an exclusive lock on a file, across processes, for as long as it lives.
class FileLock {
 public:
  static Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace orlop::auth
