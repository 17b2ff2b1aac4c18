// A pod's sandbox: made when there is none that is ready, stopped and removed when the pod goes.
//
// Threads: the pod's worker; every method blocks until the runtime has answered.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/volumes/volumes.hpp"

#include <string>

namespace orlop::agent {

class Sandboxes {
 public:
  Sandboxes(AgentContext& context, Volumes& volumes) : context_(context), volumes_(volumes) {}

  // Prepares volumes and makes a sandbox unless one is ready; failures are told as events.
  Status ensure(Pass& pass);
  // Stops those that are ready; addresses and network namespaces are free then.
  Status stop(const RuntimePod& runtime);
  // Removes those that a newer one has replaced, as soon as no container of theirs is kept any more.
  Status collect_old(const RuntimePod& runtime);
  // Stops and removes all that the runtime has of this pod.
  Status remove_all(const std::string& uid);

 private:
  // Failures are told as events; those of volumes that are there already stop nothing.
  Status prepare_volumes(Pass& pass);
  // kInvalid: what the pod asks of its sandbox cannot be had here.
  [[nodiscard]] Status can_make(const kube::Pod& pod) const;
  Status stop_one(const std::string& id);
  Status remove_one(const std::string& id);
  // What the pod's RuntimeClass names; empty: the runtime's default.
  Result<std::string> handler_of(const kube::Pod& pod) const;

  AgentContext& context_;
  Volumes& volumes_;
};

// Whether the container was made in the newest sandbox: those of earlier ones ended with it (a reboot).
bool is_of_newest_sandbox(const RuntimePod& runtime, const cri::ContainerStatus& container);

}  // namespace orlop::agent
