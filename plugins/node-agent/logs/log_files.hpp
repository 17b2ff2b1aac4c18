// The files of one container's log: the one that the runtime writes, and those that were rotated out of it.
//
// "<attempt>.log" is written; "<attempt>.log.<yyyymmdd-hhmmss>" was renamed from it, and is packed with gzip
// ("….gz") once a later one was. Oldest first by name. Lines are CRI's: "<RFC 3339 with nanoseconds> stdout|stderr P|F
// <text>".
//
// Threads: any; a LogSource is one thread's.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace orlop::agent {

struct RotatedLog {
  std::string path;
  ino_t inode = 0;
  int64_t changed_ns = 0;  // since 1970: when its last line was written
  bool packed = false;
};

// Oldest first. `path` is that of the file being written. Half-made files (".tmp") are not among them.
std::vector<RotatedLog> rotated_logs(const std::string& path);

// One file from its beginning, unpacked on the way.
class LogSource {
 public:
  // Nothing when the file cannot be opened.
  static std::optional<LogSource> open(const std::string& path);
  // 0: end; -1: it is damaged.
  ssize_t read(char* to, size_t size);
  // The next line without its line feed; nothing at the end.
  std::optional<std::string> line();

 private:
  struct Closer {
    void operator()(void* file) const;
  };
  explicit LogSource(void* file) : file_(file) {}
  std::unique_ptr<void, Closer> file_;
};

int64_t count_lines(const std::string& path);

// Packs the file with gzip beside itself, keeping its time, and removes it. kUnavailable: the disk's own words; then
// the file is as it was.
Status pack_log(const std::string& path);

}  // namespace orlop::agent
