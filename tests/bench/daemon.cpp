#include "tests/bench/target.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::bench {
namespace {

constexpr auto kPause = std::chrono::milliseconds(1);
constexpr auto kStartAtMost = std::chrono::seconds(60);
constexpr auto kStopAtMost = std::chrono::seconds(20);

uint16_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

// Whether anything listens there: cheaper than a TLS handshake that fails.
bool listens(uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool open = ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return open;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::make(DaemonOptions options) {
  std::error_code error;
  options.program = std::filesystem::absolute(options.program, error).string();
  if (::access(options.program.c_str(), X_OK) != 0) {
    return Status(Code::kNotFound, options.program + " is not there; build it, or give its path by --orlopd");
  }
  std::string folder = options.folder + "/orlop-bench.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    return Status(Code::kInternal, folder + " cannot be made: " + std::strerror(errno));
  }
  options.folder = folder;
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options)));
  daemon->port_ = free_port();
  ORLOP_TRY(daemon->write_config());
  return daemon;
}

Daemon::~Daemon() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(options_.folder, ignored);
}

Status Daemon::write_config() {
  const std::string file = options_.folder + "/orlop.yaml";
  std::ofstream out(file);
  const std::string& folder = options_.folder;
  out << "node: {name: bench}\n"
      << "folders: {config: " << folder << "/etc, data: " << folder << "/data, run: " << folder << "/run}\n"
      << "plugins:\n"
      << "  - name: api-kubernetes\n"
      << "    config: {listen: \"127.0.0.1:" << port_ << "\", threads: " << options_.threads << "}\n"
      << "  - {name: runtime-containerd, enabled: false}\n"
      << "  - {name: net-iptables, enabled: false}\n";
  if (options_.hollow_nodes == 0) {
    out << "  - {name: node-agent, enabled: false}\n";
  } else {
    // Behind node-agent in the list: plugins are ordered by what they require.
    out << "  - name: node-agent\n    hosted: " << options_.agent_hosting
        << "\n    config: {hollow_nodes: " << options_.hollow_nodes << ", workers: 64}\n"
        << "  - {name: runtime-hollow, hosted: inline}\n";
  }
  out.close();
  if (!out) return {Code::kInternal, file + " cannot be written"};
  return Status::ok();
}

Status Daemon::spawn() {
  const std::string config = options_.folder + "/orlop.yaml";
  const std::string log = options_.folder + "/orlopd.log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::array<const char*, 4> arguments{options_.program.c_str(), "--config", config.c_str(), nullptr};
  const int failed = ::posix_spawn(&process_, options_.program.c_str(), &actions, nullptr,
                                   const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    process_ = -1;
    return {Code::kInternal, options_.program + ": " + std::strerror(failed)};
  }
  return Status::ok();
}

Result<double> Daemon::start(const std::string& list_path) {
  const auto begin = Clock::now();
  ORLOP_TRY(spawn());
  const std::string kubeconfig = options_.folder + "/etc/admin.kubeconfig";
  std::string last = "nothing listens";
  std::unique_ptr<Client> client;
  while (!interrupted() && Clock::now() - begin < kStartAtMost) {
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      process_ = -1;
      return Status(Code::kUnavailable, "orlopd ended at its start:\n" + log_end());
    }
    if (listens(port_)) {
      auto endpoint = endpoint_of_kubeconfig(kubeconfig);
      if (endpoint) {
        endpoint_ = *endpoint;
        if (client == nullptr) {
          ORLOP_ASSIGN(client, Client::make(endpoint_));
        }
        const auto reply = client->call("GET", list_path);
        if (reply && reply->status == 200) return std::chrono::duration<double>(Clock::now() - begin).count();
        last = reply ? "HTTP " + std::to_string(reply->status) + " " + reply->body : reply.message();
      } else {
        last = endpoint.message();
      }
    }
    std::this_thread::sleep_for(kPause);
  }
  return Status(Code::kTimeout, "orlopd serves no list after 60 s; last answer: " + last + "\n" + log_end());
}

void Daemon::stop() {
  if (process_ <= 0) return;
  ::kill(process_, SIGTERM);
  const auto deadline = Clock::now() + kStopAtMost;
  while (::waitpid(process_, nullptr, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      break;
    }
    std::this_thread::sleep_for(kPause);
  }
  process_ = -1;
}

std::string Daemon::log_end() const {
  constexpr std::size_t kBytes = 4000;
  const auto text = read_file(options_.folder + "/orlopd.log");
  if (!text) return "(no log)";
  return text->size() > kBytes ? text->substr(text->size() - kBytes) : *text;
}

std::string Daemon::filesystem() const {
  struct statfs what {};
  if (::statfs(options_.folder.c_str(), &what) != 0) return "unknown";
  switch (what.f_type) {
    case 0x01021994:
      return "tmpfs (memory: its fsync costs nothing)";
    case 0xef53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683e:
      return "btrfs";
    case 0x794c7630:
      return "overlayfs";
    default:
      return "file system type " + std::to_string(what.f_type);
  }
}

}  // namespace orlop::bench
