// The daemon's log: one line for each message, under the name of who wrote it, and the last lines of each name kept in
// memory.
//
// The line: `2026-11-22T19:00:00.123Z INFO  net-iptables: message`. Control characters in a message become blanks, so
// that one message is one line, whatever a plugin puts into it.
//
// Threads: every method from any thread.
#pragma once

#include "kernel/bus/clock.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace spdlog {
class logger;
}

namespace orlop::lifecycle {

// Numbers of abi/host.h.
enum class LogLevel : int32_t { kTrace = 0, kDebug = 1, kInfo = 2, kWarn = 3, kError = 4 };

struct LogEntry {
  uint64_t sequence = 0;  // from 1, for each name
  int64_t at_unix_ns = 0;
  LogLevel level = LogLevel::kInfo;
  std::string text;
};

class LogBook {
 public:
  static constexpr std::size_t kLinesKept = 2000;

  // Writes lines of at least `level` to `file` (appended; empty: standard error).
  LogBook(const bus::Clock& clock, LogLevel level, std::string file);
  ~LogBook();

  // Opens the file (again), after it was moved away. kUnavailable: it cannot be opened; lines go on to where they went.
  Status reopen();

  void write(std::string_view name, LogLevel level, std::string_view text);
  void info(std::string_view name, std::string_view text) { write(name, LogLevel::kInfo, text); }
  void warn(std::string_view name, std::string_view text) { write(name, LogLevel::kWarn, text); }
  void error(std::string_view name, std::string_view text) { write(name, LogLevel::kError, text); }

  // Lines behind `after_sequence`, at most the last `tail` of them (0: all that are kept), oldest first.
  [[nodiscard]] std::vector<LogEntry> lines(std::string_view name, uint64_t after_sequence, std::size_t tail) const;

  // Runs `function` once when a line with a sequence above `after_sequence` is there: now, or on the thread that writes
  // it. Returns a ticket for forget(), 0 when it has run.
  uint64_t when_line(std::string_view name, uint64_t after_sequence, std::function<void()> function);
  void forget(uint64_t ticket);
  void forget_all();

  static std::string format(int64_t at_unix_ns, LogLevel level, std::string_view name, std::string_view text);

 private:
  struct Ring {
    std::deque<LogEntry> lines;
    uint64_t last = 0;
  };
  struct Waiter {
    std::string name;
    std::function<void()> function;
  };

  const bus::Clock& clock_;
  const LogLevel level_;
  const std::string file_;
  mutable std::mutex mutex_;
  std::shared_ptr<spdlog::logger> sink_;          // guarded by mutex_
  std::unordered_map<std::string, Ring> rings_;   // guarded by mutex_
  std::unordered_map<uint64_t, Waiter> waiters_;  // guarded by mutex_
  uint64_t next_ticket_ = 1;                      // guarded by mutex_
};

// The level of that name: trace, debug, info, warn, error.
Result<LogLevel> log_level_of(std::string_view name);

}  // namespace orlop::lifecycle
