// What is measured: a Kubernetes API by its address, or an orlopd that is started for the purpose and removed
// afterwards.
//
// Threads: one.
#pragma once

#include "tests/bench/http_client.hpp"

#include <string>
#include <vector>

#include <sys/types.h>

namespace orlop::bench {

// How much memory the processes of a server hold. Units: bytes.
struct Memory {
  uint64_t resident = 0;   // VmRSS, the sum; pages that processes share count in each
  uint64_t anonymous = 0;  // RssAnon: what cannot be dropped, unlike the store's mapped file
  uint64_t share = 0;      // PSS: shared pages divided among those that share them
  std::size_t processes = 0;
};

// The current context of a kubeconfig. kBadRequest: it cannot be read, names what is not there, or wants a credential
// plugin, which this program does not run.
Result<Endpoint> endpoint_of_kubeconfig(const std::string& file);
// https://HOST[:PORT]; kBadRequest else.
Status set_server(Endpoint& endpoint, std::string_view url);
Result<std::string> read_file(const std::string& file);

// The processes of a server: its roots and all that descend from them now.
class ProcessTree {
 public:
  ProcessTree() = default;
  explicit ProcessTree(std::vector<pid_t> roots) : roots_(std::move(roots)) {}
  [[nodiscard]] bool known() const { return !roots_.empty(); }
  [[nodiscard]] std::vector<pid_t> members() const;
  [[nodiscard]] Memory memory() const;
  [[nodiscard]] double cpu_seconds() const;  // user and system, of those that live

 private:
  std::vector<pid_t> roots_;
};

struct DaemonOptions {
  std::string program;        // orlopd
  std::string folder;         // everything is made below it
  std::string agent_hosting;  // node-agent: inline or isolated
  std::size_t hollow_nodes = 0;
  std::size_t threads = 0;  // of the API; 0: its default
};

// An orlopd with folders and a port of its own. Stopped, and its folder removed, at the end of its life.
class Daemon {
 public:
  static Result<std::unique_ptr<Daemon>> make(DaemonOptions options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Starts it and waits until `list_path` is served with 200. The time from the start of the process; unit: seconds.
  Result<double> start(const std::string& list_path);
  void stop();
  [[nodiscard]] bool running() const { return process_ > 0; }
  [[nodiscard]] ProcessTree processes() const { return ProcessTree({process_}); }
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] std::string log_end() const;
  // ext2/ext3/ext4, overlayfs, tmpfs, …: what the durable writes go to.
  [[nodiscard]] std::string filesystem() const;

 private:
  explicit Daemon(DaemonOptions options) : options_(std::move(options)) {}
  Status write_config();
  Status spawn();

  DaemonOptions options_;
  uint16_t port_ = 0;
  pid_t process_ = -1;
  Endpoint endpoint_;
};

}  // namespace orlop::bench
