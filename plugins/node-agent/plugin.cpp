// ABI glue alone: builds the agent's parts and hands them what comes in.
#include "orlop/plugin.hpp"

#include "orlop/rpc.hpp"
#include "orlop/v1/runtime.pb.h"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/garbage/upkeep.hpp"
#include "plugins/node-agent/logs/log_server.hpp"
#include "plugins/node-agent/machine.hpp"
#include "plugins/node-agent/node_registration.hpp"
#include "plugins/node-agent/node_service.hpp"
#include "plugins/node-agent/pod_controller.hpp"
#include "plugins/node-agent/pressure/node_observer.hpp"
#include "plugins/node-agent/pressure/oom_watcher.hpp"
#include "plugins/node-agent/pressure/pressure_manager.hpp"
#include "plugins/node-agent/stats/node_stats.hpp"
#include "plugins/node-agent/stats/usage_source.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <sys/stat.h>

namespace orlop::agent {

class NodeAgent final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    config_ = read_config(config);
    ORLOP_ASSIGN(config_.resources, read_resources_config(config));
    ORLOP_TRY(make_folder(config_.pods_folder, 0750));
    ORLOP_TRY(make_folder(config_.logs_folder, 0755));
    machine_ = read_machine(config_);
    return Status::ok();
  }

  Status start() override {
    runtime_ = std::make_unique<RuntimeClient>(host(), config_.runtime);
    network_ = std::make_unique<NetworkChecks>();
    auto pods = std::make_unique<PodController>(host(), config_, *runtime_, machine_, network_.get());
    pods_ = pods.get();
    if (!config_.hollow) {
      // Pods without limits run all the same; those with limits tell what is wrong.
      const Status prepared = pods_->prepare_node();
      if (!prepared) host().log_warn("the cgroups for pods: " + prepared.message());
      static_pods_ =
          std::make_unique<StaticPods>(host(), config_.static_pods_folder, config_.node_names.front(),
                                       [this](const std::set<ObjectKey>& keys) { pods_->static_changed(keys); });
      pods_->set_static_pods(*static_pods_);
    }
    network_->start([this] { return host().monotonic_now_ns(); }, [this] { return pods_->tick(); });
    controllers_ = std::make_unique<ControllerSet>(host());
    controllers_->add(std::move(pods));
    logs_ = std::make_unique<LogServer>(host(), config_.run_folder + "/logs.sock");
    ORLOP_TRY(logs_->start());
    stats_ = std::make_unique<NodeStats>(host(), config_, *runtime_, usage_source());
    stats_->start();
    service_ = std::make_unique<NodeService>(host(), config_, *runtime_, *logs_, *stats_);
    service_->start();
    router_ = std::make_unique<ServiceRouter>(host());
    router_->add(*service_);
    registration_ = std::make_unique<NodeRegistration>(host(), config_, *runtime_, machine_, pods_->conditions());
    registration_->start();
    if (static_pods_) {
      const Status read = static_pods_->start();
      if (!read) host().log_warn(read.message());
    }
    if (!config_.hollow) {
      upkeep_ = std::make_unique<Upkeep>(
          host(), config_, *runtime_, [this] { return pods_->uids(); },
          [this](const std::string& uid) { return pods_->remove_leftovers(uid); },
          [this] { registration_->set_images(upkeep_->images().node_images()); });
      upkeep_->start();
    }
    ORLOP_TRY(controllers_->start());
    if (!config_.hollow) start_pressure();
    running_ = true;
    events_ = std::thread([this] { follow_runtime(); });
    return Status::ok();
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
      stopped_.notify_all();
    }
    if (oom_) oom_->stop();
    if (pressure_) pressure_->stop();
    if (static_pods_) static_pods_->stop();
    if (upkeep_) upkeep_->stop();
    if (registration_) registration_->stop();
    if (network_) network_->stop();
    if (controllers_) controllers_->stop();
    if (service_) service_->stop();
    if (stats_) stats_->stop();
    if (logs_) logs_->stop();
    if (events_.joinable()) events_.join();
  }

  void wake(uint32_t) override {
    if (controllers_) controllers_->wake();
  }
  void handle_call(Call call) override { router_->handle(call); }

 private:
  static constexpr uint32_t kEventsDeadlineMs = 1000;  // also how long stop() may take

  void start_pressure() {
    observer_ = std::make_unique<NodeObserver>(config_, *runtime_, usage_source());
    PressureActions actions;
    actions.observe = [this] { return observer_->observe(); };
    actions.measure = [this] { return observer_->measure(); };
    actions.measure_disk = [this](const std::set<std::string>& uids) { return observer_->measure_disk(uids); };
    actions.evict = [this](const ObjectKey& key, const std::string& uid, const std::string& reason,
                           const std::string& message,
                           std::optional<int64_t> grace_s) { return pods_->evict(key, uid, reason, message, grace_s); };
    actions.reclaim_disk = [this](int64_t bytes) {
      std::set<std::string> ended;
      static_cast<void>(Objects<kube::Pod>(host()).each("", "node/" + config_.node_names.front(),
                                                        [&](const RecordView&, kube::Pod& pod) {
                                                          if (kube::is_terminal(pod))
                                                            ended.insert(pod.metadata().uid());
                                                          return true;
                                                        }));
      observer_->remove_dead_containers(ended);
      const auto freed = upkeep_->images().free_bytes(bytes);
      if (!freed) host().log_warn("images could not be removed: " + freed.message());
      upkeep_->note_event();
    };
    pressure_ = std::make_unique<PressureManager>(host(), config_.node_names.front(), config_.resources.eviction,
                                                  std::move(actions), pods_->conditions());
    pressure_->start(pods_->cgroups());
    oom_ = std::make_unique<OomWatcher>(host(), config_.node_names.front());
    oom_->start();
  }

  std::unique_ptr<UsageSource> usage_source() {
    if (config_.hollow) return std::make_unique<HollowSource>(host(), config_, *runtime_);
    return std::make_unique<CgroupSource>(host(), *runtime_, CgroupTree());
  }

  // Asks for what happens in the runtime, for as long as the plugin runs.
  void follow_runtime() {
    v1::RuntimeEventsRequest request;
    bool swept = false;
    while (running_) {
      auto events = call<v1::RuntimeEventsResponse>(host(), {"runtime", config_.runtime, kEventsDeadlineMs},
                                                    "orlop.v1.Runtime/Events", request);
      if (!events) {
        // The runtime is away: asked again soon, at once when it is time to stop.
        if (events.code() != Code::kTimeout) pause();
        continue;
      }
      if (!swept) swept = pods_->sweep().is_ok();
      if (events->lost()) {
        pods_->runtime_changed("");
        swept = pods_->sweep().is_ok();
      }
      for (const auto& event : events->events()) pods_->runtime_changed(event.container_id());
      if (upkeep_ && (events->lost() || events->events_size() > 0)) upkeep_->note_event();
      request.set_cursor(events->cursor());
      request.set_instance(events->instance());
    }
  }

  void pause() {
    std::unique_lock lock(mutex_);
    stopped_.wait_for(lock, std::chrono::milliseconds(50), [this] { return !running_; });
  }

  AgentConfig config_;
  Machine machine_;
  std::unique_ptr<RuntimeClient> runtime_;
  std::unique_ptr<NetworkChecks> network_;
  std::unique_ptr<ControllerSet> controllers_;
  std::unique_ptr<StaticPods> static_pods_;  // null on hollow nodes
  PodController* pods_ = nullptr;            // owned by controllers_
  std::unique_ptr<LogServer> logs_;
  std::unique_ptr<NodeStats> stats_;
  std::unique_ptr<NodeService> service_;
  std::unique_ptr<ServiceRouter> router_;
  std::unique_ptr<NodeRegistration> registration_;
  std::unique_ptr<Upkeep> upkeep_;  // null on hollow nodes
  std::unique_ptr<NodeObserver> observer_;
  std::unique_ptr<PressureManager> pressure_;
  std::unique_ptr<OomWatcher> oom_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::atomic<bool> running_ = false;  // written under mutex_
  std::thread events_;
};

}  // namespace orlop::agent

ORLOP_PLUGIN(orlop::agent::NodeAgent)
