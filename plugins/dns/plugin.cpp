// The glue between the ABI, the cluster's zone and the server: one thread follows the store, one answers.
#include "orlop/plugin.hpp"

#include "plugins/dns/cluster.hpp"
#include "plugins/dns/kube_dns.hpp"
#include "plugins/dns/server.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace orlop::dns {
namespace {

namespace asio = boost::asio;

constexpr int64_t kRetryNs = 500'000'000;
constexpr std::chrono::seconds kServersAnew(5);  // how often resolv.conf is read

}  // namespace

class Dns final : public Plugin {
 public:
  using Plugin::Plugin;
  ~Dns() override { stop(); }

  Status init(const Config& config) override {
    Cluster::Settings cluster;
    cluster.domain = config.text("domain", "cluster.local");
    cluster.ttl = static_cast<uint32_t>(config.integer("ttl", 5));
    cluster.node = config.node_name();
    cluster.cluster_ip = config.text("cluster_ip");
    if (!name_of(cluster.domain)) return {Code::kInvalid, "domain: \"" + cluster.domain + "\" is no domain name"};
    if (cluster.domain.ends_with('.')) cluster.domain.pop_back();
    node_ = cluster.node;
    listen_address_ = config.text("listen_address");
    port_ = static_cast<uint16_t>(config.integer("port", 10053));
    resolv_conf_ = config.text("resolv_conf", "/etc/resolv.conf");
    for (const std::string& text : config.texts("upstreams")) {
      const auto server = server_of(text);
      if (!server) return {Code::kInvalid, "upstreams: \"" + text + "\" is no ADDRESS or ADDRESS:PORT"};
      upstreams_.push_back(*server);
    }
    ForwardSettings forward;
    forward.cache.entries_most = static_cast<size_t>(config.integer("cache_entries", 10'000));
    forward.cache.seconds_most = static_cast<uint32_t>(config.integer("cache_seconds", 3600));
    answers_ = std::make_unique<Answers>(zone_, AnswerSettings{cluster.domain, cluster.ttl});
    cluster_ = std::make_unique<Cluster>(host(), std::move(cluster), zone_);
    forwarder_ = std::make_unique<Forwarder>(
        io_, forward, [this] { return host().monotonic_now_ns(); },
        [this] { host().log_error("the upstream servers lead back to the cluster's DNS: nothing is forwarded"); });
    return Status::ok();
  }

  Status start() override {
    ORLOP_TRY(host().subscribe(cluster_->kinds()));
    running_ = woken_ = true;
    guard_.emplace(io_.get_executor());
    server_thread_ = std::thread([this] { io_.run(); });
    cluster_thread_ = std::thread([this] { run(); });
    return Status::ok();
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
    }
    changed_.notify_all();
    if (cluster_thread_.joinable()) cluster_thread_.join();
    guard_.reset();
    io_.stop();
    if (server_thread_.joinable()) server_thread_.join();
    server_.reset();
    forwarder_.reset();
  }

  void wake(uint32_t) override {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (running_) {
      woken_ = false;
      lock.unlock();
      const Status status = pass();
      if (!status.is_ok()) {
        if (status.message() != told_) host().log_warn(status.message());
        host().wake_at(host().monotonic_now_ns() + kRetryNs);
      }
      told_ = status.is_ok() ? "" : status.message();
      lock.lock();
      changed_.wait(lock, [this] { return woken_ || !running_; });
    }
  }

  Status pass() {
    const auto followed = cluster_->follow();
    if (!followed) return {followed.code(), "cannot follow the store: " + followed.message()};
    const std::string service = cluster_->service_address();
    const std::string address = listen_address_.empty() ? cluster_->bridge_address() : listen_address_;
    if (!address.empty() && address != listening_) ORLOP_TRY(listen(address, service));
    if (service.empty()) return Status::ok();  // the API makes its own Service first, which wakes us
    const Status kept = keep_kube_dns(host(), service, node_, listening_, port_);
    if (kept.is_ok() || kept.code() == Code::kConflict) return kept;
    return {kept.code(), "Service kube-dns cannot be kept: " + kept.message()};
  }

  // The sockets belong to the other thread.
  Status listen(const std::string& address, const std::string& service) {
    std::promise<Status> outcome;
    auto future = outcome.get_future();
    asio::post(io_, [&] {
      own_ = {address, service};
      server_.reset();
      server_ = std::make_unique<DnsServer>(io_, *answers_, *forwarder_);
      outcome.set_value(server_->listen(address, port_));
      read_servers();
    });
    const Status status = future.get();
    listening_ = status.is_ok() ? address : "";
    if (status.is_ok()) host().log_info("answers at " + address + ":" + std::to_string(port_));
    return status;
  }

  // On the server's thread, again and again.
  void read_servers() {
    std::vector<Server> servers = upstreams_;
    if (servers.empty()) {
      std::ifstream file(resolv_conf_);
      servers = servers_of(file);
    }
    // Where we are reached ourselves.
    std::erase_if(servers, [this](const Server& server) {
      return (server.port == 53 || server.port == port_) &&
             std::find(own_.begin(), own_.end(), server.address) != own_.end();
    });
    forwarder_->set_servers(servers);
    servers_timer_.expires_after(kServersAnew);
    servers_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) read_servers();
    });
  }

  std::string node_, listen_address_, resolv_conf_;
  uint16_t port_ = 0;
  std::vector<Server> upstreams_;

  Zone zone_;
  std::unique_ptr<Answers> answers_;

  // The server's thread; before and after it, start() and stop().
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_;
  asio::steady_timer servers_timer_{io_};
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<DnsServer> server_;
  std::vector<std::string> own_;

  // The cluster's thread alone.
  std::unique_ptr<Cluster> cluster_;
  std::string listening_, told_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;  // guarded by mutex_, as is woken_
  bool woken_ = false;
  std::thread server_thread_, cluster_thread_;  // start() and stop() alone
};

}  // namespace orlop::dns

ORLOP_PLUGIN(orlop::dns::Dns)
