// Ends containers: the hook before the stop, sidecars after the others, within the grace, told once; never blocking the
// pod's worker.
//
// Follows the kubelet: the preStop hook and the wait for one's turn are taken off the grace, at least two seconds are
// left for the signal; grace 0 kills at once. A shorter grace that comes later shortens what is under way. Level-
// triggered: the same call again takes the next step.
//
// Threads: the pod's worker; the runtime's answers come on threads of the kernel and have the pod looked at again.
#pragma once

#include "plugins/node-agent/lifecycle_hooks.hpp"
#include "plugins/node-agent/pod_pass.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::agent {

class Termination {
 public:
  Termination(AgentContext& context, LifecycleHooks& hooks) : context_(context), hooks_(hooks) {}

  // Stops everything that runs, sidecars last and in reverse order. True once nothing runs any more. `tell`: with a
  // Killing event for each.
  bool stop_all(Pass& pass, int64_t grace_s, bool tell);
  // Stops this one, which runs. `why`: the text of its Killing event, empty for none. `after`: containers that it
  // waits for, as long as there is grace.
  void stop(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s, const std::string& why,
            const std::vector<std::string>& after = {});

 private:
  std::shared_ptr<StopState> begin(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s,
                                   const std::string& why);
  // Whether its hook is over, or its grace.
  bool is_past_hook(Pass& pass, StopState& stop);
  void ask_runtime(Pass& pass, const std::string& id, const std::shared_ptr<StopState>& stop);

  AgentContext& context_;
  LifecycleHooks& hooks_;
};

// The containers that have to end before this one may: for a sidecar all that are not sidecars, and the sidecars
// behind it. Pure.
std::vector<std::string> ends_before(const kube::Pod& pod, const std::string& container);

}  // namespace orlop::agent
