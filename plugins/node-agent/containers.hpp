// A pod's containers in their order: init containers one after the other, sidecars beside them, then all the others;
// which of them are to be started, which are to be replaced, which are left alone.
//
// Threads: the pod's worker.
#pragma once

#include "plugins/node-agent/backoff.hpp"
#include "plugins/node-agent/container_start.hpp"
#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/termination.hpp"

namespace orlop::agent {

class Containers {
 public:
  Containers(AgentContext& context, ContainerStart& start, Backoff& backoff, Termination& termination)
      : context_(context), start_(start), backoff_(backoff), termination_(termination) {}

  // Takes every next step that can be taken now, then reads the runtime anew. The sandbox is ready.
  Status advance(Pass& pass);

 private:
  // Started once, whatever the others do, and never again.
  Status advance_ephemeral(Pass& pass, const k8s::io::api::core::v1::EphemeralContainer& ephemeral);
  // Whether the containers behind it may go on.
  Result<bool> advance_one(Pass& pass, const Container& container, bool is_init);

  AgentContext& context_;
  ContainerStart& start_;
  Backoff& backoff_;
  Termination& termination_;
};

// No container of the pod runs or will be started again: its work is done, well or badly.
bool is_finished(const kube::Pod& pod, const RuntimePod& runtime);

}  // namespace orlop::agent
