// The pods' network of one node: the CNI configuration that the runtime reads, the settings of the kernel that it
// needs, the addresses that pods have been given, and the routes to other nodes' pods.
//
// Interfaces and addresses themselves are made by the CNI programs bridge, host-local and portmap.
//
// Threads: every method from any thread, one at a time is enforced inside; all but ready() may block for some
// milliseconds on files and on `ip`.
#pragma once

#include "orlop/result.hpp"
#include "plugins/net-iptables/model.hpp"
#include "plugins/net-iptables/process_runner.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orlop::net {

struct NetworkSettings {
  std::string node;                  // ours
  std::string bridge = "orlop0";     // at most 15 bytes
  uint32_t mtu = 0;                  // 0: the kernel's choice
  bool localhost_node_ports = true;  // opens net.ipv4.conf.all.route_localnet
  bool routes = true;                // to the pods of other nodes, by way of their addresses
  std::filesystem::path conf_dir;    // where the runtime looks for *.conflist
  std::filesystem::path bin_dir;     // where bridge, host-local, portmap and loopback are
  std::filesystem::path data_dir;    // ours: addresses given, one folder a node
  std::filesystem::path proc = "/proc";
};

// The ids of all sandboxes that the runtime knows; a failure when it cannot be asked.
using ListSandboxes = std::function<Result<std::set<std::string>>()>;

class PodNetwork {
 public:
  PodNetwork(NetworkSettings settings, ProcessRunner& runner) : settings_(std::move(settings)), runner_(runner) {}

  // Idempotent. kInvalid: no IPv4 range among `pod_cidrs`. kUnavailable: a CNI program is absent, or a file cannot be
  // written; says which.
  Status prepare(const std::string& node, const std::vector<std::string>& pod_cidrs);
  // By this process or an earlier one since the machine's start.
  [[nodiscard]] bool was_prepared() const;
  // Empty: pods can be attached. Else why not, in one sentence.
  [[nodiscard]] std::string not_ready() const;

  // Frees the addresses of pods that are no more: all of another boot's, and those of sandboxes that the runtime does
  // not know and that are older than `settled_s`, since one that is being made is not known yet. Returns how many.
  Result<uint32_t> free_leases(const ListSandboxes& sandboxes, int64_t wall_now_s, int64_t settled_s);

  // Routes to the pods of other nodes. Nodes without a range or an address, and ourselves, are left out.
  Status set_routes(const std::vector<Node>& nodes);

  [[nodiscard]] const NetworkSettings& settings() const { return settings_; }
  // dataDir of host-local for a node.
  [[nodiscard]] std::filesystem::path lease_dir(const std::string& node) const;

 private:
  Status check_programs() const;
  Status set_kernel(const std::string& name, const std::string& value, bool needed) const;
  Status prepare_kernel() const;
  void drop_leases_of_other_boots(const std::filesystem::path& folder) const;

  const NetworkSettings settings_;
  ProcessRunner& runner_;
  mutable std::mutex mutex_;
  std::string prepared_node_;  // guarded by mutex_
  std::set<std::string> routed_;
  bool routes_known_ = false;
};

// The content of the CNI configuration (CNI specification 0.4.0). Pure.
std::string conflist_of(const NetworkSettings& settings, const std::filesystem::path& leases, const std::string& range);

}  // namespace orlop::net
