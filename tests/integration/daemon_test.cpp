// The real orlopd as a process.
#include "tests/integration/test_kernel.hpp"

#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::integration {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

class DaemonTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  void write_config(const std::string& plugins) {
    std::string text = "folders: {config: " + at("c") + ", data: " + at("d") + ", run: " + at("r") +
                       ", plugins: " ORLOP_TEST_PLUGINS "}\nplugins:\n";
    for (const char* name : {"api-kubernetes", "controllers-workload", "controllers-cluster", "controllers-volume",
                             "sched-default", "runtime-containerd", "net-iptables", "storage-local", "node-agent"}) {
      text += std::string("  - {name: ") + name + ", enabled: false}\n";
    }
    std::ofstream(at("orlop.yaml")) << text << plugins;
  }

  pid_t start(std::vector<std::string> extra = {}, const char* notify = nullptr) {
    std::vector<std::string> words{std::string(ORLOP_TEST_BIN) + "/orlopd", "--config", at("orlop.yaml")};
    words.insert(words.end(), extra.begin(), extra.end());
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string log = at("log");
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(out, 1);
      ::dup2(out, 2);
      if (notify != nullptr) ::setenv("NOTIFY_SOCKET", notify, 1);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    return pid;
  }
  bool logged(const std::string& text) { return read_file(at("log")).find(text) != std::string::npos; }
  [[nodiscard]] std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  static int exit_code(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  TempFolder folder_;
  pid_t pid_ = 0;
};

constexpr const char* kTwoHosts = "  - {name: one, file: probe.so}\n  - {name: two, file: probe.so}\n";

TEST_F(DaemonTest, StartsServesAndStopsCleanly) {
  write_config(kTwoHosts);
  pid_ = start();
  ASSERT_TRUE(eventually([&] { return logged("kernel: serving after"); })) << read_file(at("log"));
  EXPECT_EQ(hosts_of(pid_).size(), 2u);
  const auto hosts = hosts_of(pid_);
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(pid_), 0);
  pid_ = 0;
  EXPECT_TRUE(logged("kernel: stopped"));
  for (const auto host : hosts) EXPECT_FALSE(is_alive(host));
}

TEST_F(DaemonTest, KilledHardItLeavesNoHostBehindAndStartsAgain) {
  write_config(kTwoHosts);
  pid_ = start();
  ASSERT_TRUE(eventually([&] { return logged("kernel: serving after"); }));
  const auto hosts = hosts_of(pid_);
  ASSERT_EQ(hosts.size(), 2u);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return !is_alive(hosts[0]) && !is_alive(hosts[1]); }, 2000 * kMs));
  std::ofstream(at("log"), std::ios::trunc);
  pid_ = start();
  EXPECT_TRUE(eventually([&] { return logged("kernel: serving after"); })) << read_file(at("log"));
}

TEST_F(DaemonTest, TellsTheServiceManager) {
  write_config("");
  const std::string path = at("notify");
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  pid_ = start({}, path.c_str());
  char buffer[256] = {};
  ASSERT_GT(::recv(socket, buffer, sizeof buffer - 1, 0), 0);
  EXPECT_EQ(std::string(buffer).substr(0, 8), "READY=1\n");
  ::kill(pid_, SIGTERM);
  std::memset(buffer, 0, sizeof buffer);
  ASSERT_GT(::recv(socket, buffer, sizeof buffer - 1, 0), 0);
  EXPECT_EQ(std::string(buffer).substr(0, 11), "STOPPING=1\n");
  EXPECT_EQ(exit_code(pid_), 0);
  pid_ = 0;
  ::close(socket);
}

TEST_F(DaemonTest, ASecondOneOnTheSameFolderSaysWhoIsThere) {
  write_config("");
  pid_ = start();
  ASSERT_TRUE(eventually([&] { return logged("kernel: serving after"); }));
  EXPECT_EQ(exit_code(start()), 1);
  EXPECT_TRUE(logged("another orlopd (process " + std::to_string(pid_) + ") uses " + at("d")));
}

TEST_F(DaemonTest, CheckConfigNamesEveryFaultWithItsLine) {
  write_config(
      "  - name: one\n    file: probe.so\n    config: {limit: 99, greetnig: x}\n  - {name: two, file: none.so}\n");
  EXPECT_EQ(exit_code(start({"--check-config"})), 1);
  const std::string out = read_file(at("log"));
  EXPECT_NE(out.find("orlop.yaml:14: the config of one.limit is 99, above its maximum; write 10 or less"),
            std::string::npos)
      << out;
  EXPECT_NE(out.find("has no key greetnig; did you mean greeting?"), std::string::npos) << out;
  EXPECT_NE(out.find("orlop.yaml:15: plugin two: there is no file"), std::string::npos) << out;
  write_config("  - {name: one, file: probe.so}\n");
  EXPECT_EQ(exit_code(start({"--check-config"})), 0);
  EXPECT_TRUE(logged("orlop.yaml: good"));
}

}  // namespace
}  // namespace orlop::integration
