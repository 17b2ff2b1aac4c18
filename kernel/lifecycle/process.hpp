// Child processes: starts them, reads what they print, and tells when they end.
//
// One thread waits for all of them (epoll over pidfds and pipes). What a process prints comes line by line; what it
// leaves open to processes of its own is read on after its end, so that those do not fail for it.
//
// Threads: every method from any thread. The kernel ties a child's life to the thread that started it
// (PR_SET_PDEATHSIG, set by the child itself), so start() must come from a thread that lives as long as the child may.
#pragma once

#include "orlop/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace orlop::lifecycle {

struct ProcessSpec {
  std::vector<std::string> arguments;  // the first is the program's path
  // On the hub's thread.
  std::function<void(std::string_view line, bool from_stderr)> on_line;
  std::function<void(const std::string& how)> on_exit;  // "it exited with code 1", "signal 11 (Segmentation fault) …"
};

class ProcessHub {
 public:
  static Result<std::unique_ptr<ProcessHub>> open();
  virtual ~ProcessHub() = default;  // joins the thread; children that still run are left alone, and no longer told of

  // kUnavailable: it cannot be started, with the reason. Its input is empty; it has no signal blocked or ignored.
  virtual Result<pid_t> start(ProcessSpec spec) = 0;
  // Nothing happens when it has ended already: a pid is never signalled after it was reaped.
  virtual void kill(pid_t pid, int signal) = 0;
};

// Resident bytes of a process; 0: unknown.
uint64_t resident_bytes_of(pid_t pid);

}  // namespace orlop::lifecycle
