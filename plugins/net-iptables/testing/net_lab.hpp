// A machine to break: a network namespace and a mount namespace of the test's own, in which pods are attached by the
// real CNI programs and a stranger comes from outside. Nothing of it is left when the process ends.
//
// Threads: made and used by the test's main thread, before it has others. Servers have threads of their own, joined by
// the destructor.
#pragma once

#include "plugins/net-iptables/process_runner.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace orlop::net::testing {

class NetLab {
 public:
  // Moves this process into namespaces of its own. Throws std::runtime_error when that is not allowed here.
  NetLab();
  ~NetLab();
  NetLab(const NetLab&) = delete;
  NetLab& operator=(const NetLab&) = delete;

  [[nodiscard]] ProcessRunner& runner() { return runner_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  // Runs a program here and gives its output; throws when it fails.
  std::string run(const std::vector<std::string>& arguments, const std::string& input = {});

  // A network namespace joined to this one: ours is 192.0.2.1, the stranger's 192.0.2.2.
  void add_stranger();
  // A pod by the first conflist in `conf_dir`; gives its address. `container`: its sandbox id.
  std::string add_pod(const std::string& name, const std::string& container, const std::filesystem::path& conf_dir);
  // Its namespace goes without the runtime having told CNI, as in a power cut.
  void lose_pod(const std::string& name);

  // Answers every connection (TCP) and datagram (UDP) on `port` with "NAME PEER-ADDRESS".
  void serve(const std::string& where, uint16_t tcp_port, uint16_t udp_port);

  // What the server answered, or "refused", "timeout", "error N". `from`: a pod, "stranger", or empty for this machine.
  static std::string ask(const std::string& from, const std::string& address, uint16_t port, bool udp = false,
                         int timeout_ms = 2000);

 private:
  PosixProcessRunner runner_;
  std::filesystem::path folder_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> servers_;
};

}  // namespace orlop::net::testing
