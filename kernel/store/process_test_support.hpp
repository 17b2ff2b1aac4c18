// Child processes for the tests of this folder.
#pragma once

#include <functional>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::store::testing {

// A child that runs a function and exits with what it returns. It is killed when the object goes. A pipe leads from the
// child to the test and another one back. The child may not touch stores that the test has open.
class Child {
 public:
  // f(write end of the child's pipe, read end of the test's pipe)
  explicit Child(const std::function<int(int, int)>& f) {
    int up[2] = {-1, -1};
    int down[2] = {-1, -1};
    EXPECT_EQ(::pipe2(up, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(down, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(up[0]);
      ::close(down[1]);
      ::_exit(f(up[1], down[0]));
    }
    ::close(up[1]);
    ::close(down[0]);
    from_child_ = up[0];
    to_child_ = down[1];
  }
  ~Child() {
    kill();
    ::close(from_child_);
    ::close(to_child_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // The exit code; -1: it ended by a signal.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // False: the pipe's end, or ten seconds passed.
  template <typename T>
  bool receive(T& out) {
    pollfd waited{from_child_, POLLIN, 0};
    if (::poll(&waited, 1, 10000) != 1) return false;
    return ::read(from_child_, &out, sizeof(out)) == static_cast<ssize_t>(sizeof(out));
  }
  void tell() {
    const char byte = 0;
    EXPECT_EQ(::write(to_child_, &byte, 1), 1);
  }

 private:
  pid_t pid_ = -1;
  int from_child_ = -1;
  int to_child_ = -1;
};

// Pipes take less than PIPE_BUF bytes at once or not at all.
template <typename T>
bool send(int fd, const T& value) {
  return ::write(fd, &value, sizeof(value)) == static_cast<ssize_t>(sizeof(value));
}

inline bool wait_for_byte(int fd) {
  char byte = 0;
  return ::read(fd, &byte, 1) == 1;
}

}  // namespace orlop::store::testing
