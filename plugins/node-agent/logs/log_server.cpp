#include "plugins/node-agent/logs/log_server.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr int64_t kTicketNs = 60'000'000'000;
constexpr size_t kTokenBytes = 16;

Status failed(const std::string& what, const std::string& path) {
  return {Code::kUnavailable, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

std::string random_token() {
  std::array<unsigned char, kTokenBytes> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

// One line, without its line feed; empty when the other side is too slow or says too much.
std::string read_line(int connection) {
  std::string line;
  for (char byte = 0; line.size() < 256;) {
    pollfd wait{connection, POLLIN, 0};
    if (::poll(&wait, 1, 5000) <= 0 || ::read(connection, &byte, 1) != 1) return {};
    if (byte == '\n') return line;
    line += byte;
  }
  return {};
}

}  // namespace

Status LogServer::start() {
  ::unlink(socket_path_.c_str());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path_.size() >= sizeof address.sun_path) {
    return {Code::kInvalid,
            "the path of the log socket is too long: " + socket_path_ + "; choose a shorter run folder"};
  }
  std::memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size());
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_event_ = ::eventfd(0, EFD_CLOEXEC);
  if (listener_ < 0 || stop_event_ < 0) return failed("make a socket for", socket_path_);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return failed("listen at", socket_path_);
  ::chmod(socket_path_.c_str(), 0600);
  if (::listen(listener_, 64) != 0) return failed("listen at", socket_path_);
  running_ = true;
  thread_ = std::thread([this] { accept_loop(); });
  return Status::ok();
}

void LogServer::stop() {
  if (!running_.exchange(false)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  reap(true);
  ::close(listener_);
  ::close(stop_event_);
  ::unlink(socket_path_.c_str());
}

std::string LogServer::open(LogOptions options) {
  const int64_t now = host_.monotonic_now_ns();
  const std::lock_guard lock(mutex_);
  std::erase_if(tickets_, [now](const auto& entry) { return entry.second.until_ns < now; });
  std::string token = random_token();
  tickets_[token] = {std::move(options), now + kTicketNs};
  return token;
}

void LogServer::accept_loop() {
  while (running_) {
    std::array<pollfd, 2> waits{{{listener_, POLLIN, 0}, {stop_event_, POLLIN, 0}}};
    ::poll(waits.data(), waits.size(), -1);
    if (waits[1].revents != 0) return;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    reap(false);
    Session& session = sessions_.emplace_back();
    session.thread = std::thread([this, connection, &session] {
      serve(connection);
      ::close(connection);
      session.done = true;
    });
  }
}

void LogServer::reap(bool all) {
  for (auto session = sessions_.begin(); session != sessions_.end();) {
    if (!all && !session->done) {
      ++session;
      continue;
    }
    session->thread.join();
    session = sessions_.erase(session);
  }
}

void LogServer::serve(int connection) {
  const std::string token = read_line(connection);
  LogOptions options;
  {
    const std::lock_guard lock(mutex_);
    const auto found = tickets_.find(token);
    if (found == tickets_.end()) return;
    options = std::move(found->second.options);
    tickets_.erase(found);
  }
  const Status status = read_log(options, stop_event_, connection, [connection](std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  });
  if (!status) host_.log_warn("a log could not be sent: " + status.message());
}

}  // namespace orlop::agent
