#include "kernel/lifecycle/log_book.hpp"

#include <algorithm>
#include <ctime>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace orlop::lifecycle {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "TRACE";
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "INFO";
}

std::string one_line(std::string_view text) {
  std::string out(text.substr(0, 16 << 10));
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("orlop", std::move(sink));
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

}  // namespace

LogBook::LogBook(const bus::Clock& clock, LogLevel level, std::string file)
    : clock_(clock), level_(level), file_(std::move(file)) {
  sink_ = make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
}

LogBook::~LogBook() = default;

Status LogBook::reopen() {
  if (file_.empty()) return {};
  try {
    spdlog::file_event_handlers events;
    events.after_open = [](const spdlog::filename_t&, std::FILE* stream) {
      ::fcntl(::fileno(stream), F_SETFD, FD_CLOEXEC);
    };
    auto logger = make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file_, false, events));
    std::lock_guard lock(mutex_);
    sink_ = std::move(logger);
    return {};
  } catch (const spdlog::spdlog_ex& error) {
    return {Code::kUnavailable, fmt::format("cannot open the log file {}: {}", file_, error.what())};
  }
}

std::string LogBook::format(int64_t at_unix_ns, LogLevel level, std::string_view name, std::string_view text) {
  const auto seconds = static_cast<std::time_t>(at_unix_ns / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {:<5} {}: {}", utc, at_unix_ns / 1'000'000 % 1000, name_of(level),
                     name, text);
}

void LogBook::write(std::string_view name, LogLevel level, std::string_view text) {
  if (level < LogLevel::kTrace || level > LogLevel::kError) level = LogLevel::kInfo;
  if (level < level_) return;
  const int64_t now = clock_.wall_ns();
  std::string line = one_line(text);
  std::vector<std::function<void()>> ready;
  {
    std::lock_guard lock(mutex_);
    sink_->info(format(now, level, name, line));
    Ring& ring = rings_[std::string(name)];
    ring.lines.push_back({++ring.last, now, level, std::move(line)});
    if (ring.lines.size() > kLinesKept) ring.lines.pop_front();
    for (auto it = waiters_.begin(); it != waiters_.end();) {
      if (it->second.name == name) {
        ready.push_back(std::move(it->second.function));
        it = waiters_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (auto& function : ready) function();
}

std::vector<LogEntry> LogBook::lines(std::string_view name, uint64_t after_sequence, std::size_t tail) const {
  std::lock_guard lock(mutex_);
  auto ring = rings_.find(std::string(name));
  if (ring == rings_.end()) return {};
  const auto& all = ring->second.lines;
  auto from = std::find_if(all.begin(), all.end(), [&](const LogEntry& e) { return e.sequence > after_sequence; });
  if (tail > 0 && static_cast<std::size_t>(all.end() - from) > tail)
    from = all.end() - static_cast<std::ptrdiff_t>(tail);
  return {from, all.end()};
}

uint64_t LogBook::when_line(std::string_view name, uint64_t after_sequence, std::function<void()> function) {
  {
    std::lock_guard lock(mutex_);
    if (rings_[std::string(name)].last <= after_sequence) {
      const uint64_t ticket = next_ticket_++;
      waiters_.emplace(ticket, Waiter{std::string(name), std::move(function)});
      return ticket;
    }
  }
  function();
  return 0;
}

void LogBook::forget(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  waiters_.erase(ticket);
}

void LogBook::forget_all() {
  std::lock_guard lock(mutex_);
  waiters_.clear();
}

Result<LogLevel> log_level_of(std::string_view name) {
  static constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error"};
  for (int32_t i = 0; i < 5; ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return Status(Code::kInvalid, fmt::format("{} is no log level", name));
}

}  // namespace orlop::lifecycle
