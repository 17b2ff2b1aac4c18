#include "plugins/runtime-containerd/process.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::containerd {

namespace {

int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

struct Failure {
  int step;
  int error;
};

constexpr const char* kSteps[] = {"joining the mount namespace", "redirecting its output", "starting"};

// Runs between fork and exec of a process with several threads: system calls only, no allocation, no lock.
[[noreturn]] void become(const Launch& plan, char* const* arguments, char* const* environment, int report) {
  auto fail = [report](int step) {
    Failure failure{step, errno};
    [[maybe_unused]] ssize_t ignored = ::write(report, &failure, sizeof failure);
    ::_exit(127);
  };
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
  }
  if (plan.own_session) ::setsid();
  if (plan.mount_namespace >= 0 && ::setns(plan.mount_namespace, CLONE_NEWNS) != 0) fail(0);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int output = plan.output >= 0 ? plan.output : null;
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) fail(1);
  // What the rest of the process opened without O_CLOEXEC would otherwise stay open in a process that outlives it.
  ::syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::umask(022);
  ::execve(plan.program.c_str(), arguments, environment);
  fail(2);
  ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

void OwnedFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

std::string format_identity(const ProcessIdentity& identity) {
  return fmt::format("{} {}\n", identity.pid, identity.start_ticks);
}

std::optional<ProcessIdentity> parse_identity(std::string_view text) {
  ProcessIdentity identity;
  const char* end = text.data() + text.size();
  auto [after_pid, pid_error] = std::from_chars(text.data(), end, identity.pid);
  if (pid_error != std::errc() || identity.pid <= 0 || after_pid == end || *after_pid != ' ') return std::nullopt;
  auto [after, error] = std::from_chars(after_pid + 1, end, identity.start_ticks);
  if (error != std::errc() || after == end || *after != '\n') return std::nullopt;
  return identity;
}

std::optional<ProcessStat> parse_stat(std::string_view text) {
  size_t close = text.rfind(')');
  if (close == std::string_view::npos) return std::nullopt;
  ProcessStat stat;
  if (std::from_chars(text.data(), text.data() + text.size(), stat.identity.pid).ec != std::errc()) return std::nullopt;
  // Fields from the third on: state, parent, …; the start time is the 22nd.
  std::string_view rest = text.substr(close + 1);
  for (int field = 3; field <= 22; ++field) {
    size_t begin = rest.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return std::nullopt;
    size_t end = std::min(rest.find_first_of(" \n", begin), rest.size());
    std::string_view word = rest.substr(begin, end - begin);
    if (field == 3) stat.state = word[0];
    if (field == 4) std::from_chars(word.data(), word.data() + word.size(), stat.parent);
    if (field == 22) std::from_chars(word.data(), word.data() + word.size(), stat.identity.start_ticks);
    rest.remove_prefix(end);
  }
  return stat;
}

std::optional<ProcessStat> read_stat(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  return parse_stat(text);
}

std::filesystem::path program_of(pid_t pid) {
  std::error_code error;
  std::string target = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error).native();
  constexpr std::string_view kReplaced = " (deleted)";
  if (target.ends_with(kReplaced)) target.resize(target.size() - kReplaced.size());
  return error ? std::filesystem::path() : std::filesystem::path(target);
}

Result<OwnedFd> watch_process(const ProcessIdentity& identity) {
  OwnedFd fd(open_pidfd(identity.pid));
  // The identity is read after the descriptor is open: from then on the pid cannot be given to another unnoticed.
  auto stat = fd.is_open() ? read_stat(identity.pid) : std::nullopt;
  if (!stat || stat->identity != identity || stat->state == 'Z') {
    return Status(Code::kNotFound, fmt::format("process {} has ended", identity.pid));
  }
  return fd;
}

bool wait_for_exit(const OwnedFd& process, std::chrono::milliseconds time) {
  auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd entry{process.get(), POLLIN, 0};
    int ready = ::poll(&entry, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready > 0) return true;
    if (ready == 0) return false;
  }
}

Status end_process(const OwnedFd& process, std::chrono::milliseconds grace) {
  auto send = [&process](int signal) { ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0); };
  send(SIGTERM);
  if (wait_for_exit(process, grace)) return Status();
  send(SIGKILL);
  if (wait_for_exit(process, std::chrono::seconds(5))) return Status();
  return Status(Code::kTimeout, "the process does not end even after SIGKILL; it hangs in the kernel (see dmesg)");
}

Result<ProcessIdentity> launch(const Launch& plan) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return Status(Code::kUnavailable, fmt::format("pipe: {}", std::strerror(errno)));
  OwnedFd read_end(report[0]);
  OwnedFd write_end(report[1]);
  auto arguments = pointers(plan.arguments);
  auto environment = pointers(plan.environment);
  pid_t pid = ::fork();
  if (pid < 0) return Status(Code::kUnavailable, fmt::format("fork: {}", std::strerror(errno)));
  if (pid == 0) become(plan, arguments.data(), environment.data(), write_end.get());
  write_end.reset();
  Failure failure{};
  ssize_t got;
  do {
    got = ::read(read_end.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof failure)) {
    ::waitpid(pid, nullptr, 0);
    return Status(Code::kUnavailable,
                  fmt::format("{}: {}: {}", plan.program.native(), kSteps[failure.step], std::strerror(failure.error)));
  }
  auto stat = read_stat(pid);
  if (!stat) {
    ::waitpid(pid, nullptr, 0);
    return Status(Code::kUnavailable, fmt::format("{} ended at once", plan.program.native()));
  }
  return stat->identity;
}

Result<std::string> run_program(Launch plan, std::chrono::milliseconds time) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Status(Code::kUnavailable, fmt::format("pipe: {}", std::strerror(errno)));
  OwnedFd read_end(ends[0]);
  OwnedFd write_end(ends[1]);
  plan.output = write_end.get();
  ORLOP_ASSIGN(ProcessIdentity child, launch(plan));
  write_end.reset();
  std::string output;
  auto end = std::chrono::steady_clock::now() + time;
  bool late = false;
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd entry{read_end.get(), POLLIN, 0};
    int ready = left > 0 ? ::poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      late = true;
      ::kill(child.pid, SIGKILL);
      break;
    }
    char buffer[4096];
    ssize_t got = ::read(read_end.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    output.append(buffer, static_cast<size_t>(got));
  }
  int state = 0;
  while (::waitpid(child.pid, &state, 0) < 0 && errno == EINTR) {
  }
  if (late) return Status(Code::kTimeout, fmt::format("{} took longer than {} ms", plan.arguments[0], time.count()));
  if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) {
    std::string tail = output.size() > 600 ? output.substr(output.size() - 600) : output;
    return Status(Code::kInternal, fmt::format("{} failed: {}", plan.arguments[0], tail));
  }
  return output;
}

std::filesystem::path find_program(std::string_view name, const std::vector<std::filesystem::path>& path) {
  for (const auto& folder : path) {
    std::filesystem::path candidate = folder / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(candidate, error) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace orlop::containerd
