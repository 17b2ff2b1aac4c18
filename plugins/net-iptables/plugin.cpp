// The glue between the ABI, PodNetwork and Proxy, and the thread that does what may block.
#include "orlop/plugin.hpp"

#include "orlop/rpc.hpp"
#include "orlop/v1/network.pb.h"
#include "orlop/wire.hpp"
#include "plugins/net-iptables/decode.hpp"
#include "plugins/net-iptables/pod_network.hpp"
#include "plugins/net-iptables/proxy.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace orlop::net {

namespace {

constexpr std::chrono::minutes kLeasePeriod(10);
constexpr int64_t kSettledSeconds = 120;  // a sandbox that is being made is known to the runtime by then

// Ids out of runtime.v1.ListPodSandboxResponse: field 1, repeated PodSandbox, whose field 1 is the id.
Result<std::set<std::string>> sandbox_ids(std::string_view response) {
  std::set<std::string> ids;
  wire::Walker items(response);
  wire::Field item;
  while (items.next(item)) {
    if (item.number != 1 || item.type != wire::Type::kBytes) continue;
    wire::Walker sandbox(item.bytes);
    wire::Field field;
    while (sandbox.next(field)) {
      if (field.number == 1 && field.type == wire::Type::kBytes) ids.emplace(field.bytes);
    }
    if (sandbox.malformed()) return Status(Code::kInternal, "the runtime's list of sandboxes cannot be read");
  }
  if (items.malformed()) return Status(Code::kInternal, "the runtime's list of sandboxes cannot be read");
  return ids;
}

// Functions in their order, on one thread; and one of them again and again.
class Worker {
 public:
  ~Worker() { stop(); }
  void start(std::chrono::seconds period, std::function<void()> regular) {
    running_ = true;
    period_ = period;
    regular_ = std::move(regular);
    thread_ = std::thread([this] { run(); });
  }
  // What has not begun is dropped.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  void add(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const bool asked = changed_.wait_for(lock, period_, [this] { return !running_ || !tasks_.empty(); });
      if (!running_) return;
      auto task = regular_;
      if (asked) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool running_ = false;                     // guarded by mutex_
  std::chrono::seconds period_{};            // constant while the thread runs, as is regular_
  std::function<void()> regular_;
  std::thread thread_;
};

}  // namespace

class NetIptables final : public Plugin, private v1::Network, private v1::Proxy {
 public:
  explicit NetIptables(Host host) : Plugin(host), router_(host) {
    router_.add(static_cast<v1::Network&>(*this));
    router_.add(static_cast<v1::Proxy&>(*this));
  }

  Status init(const Config& config) override {
    const std::string node = config.text("node").empty() ? config.node_name() : config.text("node");
    NetworkSettings network;
    network.node = node;
    network.bridge = config.text("bridge", network.bridge);
    if (network.bridge.empty() || network.bridge.size() > 15 || network.bridge.find('/') != std::string::npos) {
      return {Code::kInvalid, "bridge: \"" + network.bridge + "\" is no name of a network interface (1 to 15 bytes)"};
    }
    network.mtu = static_cast<uint32_t>(config.integer("mtu", 0));
    network.localhost_node_ports = config.boolean("localhost_node_ports", true);
    network.routes = config.boolean("routes", true);
    network.conf_dir = config.text("cni_conf_dir");
    if (network.conf_dir.empty()) network.conf_dir = config.folder("run") + "/cni/net.d";
    network.bin_dir = config.text("cni_bin_dir", "/usr/lib/cni");
    network.data_dir = config.folder("own_data");

    ProxySettings proxy;
    proxy.node = node;
    for (std::string& range : config.texts("cluster_cidrs")) {
      if (!is_ipv4_range(range)) return {Code::kInvalid, "cluster_cidrs: \"" + range + "\" is no IPv4 range"};
      proxy.cluster_cidrs.push_back(std::move(range));
    }
    proxy.mark = 1u << config.integer("masquerade_bit", 14);
    proxy.localhost_node_ports = network.localhost_node_ports;
    proxy.debounce = std::chrono::milliseconds(config.integer("debounce_ms", 2));
    proxy.verify_every = std::chrono::seconds(config.integer("verify_seconds", 60));

    network_ = std::make_unique<PodNetwork>(std::move(network), runner_);
    iptables_ = std::make_unique<Iptables>(runner_, config.text("backend", "auto"));
    proxy_ = std::make_unique<orlop::net::Proxy>(host(), std::move(proxy), runner_, *iptables_,
                                                 [this](const std::vector<Node>& nodes) { route(nodes); });
    return Status::ok();
  }

  Status start() override {
    worker_.start(kLeasePeriod, [this] { free_leases(host().wall_now_ns() / 1'000'000'000, kSettledSeconds); });
    return proxy_->start();
  }

  void stop() override {
    proxy_->stop();
    worker_.stop();
  }

  void wake(uint32_t) override { proxy_->wake(); }
  void handle_call(Call call) override { router_.handle(call); }

 private:
  void Prepare(google::protobuf::RpcController* controller, const v1::NetworkPrepareRequest* request,
               v1::NetworkPrepareResponse* response, google::protobuf::Closure* done) override {
    worker_.add([this, controller, request, response, done] {
      const std::vector<std::string> ranges(request->pod_cidrs().begin(), request->pod_cidrs().end());
      // Where the run folder is new no pod is being made yet: whatever lease is there now is old.
      const bool first = !network_->was_prepared();
      const int64_t now_s = host().wall_now_ns() / 1'000'000'000;
      const Status status = network_->prepare(request->node(), ranges);
      if (status.is_ok()) {
        proxy_->set_pod_cidrs(request->node(), ipv4_of(ranges));
        response->set_cni_conf_dir(network_->settings().conf_dir);
        response->set_cni_bin_dir(network_->settings().bin_dir);
      } else {
        CallController::of(controller).fail(status);
      }
      done->Run();
      if (status.is_ok()) free_leases(now_s, first ? 1 : kSettledSeconds);
    });
  }

  void State(google::protobuf::RpcController*, const v1::NetworkStateRequest*, v1::NetworkStateResponse* response,
             google::protobuf::Closure* done) override {
    response->set_reason(network_->not_ready());
    response->set_ready(response->reason().empty());
    done->Run();
  }

  void Applied(google::protobuf::RpcController*, const v1::ProxyAppliedRequest*, v1::ProxyAppliedResponse* response,
               google::protobuf::Closure* done) override {
    const ProxyState state = proxy_->state();
    response->set_revision(state.revision);
    response->set_services(state.services);
    response->set_endpoints(state.endpoints);
    response->set_last_apply_us(state.last_apply_us);
    done->Run();
  }

  static std::vector<std::string> ipv4_of(const std::vector<std::string>& ranges) {
    std::vector<std::string> out;
    for (const std::string& range : ranges) {
      if (is_ipv4_range(range)) out.push_back(range);
    }
    return out;
  }

  // On the worker.
  void free_leases(int64_t now_s, int64_t settled_s) {
    const ListSandboxes list = [this]() -> Result<std::set<std::string>> {
      v1::CallTarget target;
      target.set_capability("runtime");
      target.set_method("runtime.v1.RuntimeService/ListPodSandbox");
      target.set_deadline_ms(2000);
      ORLOP_ASSIGN(const std::string answer, host().call_wait(target, ""));
      return sandbox_ids(answer);
    };
    auto freed = network_->free_leases(list, now_s, settled_s);
    if (!freed) {
      host().log_warn("addresses of pods that are gone could not be looked for: " + freed.message());
    } else if (*freed > 0) {
      host().log_info("freed " + std::to_string(*freed) + " addresses of pods that are gone");
    }
  }

  // On the worker. The node agent asks once; after a start with other settings the configuration follows them by this.
  void renew(const std::vector<Node>& nodes) {
    if (!network_->was_prepared()) return;
    for (const Node& node : nodes) {
      if (node.name != network_->settings().node || node.pod_cidrs.empty()) continue;
      const Status status = network_->prepare(node.name, node.pod_cidrs);
      if (!status.is_ok()) host().log_warn("the pods' network: " + status.message());
    }
  }

  // On the proxy's thread.
  void route(const std::vector<Node>& nodes) {
    worker_.add([this, nodes] {
      renew(nodes);
      const Status status = network_->set_routes(nodes);
      if (!status.is_ok()) host().log_warn("a route to the pods of another node: " + status.message());
    });
  }

  ServiceRouter router_;
  PosixProcessRunner runner_;
  std::unique_ptr<PodNetwork> network_;
  std::unique_ptr<Iptables> iptables_;
  std::unique_ptr<orlop::net::Proxy> proxy_;
  Worker worker_;
};

}  // namespace orlop::net

ORLOP_PLUGIN(orlop::net::NetIptables)
