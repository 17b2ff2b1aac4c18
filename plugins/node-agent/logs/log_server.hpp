// Sends the logs of containers: a unix socket; whoever connects gives a token that was handed out for one log.
//
// Threads: one that accepts, one for each connection; all joined by stop(). open() from any thread.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/logs/log_reader.hpp"

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace orlop::agent {

class LogServer {
 public:
  LogServer(Host host, std::string socket_path) : host_(host), socket_path_(std::move(socket_path)) {}
  ~LogServer() { stop(); }

  Status start();
  void stop();
  // The token for one connection; it is good for a minute.
  std::string open(LogOptions options);
  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }

 private:
  struct Ticket {
    LogOptions options;
    int64_t until_ns = 0;
  };
  struct Session {
    std::thread thread;
    std::atomic<bool> done = false;
  };

  void accept_loop();
  void serve(int connection);
  void reap(bool all);

  Host host_;
  std::string socket_path_;
  int listener_ = -1;
  int stop_event_ = -1;
  std::thread thread_;
  std::mutex mutex_;
  std::map<std::string, Ticket> tickets_;  // guarded by mutex_
  std::list<Session> sessions_;            // the accepting thread's own; reaped there and in stop()
  std::atomic<bool> running_ = false;
};

}  // namespace orlop::agent
