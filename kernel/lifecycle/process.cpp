#include "kernel/lifecycle/process.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace orlop::lifecycle {
namespace {

constexpr std::size_t kLineBytesMax = 8 << 10;

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return fmt::format("it exited with code {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    return fmt::format("it was ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return "it ended";
}

struct Child {
  pid_t pid = 0;
  ProcessSpec spec;
};

// One thing that the thread waits for: a child's end, or one of its outputs.
struct Source {
  enum class Kind { kExit, kStdout, kStderr } kind = Kind::kExit;
  int descriptor = -1;
  std::shared_ptr<Child> child;
  std::string partial;
};

class EpollHub final : public ProcessHub {
 public:
  ~EpollHub() override {
    stopping_ = true;
    const uint64_t one = 1;
    if (wake_ >= 0 && ::write(wake_, &one, sizeof one) < 0) stopping_ = true;
    if (thread_.joinable()) thread_.join();
    for (auto& [descriptor, source] : sources_) ::close(descriptor);
    if (wake_ >= 0) ::close(wake_);
    if (epoll_ >= 0) ::close(epoll_);
  }

  Status open() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = wake_;
    if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
      return {Code::kUnavailable, fmt::format("cannot wait for processes: {}", std::strerror(errno))};
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  Result<pid_t> start(ProcessSpec spec) override;

  void kill(pid_t pid, int signal) override {
    std::lock_guard lock(mutex_);
    if (auto child = children_.find(pid); child != children_.end()) {
      ::syscall(SYS_pidfd_send_signal, child->second, signal, nullptr, 0);
    }
  }

 private:
  void add_source(Source::Kind kind, int descriptor, const std::shared_ptr<Child>& child) {  // holds mutex_
    ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    sources_.emplace(descriptor, Source{kind, descriptor, child, {}});
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }

  void run() {
    pthread_setname_np(pthread_self(), "processes");
    while (!stopping_) {
      epoll_event events[16];
      const int count = ::epoll_wait(epoll_, events, 16, -1);
      for (int i = 0; i < count && !stopping_; ++i) {
        if (events[i].data.fd != wake_) handle(events[i].data.fd);
      }
    }
  }

  void handle(int descriptor) {
    Source* source = nullptr;
    {
      std::lock_guard lock(mutex_);
      auto found = sources_.find(descriptor);
      if (found == sources_.end()) return;
      source = &found->second;  // only this thread removes sources, and the map's nodes do not move
    }
    if (source->kind == Source::Kind::kExit) return reap(*source);
    if (!read_output(*source)) drop(descriptor);
  }

  // False: the output is at its end.
  static bool read_output(Source& source) {
    char buffer[16 << 10];
    while (true) {
      const ssize_t got = ::read(source.descriptor, buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return true;
      const bool from_stderr = source.kind == Source::Kind::kStderr;
      if (got <= 0) {
        if (!source.partial.empty()) source.child->spec.on_line(source.partial, from_stderr);
        return false;
      }
      source.partial.append(buffer, static_cast<std::size_t>(got));
      std::size_t from = 0;
      for (std::size_t end; (end = source.partial.find('\n', from)) != std::string::npos; from = end + 1) {
        if (end > from)
          source.child->spec.on_line(std::string_view(source.partial).substr(from, end - from), from_stderr);
      }
      source.partial.erase(0, from);
      if (source.partial.size() > kLineBytesMax) {
        source.child->spec.on_line(source.partial, from_stderr);
        source.partial.clear();
      }
    }
  }

  void reap(Source& source) {
    const auto child = source.child;
    int status = 0;
    {
      std::lock_guard lock(mutex_);  // kill() looks under the same lock, so it never meets a reused pid
      if (::waitpid(child->pid, &status, WNOHANG) != child->pid) return;
      children_.erase(child->pid);
    }
    // What it printed before its end comes before the news of its end.
    std::vector<Source*> outputs;
    {
      std::lock_guard lock(mutex_);
      for (auto& [descriptor, other] : sources_) {
        if (other.child == child && other.kind != Source::Kind::kExit) outputs.push_back(&other);
      }
    }
    for (Source* output : outputs) {
      if (!read_output(*output)) drop(output->descriptor);
    }
    drop(source.descriptor);
    child->spec.on_exit(describe_exit(status));
  }

  void drop(int descriptor) {
    std::lock_guard lock(mutex_);
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
    ::close(descriptor);
    sources_.erase(descriptor);
  }

  int epoll_ = -1;
  int wake_ = -1;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::unordered_map<int, Source> sources_;  // guarded by mutex_; removed by the thread alone
  std::unordered_map<pid_t, int> children_;  // guarded by mutex_; the pidfd of each child not yet reaped
  std::thread thread_;
};

Result<pid_t> EpollHub::start(ProcessSpec spec) {
  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  auto close_all = [&] {
    for (int descriptor : {out[0], out[1], err[0], err[1]}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  };
  auto failed = [&](int error) {
    close_all();
    return Status(Code::kUnavailable, fmt::format("cannot start {}: {}", spec.arguments[0], std::strerror(error)));
  };
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return failed(errno);

  std::vector<char*> arguments;
  for (auto& argument : spec.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return failed(error);

  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int why = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failed(why);
  }
  ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
  ::close(out[1]);
  ::close(err[1]);
  auto child = std::make_shared<Child>(Child{pid, std::move(spec)});
  std::lock_guard lock(mutex_);
  children_.emplace(pid, pidfd);
  add_source(Source::Kind::kStdout, out[0], child);
  add_source(Source::Kind::kStderr, err[0], child);
  add_source(Source::Kind::kExit, pidfd, child);
  return pid;
}

}  // namespace

Result<std::unique_ptr<ProcessHub>> ProcessHub::open() {
  auto hub = std::make_unique<EpollHub>();
  if (auto status = hub->open(); !status.is_ok()) return status;
  return std::unique_ptr<ProcessHub>(std::move(hub));
}

uint64_t resident_bytes_of(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/statm", pid);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  unsigned long total = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%lu %lu", &total, &resident) != 2) return 0;
  return uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace orlop::lifecycle
