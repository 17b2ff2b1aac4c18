#include "plugins/node-agent/pressure/oom_watcher.hpp"

#include <cerrno>
#include <charconv>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr char kLog[] = "/dev/kmsg";
constexpr char kMark[] = "oom-kill:";
constexpr char kPods[] = "/orlop/";
constexpr size_t kRecordBytes = 8192;  // the kernel gives one record to a read, none longer than this

// "name=value," within the line; empty when it is not there.
std::string_view field(std::string_view line, std::string_view name) {
  for (size_t at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
    const bool starts = at == 0 || line[at - 1] == ',' || line[at - 1] == ':';
    if (!starts || line.substr(at + name.size(), 1) != "=") continue;
    line.remove_prefix(at + name.size() + 1);
    return line.substr(0, line.find_first_of(",\n"));
  }
  return {};
}

}  // namespace

std::optional<OomKill> parse_oom_line(std::string_view line) {
  const size_t mark = line.find(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  line.remove_prefix(mark + sizeof kMark - 1);
  OomKill out;
  out.cgroup = field(line, "oom_memcg");
  out.of_machine = out.cgroup.empty();
  out.process = field(line, "task");
  const std::string_view pid = field(line, "pid");
  std::from_chars(pid.data(), pid.data() + pid.size(), out.pid);
  return out;
}

void OomWatcher::start() {
  const int log = ::open(kLog, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (log < 0) return;
  ::lseek(log, 0, SEEK_END);
  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this, log] { run(log); });
}

void OomWatcher::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
  thread_.join();
  ::close(wake_fd_);
  wake_fd_ = -1;
}

void OomWatcher::run(int log) {
  std::string record(kRecordBytes, '\0');
  for (;;) {
    pollfd polled[] = {{wake_fd_, POLLIN, 0}, {log, POLLIN, 0}};
    ::poll(polled, 2, -1);
    if (polled[0].revents != 0) break;
    for (;;) {
      const ssize_t got = ::read(log, record.data(), record.size());
      if (got > 0) hear(std::string_view(record.data(), static_cast<size_t>(got)));
      // EPIPE: records were overwritten before they were read; the next read goes on behind them.
      if (got <= 0 && errno != EPIPE && errno != EINTR) break;
    }
    if ((polled[1].revents & (POLLHUP | POLLNVAL)) != 0) break;
  }
  ::close(log);
}

void OomWatcher::hear(std::string_view line) {
  const auto kill = parse_oom_line(line);
  if (!kill || (!kill->of_machine && !kill->cgroup.starts_with(kPods))) return;
  EventRecorder::ObjectReference node;
  node.set_kind("Node");
  node.set_apiversion("v1");
  node.set_name(node_);
  node.set_uid(node_);
  const std::string victim = kill->process + ", pid: " + std::to_string(kill->pid);
  if (kill->of_machine) {
    events_.record(std::move(node), EventType::kWarning, "SystemOOM",
                   "System OOM encountered, victim process: " + victim);
  } else {
    events_.record(std::move(node), EventType::kWarning, "OOMKilling",
                   "Memory cgroup out of memory: " + kill->cgroup + ", victim process: " + victim);
  }
}

}  // namespace orlop::agent
