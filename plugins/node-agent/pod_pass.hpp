// What the parts of the pod controller share: the agent's context, and one pass over one pod.
#pragma once

#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/node-agent/cgroups/node_cgroups.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/logs/termination_message.hpp"
#include "plugins/node-agent/machine.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/pod_registry.hpp"
#include "plugins/node-agent/pod_status.hpp"
#include "plugins/node-agent/pressure/pressure_state.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace orlop::agent {

// Outlives every part.
struct AgentContext {
  Host host;
  const AgentConfig& config;
  const RuntimeClient& runtime;
  const Machine& machine;
  EventRecorder events;
  Objects<kube::Pod> pods;
  PodRegistry registry;
  NodeCgroups cgroups;
  NodeConditions conditions;

  AgentContext(Host host_, const AgentConfig& config_, const RuntimeClient& runtime_, const Machine& machine_)
      : host(host_),
        config(config_),
        runtime(runtime_),
        machine(machine_),
        events(host_, "kubelet", config_.node_names.front()),
        pods(host_),
        cgroups(CgroupTree(), config_.resources.pids_max) {}
};

// One pass over one pod: what was read, what was found out, when to come again.
struct Pass {
  ObjectKey key;
  Stored<kube::Pod> stored;
  RuntimePod runtime;
  std::shared_ptr<PodMemory> memory;
  std::map<std::string, WaitingReason> waiting;  // by container
  std::map<std::string, RunningView> running;    // by container: those that run
  int64_t again_at_ns = 0;
  bool is_static = false;                   // `stored` is from a file; its status goes to the mirror, if there is one
  std::optional<Stored<kube::Pod>> mirror;  // of a static pod

  [[nodiscard]] const kube::Pod& pod() const { return stored.object; }
  // Where the pod's containers are reached; empty while it has no sandbox.
  [[nodiscard]] const std::string& ip(const Machine& machine) const {
    return pod().spec().hostnetwork() ? machine.ip : runtime.newest_sandbox.network().ip();
  }
  void again_at(int64_t at_ns) {
    if (again_at_ns == 0 || at_ns < again_at_ns) again_at_ns = at_ns;
  }
  // Reads the runtime anew, after something was changed there.
  Status look_again(AgentContext& context) {
    ORLOP_ASSIGN(runtime, context.runtime.pod(pod().metadata().uid()));
    context.registry.note_ids(key, runtime);
    if (!context.config.hollow) add_termination_messages(pod(), pod_log_folder(context.config, pod()), runtime);
    return Status::ok();
  }
};

inline constexpr int64_t kSecondNs = 1'000'000'000;

}  // namespace orlop::agent
