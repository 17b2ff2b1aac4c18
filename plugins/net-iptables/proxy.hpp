// Follows Services, EndpointSlices and Nodes and keeps the machine's rules what they ask for.
//
// One thread: it drains the log, makes the rules of those Services that changed, and applies what differs in one
// transaction of each table. At its start, after a failure and when rules are found missing it applies everything anew.
//
// Threads: start() and stop() from one thread; wake(), set_pod_cidrs() and state() from any.
#pragma once

#include "orlop/host.hpp"
#include "orlop/watch.hpp"
#include "plugins/net-iptables/iptables.hpp"
#include "plugins/net-iptables/model.hpp"
#include "plugins/net-iptables/rules.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace orlop::net {

struct ProxySettings {
  std::string node;                        // whose endpoints are local
  std::vector<std::string> cluster_cidrs;  // empty: those of all Nodes
  uint32_t mark = 0x4000;
  bool localhost_node_ports = true;
  std::chrono::milliseconds debounce{2};
  std::chrono::seconds verify_every{60};
};

struct ProxyState {
  uint64_t revision = 0;
  uint32_t services = 0;
  uint32_t endpoints = 0;
  int64_t last_apply_us = 0;
  std::string failure;  // of the last attempt; empty: the rules are what they should be
};

class Proxy {
 public:
  // Told of every change of the set of Nodes, on the proxy's thread.
  using OnNodes = std::function<void(const std::vector<Node>&)>;

  Proxy(Host host, ProxySettings settings, ProcessRunner& runner, Iptables& iptables, OnNodes on_nodes = {});
  ~Proxy() { stop(); }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  Status start();
  // Rules stay: Services go on working without us.
  void stop();
  void wake();
  // What the node agent prepared for; it wins over the Node's own field.
  void set_pod_cidrs(const std::string& node, std::vector<std::string> cidrs);
  [[nodiscard]] ProxyState state() const;

  // One pass, as the thread makes it: what is new, then what is due. For tests, instead of start(). False: something
  // failed and will be tried again.
  bool step();

 private:
  void run();
  void observe(const ChangeView& change);
  void observe_service(const ChangeView& change);
  void observe_slice(const ChangeView& change);
  void observe_node(const ChangeView& change);
  void forget_all();
  void refresh_context();
  ServiceRules rules_for(const ObjectName& id) const;
  Status apply();
  Status apply_all();
  Status apply_changes();
  void verify_when_due();
  void flush_udp(const ServiceRules* before, const ServiceRules& after);
  void report(const Status& status, std::chrono::microseconds took);
  [[nodiscard]] std::vector<const ServiceRules*> applied_rules() const;

  Host host_;
  const ProxySettings settings_;
  ProcessRunner& runner_;
  Iptables& iptables_;
  const OnNodes on_nodes_;
  Watch watch_;

  // The proxy's thread alone.
  std::map<ObjectName, Service> services_;
  std::map<ObjectName, EndpointSlice> slices_;  // by the slice's own name
  std::map<ObjectName, std::set<ObjectName>> slices_of_;
  std::map<std::string, Node> nodes_;
  std::set<ObjectName> dirty_;
  bool nodes_changed_ = true;
  bool resync_ = true;  // what is applied is not known, or the frame has changed
  NodeContext context_;
  std::vector<TableFrame> frame_;
  std::map<ObjectName, ServiceRules> applied_;
  int64_t verify_at_ns_ = 0;
  int64_t retry_at_ns_ = 0;
  int64_t retry_delay_ns_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;  // guarded by mutex_, as all below
  bool woken_ = false;
  bool prepared_changed_ = false;
  std::pair<std::string, std::vector<std::string>> prepared_;
  ProxyState state_;
  std::thread thread_;  // start() and stop() alone
};

}  // namespace orlop::net
