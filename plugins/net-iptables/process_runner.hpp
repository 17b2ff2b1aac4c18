// Short programs: run, fed, read, over. The one place of this plugin that starts processes.
//
// Threads: run() from any thread; blocks until the program has ended or the time is over.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::net {

struct ProcessOutcome {
  int exit_code = 0;   // 128 + signal when it was killed
  std::string output;  // stdout
  std::string errors;  // stderr, at most its first 64 KiB
};

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // `arguments[0]`: the program, looked for in the system's folders when it has no slash. `input`: its stdin.
  // kNotFound: there is no such program. kUnavailable: it could not be started. kTimeout: it was killed.
  virtual Result<ProcessOutcome> run(const std::vector<std::string>& arguments, std::string_view input,
                                     std::chrono::milliseconds time) = 0;
};

// The real one: posix_spawn, no shell, an environment of PATH and LC_ALL alone.
class PosixProcessRunner final : public ProcessRunner {
 public:
  Result<ProcessOutcome> run(const std::vector<std::string>& arguments, std::string_view input,
                             std::chrono::milliseconds time) override;
};

// run(), with an exit code other than 0 turned into kInternal and the program's words; gives its output.
Result<std::string> run_checked(ProcessRunner& runner, const std::vector<std::string>& arguments,
                                std::string_view input, std::chrono::milliseconds time);

}  // namespace orlop::net
