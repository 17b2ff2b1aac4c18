#include "plugins/net-iptables/process_runner.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::net {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<const char*, 6> kFolders = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                                 "/usr/bin",        "/sbin",          "/bin"};
constexpr size_t kErrorsMax = 64 * 1024;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  for (const char* folder : kFolders) {
    std::string path = std::string(folder) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

struct Child {
  pid_t pid = 0;
  Fd input, output, errors;  // our ends
};

// A socket for stdin, so that a program that ends early gives EPIPE and no signal.
Status start(const std::string& program, const std::vector<std::string>& arguments, Child& child) {
  int in[2];
  int out[2];
  int err[2];
  auto failed = [&](const char* what) {
    return Status(Code::kUnavailable, fmt::format("{}: {}: {}", arguments[0], what, std::strerror(errno)));
  };
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) return failed("socketpair");
  Fd in_theirs(in[1]);
  child.input.reset(in[0]);
  if (::pipe2(out, O_CLOEXEC) != 0) return failed("pipe");
  Fd out_theirs(out[1]);
  child.output.reset(out[0]);
  if (::pipe2(err, O_CLOEXEC) != 0) return failed("pipe");
  Fd err_theirs(err[1]);
  child.errors.reset(err[0]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in_theirs.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out_theirs.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err_theirs.get(), 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string locale = "LC_ALL=C";
  char* environment[] = {path.data(), locale.data(), nullptr};
  const int error = ::posix_spawn(&child.pid, program.c_str(), &actions, &attributes, argv.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  errno = error;
  return error == 0 ? Status() : failed("start");
}

// Appends what there is; closes the descriptor at its end.
void take(Fd& from, std::string& to, size_t most) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    from.reset();
    return;
  }
  to.append(buffer.data(), std::min(static_cast<size_t>(got), most - std::min(most, to.size())));
}

void give(Fd& to, std::string_view& input) {
  const ssize_t sent = ::send(to.get(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EINTR || errno == EAGAIN)) return;
  input.remove_prefix(sent < 0 ? input.size() : static_cast<size_t>(sent));
  if (input.empty()) to.reset();
}

// False: the time was over.
bool exchange(Child& child, std::string_view input, Clock::time_point end, ProcessOutcome& outcome) {
  if (input.empty()) child.input.reset();
  while (child.output.get() >= 0 || child.errors.get() >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return false;
    pollfd entries[] = {
        {child.output.get(), POLLIN, 0}, {child.errors.get(), POLLIN, 0}, {child.input.get(), POLLOUT, 0}};
    const int ready = ::poll(entries, 3, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready <= 0) continue;
    if (entries[0].revents != 0) take(child.output, outcome.output, std::string::npos);
    if (entries[1].revents != 0) take(child.errors, outcome.errors, kErrorsMax);
    if (entries[2].revents != 0) give(child.input, input);
  }
  return true;
}

}  // namespace

Result<ProcessOutcome> PosixProcessRunner::run(const std::vector<std::string>& arguments, std::string_view input,
                                               std::chrono::milliseconds time) {
  const std::string program = find_program(arguments[0]);
  if (program.empty()) return Status(Code::kNotFound, "no program " + arguments[0] + " is installed");
  Child child;
  ORLOP_TRY(start(program, arguments, child));
  ProcessOutcome outcome;
  const bool in_time = exchange(child, input, Clock::now() + time, outcome);
  if (!in_time) ::kill(child.pid, SIGKILL);
  int state = 0;
  while (::waitpid(child.pid, &state, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return Status(Code::kTimeout, fmt::format("{} took longer than {} ms", arguments[0], time.count()));
  outcome.exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  return outcome;
}

Result<std::string> run_checked(ProcessRunner& runner, const std::vector<std::string>& arguments,
                                std::string_view input, std::chrono::milliseconds time) {
  ORLOP_ASSIGN(ProcessOutcome outcome, runner.run(arguments, input, time));
  if (outcome.exit_code == 0) return std::move(outcome.output);
  std::string words = outcome.errors.substr(0, 400);
  std::replace(words.begin(), words.end(), '\n', ' ');
  return Status(Code::kInternal, fmt::format("{} ended with {}: {}", arguments[0], outcome.exit_code, words));
}

}  // namespace orlop::net
