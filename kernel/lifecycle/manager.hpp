// The life of all plugins: order, start, supervision, stop.
//
// States, as PluginState of orlop/v1/kernel.proto shows them:
//   Waiting      for what it requires; the reason says for whom
//   Starting     create, init, start, and for a provider of kinds the question which ones
//   Running      takes calls
//   Backoff      faulted (isolated only); is started again by itself, see restart_policy.hpp
//   Quarantined  faulted too often; started again by command only
//   Stopped      by command, or with the kernel
//   Failed       cannot run: its file, manifest, settings or requirements, or its own init said no. By command only
// A plugin that fails never keeps another one from starting that does not require it. Calls to one that is not Running
// are answered kUnavailable at once. Start order follows requirements; stop order is the reverse of the start order.
//
// Threads: every method from any thread. All decisions are made on one lane; nothing waits on it.
#pragma once

#include "kernel/lifecycle/hosting.hpp"
#include "kernel/lifecycle/lane.hpp"
#include "kernel/lifecycle/plan.hpp"
#include "kernel/lifecycle/prepare.hpp"
#include "kernel/lifecycle/process.hpp"
#include "kernel/lifecycle/restart_policy.hpp"
#include "orlop/result.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orlop::v1 {
class PluginState;
}

namespace orlop::lifecycle {

struct ManagerOptions {
  std::string node_name;
  Folders folders;
  std::string host_program;  // orlop-host
  int64_t hang_ns = 400'000'000;
  int64_t start_ns_max = 60'000'000'000;  // an isolated plugin that takes longer is at fault
  int64_t stop_ns_max = 5'000'000'000;
  std::function<void()> on_settled;  // may be empty; on the lane, each time that nothing is on its way any more
};

class Manager {
 public:
  using StatesFunction = std::function<void(std::vector<v1::PluginState>)>;

  // `kernel` and `processes` outlive it. `specs`: in the order of the configuration, names unique.
  Manager(const KernelParts& kernel, ProcessHub& processes, ManagerOptions options, std::vector<PluginSpec> specs);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Begins to start everything; returns at once.
  void start();
  // Until nothing is on its way any more: each plugin runs, or will not by itself soon. False: the time passed.
  bool wait_settled(int64_t timeout_ns);
  // Stops all, in order, and waits for it. At most stop_ns_max for each plugin.
  void stop();

  // `name` empty: all. The function runs on the manager's lane.
  void states(std::string name, StatesFunction function);
  // kNotFound: there is no such plugin. Answered when the command is accepted.
  void restart(std::string name, std::function<void(Status)> done);

 private:
  enum class State { kWaiting, kStarting, kRunning, kBackoff, kQuarantined, kStopped, kFailed };
  struct Instance {
    PluginSpec spec;
    uint32_t order = 0;
    std::optional<Manifest> manifest;
    PlanEntry plan;  // indices into instances_
    std::string settings;
    State state = State::kWaiting;
    std::string reason;
    bool blocked = false;  // Waiting, for somebody who will not come by himself
    bool reported_ready = false;
    std::string ready_reason;
    std::string health_reason;
    uint32_t restarts = 0;
    int64_t started_unix_ns = 0;
    int64_t running_since_ns = 0;
    uint64_t start_sequence = 0;
    RestartPolicy policy;
    std::shared_ptr<Hosting> hosting;
    uint64_t run = 0;  // counts runs: news of an earlier one is dropped
    bus::Timer::Id timer = 0;
    bool restart_after_stop = false;
  };
  using Action = void (Manager::*)(Instance&, const Status&);

  static const char* name_of(State state);
  // Posts a function that runs only if the instance is still in the same run.
  std::function<void(Status)> later(Instance& instance, Action action);
  void post(Instance& instance, std::function<void(Instance&)> function);
  void after(Instance& instance, int64_t ns, std::function<void(Instance&)> function);

  void prepare_all();
  void plan_all();
  void advance();
  void look_at(Instance& instance);
  void begin_run(Instance& instance);
  void on_init(Instance& instance, const Status& status);
  void on_started(Instance& instance, const Status& status);
  void describe(Instance& instance);
  void on_described(Instance& instance, Code code, const std::string& payload);
  void run_on(Instance& instance);
  void fault(Instance& instance, const std::string& reason);
  void fail(Instance& instance, const std::string& reason);
  void release(Instance& instance, const std::string& reason);
  void cancel_timer(Instance& instance);
  void begin_stop(Instance& instance);
  void on_stopped(Instance& instance, const Status& status);
  void stop_next();
  void changed();
  [[nodiscard]] bool hopeless(const Instance& instance) const;
  void describe_state(const Instance& instance, v1::PluginState& out) const;
  [[nodiscard]] std::string why_not_ready(const Instance& instance) const;

  const KernelParts kernel_;
  ProcessHub& processes_;
  const ManagerOptions options_;
  std::vector<std::unique_ptr<Instance>> instances_;  // of the lane
  uint64_t next_start_ = 1;                           // of the lane
  bool stopping_ = false;                             // of the lane

  std::mutex mutex_;
  std::condition_variable settled_changed_;
  bool settled_ = false;  // guarded by mutex_
  bool stopped_ = false;  // guarded by mutex_
  Lane lane_;
};

}  // namespace orlop::lifecycle
