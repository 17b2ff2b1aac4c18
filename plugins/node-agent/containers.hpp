// A pod's containers in their order: init containers one after the other, sidecars beside them, then all the others;
// which of them are to be started, which are to be replaced, which are left alone.
//
// Follows the kubelet: a sidecar's startup probe and a postStart hook hold up the containers behind; what fails its
// liveness or startup probe, or its postStart hook, is killed and, unless the pod never restarts, started again.
// Threads: the pod's worker.
#pragma once

#include "plugins/node-agent/backoff.hpp"
#include "plugins/node-agent/container_start.hpp"
#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/probes/prober.hpp"
#include "plugins/node-agent/termination.hpp"

namespace orlop::agent {

class Containers {
 public:
  Containers(AgentContext& context, ContainerStart& start, Backoff& backoff, Termination& termination,
             LifecycleHooks& hooks, Prober& prober)
      : context_(context),
        start_(start),
        backoff_(backoff),
        termination_(termination),
        hooks_(hooks),
        prober_(prober) {}

  // Takes every next step that can be taken now, then reads the runtime anew. The sandbox is ready.
  Status advance(Pass& pass);
  // Has the running containers' probes asked, and fills `pass.running` with what they say. `ending`: the pod is on its
  // way out. Before each status.
  void look(Pass& pass, bool ending);

 private:
  // Started once, whatever the others do, and never again.
  Status advance_ephemeral(Pass& pass, const k8s::io::api::core::v1::EphemeralContainer& ephemeral);
  // Whether the containers behind it may go on.
  Result<bool> advance_one(Pass& pass, const Container& container, bool is_init);
  Result<bool> advance_running(Pass& pass, const Container& container, const cri::ContainerStatus& running,
                               bool is_init);
  // Its postStart hook is under way; a hook that failed kills it.
  bool is_held(Pass& pass, const Container& container, const cri::ContainerStatus& running);
  // Its probe wants it killed.
  bool kill_unhealthy(Pass& pass, const Container& container, const cri::ContainerStatus& running);

  AgentContext& context_;
  ContainerStart& start_;
  Backoff& backoff_;
  Termination& termination_;
  LifecycleHooks& hooks_;
  Prober& prober_;
};

// No container of the pod runs or will be started again: its work is done, well or badly.
bool is_finished(const kube::Pod& pod, const RuntimePod& runtime);

}  // namespace orlop::agent
