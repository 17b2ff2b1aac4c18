// The Node object and its Lease: that this machine is here, what it has, and that it lives.
//
// Follows the kubelet: the Node is made when absent (labels, capacity, addresses, conditions), its status is written
// when it changes and every 5 minutes, its Lease in kube-node-lease every `lease_seconds`.
//
// Threads: one of its own between start() and stop().
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/core_v1.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/images/image_garbage.hpp"
#include "plugins/node-agent/machine.hpp"
#include "plugins/node-agent/pressure/pressure_state.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace orlop::agent {

class NodeRegistration {
 public:
  NodeRegistration(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine,
                   const NodeConditions& conditions);
  ~NodeRegistration() { stop(); }

  // Reports the plugin ready once every node is registered.
  void start();
  void stop();
  // status.images of the Node, told soon. Any thread.
  void set_images(NodeImages images);

 private:
  using Node = k8s::io::api::core::v1::Node;
  struct Readiness {
    bool ready = false;
    std::string reason, message, version;
  };

  void loop();
  Readiness ask_runtime() const;
  [[nodiscard]] bool stands_as_told(const std::string& name, const Readiness& readiness) const;
  Status register_nodes(const std::vector<std::string>& names, const Readiness& readiness);
  void fill_status(Node& node, const Readiness& readiness);
  Status commit(v1::CommitRequest& request) const;
  Status renew_leases();
  void prepare_network(const std::string& node);

  Host host_;
  const AgentConfig& config_;
  const RuntimeClient& runtime_;
  const Machine& machine_;
  const NodeConditions& conditions_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool running_ = false;         // guarded by mutex_
  NodeImages images_;            // guarded by mutex_
  bool images_changed_ = false;  // guarded by mutex_
  std::thread thread_;
  std::string prepared_cidr_;  // the thread's own
};

}  // namespace orlop::agent
