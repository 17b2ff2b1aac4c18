// Processes by what identifies them: a pid together with its start time, so that a reused pid is never taken for the
// old one.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace orlop::containerd {

// A file descriptor that closes itself.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() { reset(); }
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  bool operator==(const ProcessIdentity&) const = default;
};

// "pid start_ticks\n", the content of a pid file, and back.
std::string format_identity(const ProcessIdentity& identity);
std::optional<ProcessIdentity> parse_identity(std::string_view text);

struct ProcessStat {
  ProcessIdentity identity;
  char state = '?';  // 'Z' has ended and waits for its parent
  pid_t parent = 0;
};

// The content of /proc/PID/stat (proc(5)); the program's name may hold blanks and parentheses.
std::optional<ProcessStat> parse_stat(std::string_view text);
std::optional<ProcessStat> read_stat(pid_t pid);
// /proc/PID/exe, without the mark of a replaced file; empty when it cannot be read.
std::filesystem::path program_of(pid_t pid);

// A descriptor that becomes readable when the process ends. kNotFound: it has ended, or the pid belongs to another by
// now.
Result<OwnedFd> watch_process(const ProcessIdentity& identity);
// Waits on such a descriptor; false: the time was over first.
bool wait_for_exit(const OwnedFd& process, std::chrono::milliseconds time);
// SIGTERM, and SIGKILL when that has not helped after the grace. kTimeout: it lives on even so.
Status end_process(const OwnedFd& process, std::chrono::milliseconds grace);

// What a program is started with.
struct Launch {
  std::filesystem::path program;
  std::vector<std::string> arguments;    // argv, the program's name included
  std::vector<std::string> environment;  // "KEY=value"
  int output = -1;                       // where stdout and stderr go
  int mount_namespace = -1;              // joined before the program starts, unless -1
  bool own_session = false;
};

// Starts a program with no descriptor of ours but its standard ones. kUnavailable: says which step failed and why.
Result<ProcessIdentity> launch(const Launch& plan);

// Runs a program to its end and gives what it printed on stdout and stderr together. kUnavailable: it could not be
// started; kInternal: it failed, with its last lines; kTimeout: it was killed after the time.
Result<std::string> run_program(Launch plan, std::chrono::milliseconds time);

// The first executable file of this name along the path; empty when there is none.
std::filesystem::path find_program(std::string_view name, const std::vector<std::filesystem::path>& path);

}  // namespace orlop::containerd
