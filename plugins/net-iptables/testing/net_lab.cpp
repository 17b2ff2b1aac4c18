#include "plugins/net-iptables/testing/net_lab.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

namespace orlop::net::testing {

namespace {

void check(bool fine, const std::string& what) {
  if (!fine) throw std::runtime_error(what + ": " + std::strerror(errno));
}

// The calling thread alone.
void enter(const std::string& name) {
  if (name.empty()) return;
  const int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  check(fd >= 0 && ::setns(fd, CLONE_NEWNET) == 0, "entering " + name);
  ::close(fd);
}

sockaddr_in address_of(const std::string& ip, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  ::inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
  return out;
}

std::string text_of(const sockaddr_in& address) {
  char buffer[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &address.sin_addr, buffer, sizeof buffer);
}

int listen_on(uint16_t port, int type) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in any = address_of("0.0.0.0", port);
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0, "bind");
  if (type == SOCK_STREAM) check(::listen(fd, 64) == 0, "listen");
  return fd;
}

void answer_one(int tcp, int udp, const std::string& name) {
  pollfd entries[] = {{tcp, POLLIN, 0}, {udp, POLLIN, 0}};
  if (::poll(entries, 2, 50) <= 0) return;
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  if (entries[0].revents != 0) {
    const int fd = ::accept4(tcp, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
    const std::string words = name + " " + text_of(peer);
    if (fd >= 0) (void)::send(fd, words.data(), words.size(), MSG_NOSIGNAL);
    ::close(fd);
  }
  if (entries[1].revents != 0) {
    char buffer[64];
    (void)::recvfrom(udp, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    const std::string words = name + " " + text_of(peer);
    (void)::sendto(udp, words.data(), words.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
  }
}

std::string failure() {
  if (errno == ECONNREFUSED) return "refused";
  if (errno == ETIMEDOUT || errno == EAGAIN || errno == EINPROGRESS) return "timeout";
  return fmt::format("error {}", errno);
}

std::string ask_here(const std::string& address, uint16_t port, bool udp, int timeout_ms) {
  const int fd = ::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  const timeval limit{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const sockaddr_in to = address_of(address, port);
  std::string out;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
      (udp && ::send(fd, "?", 1, MSG_NOSIGNAL) != 1)) {
    out = failure();
  } else {
    char buffer[256];
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    out = got > 0 ? std::string(buffer, static_cast<size_t>(got)) : got == 0 ? "closed" : failure();
  }
  ::close(fd);
  return out;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

NetLab::NetLab() {
  check(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "unshare");
  check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  std::filesystem::create_directories("/run/netns");
  check(::mount("tmpfs", "/run/netns", "tmpfs", 0, nullptr) == 0, "mount of /run/netns");
  // The lock of iptables' older backend, and what CNI remembers, are the machine's elsewhere.
  for (const char* path : {"/var/lib/cni"}) {
    if (std::filesystem::exists(path)) check(::mount("tmpfs", path, "tmpfs", 0, nullptr) == 0, path);
  }
  std::string name = std::filesystem::temp_directory_path() / "orlop-net.XXXXXX";
  check(::mkdtemp(name.data()) != nullptr, "mkdtemp");
  folder_ = name;
  run({"ip", "link", "set", "lo", "up"});
}

NetLab::~NetLab() {
  stopping_ = true;
  for (std::thread& server : servers_) server.join();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string NetLab::run(const std::vector<std::string>& arguments, const std::string& input) {
  auto output = run_checked(runner_, arguments, input, std::chrono::seconds(30));
  if (!output) throw std::runtime_error(output.message());
  return *output;
}

void NetLab::add_stranger() {
  run({"ip", "netns", "add", "stranger"});
  run({"ip", "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", "stranger"});
  run({"ip", "addr", "add", "192.0.2.1/24", "dev", "outside"});
  run({"ip", "link", "set", "outside", "up"});
  run({"ip", "route", "add", "default", "via", "192.0.2.2"});
  run({"ip", "-n", "stranger", "link", "set", "lo", "up"});
  run({"ip", "-n", "stranger", "addr", "add", "192.0.2.2/24", "dev", "eth0"});
  run({"ip", "-n", "stranger", "link", "set", "eth0", "up"});
  run({"ip", "-n", "stranger", "route", "add", "10.96.0.0/16", "via", "192.0.2.1"});
}

std::string NetLab::add_pod(const std::string& name, const std::string& container,
                            const std::filesystem::path& conf_dir) {
  run({"ip", "netns", "add", name});
  run({"ip", "-n", name, "link", "set", "lo", "up"});
  std::string list;
  for (const auto& entry : std::filesystem::directory_iterator(conf_dir)) list = read_file(entry.path());
  // The first plugin of the list, given name and version as a runtime gives them.
  const size_t begin = list.find('{', list.find("\"plugins\""));
  size_t end = begin;
  for (int depth = 0; end < list.size(); ++end) {
    depth += list[end] == '{' ? 1 : list[end] == '}' ? -1 : 0;
    if (depth == 0) break;
  }
  const std::string config = "{\"cniVersion\":\"0.4.0\",\"name\":\"orlop\"," + list.substr(begin + 1, end - begin);
  const std::string result =
      run({"env", "CNI_COMMAND=ADD", "CNI_CONTAINERID=" + container, "CNI_NETNS=/run/netns/" + name, "CNI_IFNAME=eth0",
           "CNI_PATH=/usr/lib/cni", "/usr/lib/cni/bridge"},
          config);
  const size_t address = result.find("\"address\": \"") + 12;
  return result.substr(address, result.find('/', address) - address);
}

void NetLab::lose_pod(const std::string& name) {
  run({"ip", "netns", "del", name});
}

void NetLab::serve(const std::string& where, uint16_t tcp_port, uint16_t udp_port) {
  std::atomic<bool> listening{false};
  servers_.emplace_back([this, where, tcp_port, udp_port, &listening] {
    enter(where);
    const int tcp = listen_on(tcp_port, SOCK_STREAM);
    const int udp = listen_on(udp_port, SOCK_DGRAM);
    listening = true;
    listening.notify_all();
    while (!stopping_) answer_one(tcp, udp, where);
    ::close(tcp);
    ::close(udp);
  });
  listening.wait(false);
}

std::string NetLab::ask(const std::string& from, const std::string& address, uint16_t port, bool udp, int timeout_ms) {
  std::string out;
  std::thread client([&] {
    enter(from);
    out = ask_here(address, port, udp, timeout_ms);
  });
  client.join();
  return out;
}

}  // namespace orlop::net::testing
