// Tells the service manager how far the daemon is, by the protocol of sd_notify(3): a datagram to $NOTIFY_SOCKET.
#pragma once

#include <cstdint>
#include <string>

namespace orlop::daemon {

// Threads: one. Does nothing where there is no such socket.
class Notifier {
 public:
  // Takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment, so that no child speaks in our name.
  static Notifier from_environment();

  void ready(const std::string& status) const { send("READY=1\nSTATUS=" + status); }
  void stopping() const { send("STOPPING=1\nSTATUS=stopping"); }
  void watchdog() const { send("WATCHDOG=1"); }
  // How often watchdog() is due; 0: never.
  [[nodiscard]] int64_t watchdog_ms() const { return watchdog_ms_; }

 private:
  void send(const std::string& message) const;
  std::string socket_;
  int64_t watchdog_ms_ = 0;
};

}  // namespace orlop::daemon
