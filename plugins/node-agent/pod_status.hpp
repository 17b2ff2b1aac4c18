// What a pod's status says, from what the runtime has and what the agent knows. Pure: no kernel, no clock of its own.
//
// Follows Kubernetes' pod lifecycle: phases and conditions of k8s.io/api/core/v1 PodStatus, the kubelet's reasons and
// messages.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace orlop::agent {

using Container = k8s::io::api::core::v1::Container;
using ContainerStatus = k8s::io::api::core::v1::ContainerStatus;
using PodStatus = k8s::io::api::core::v1::PodStatus;

// Why a container is not running, where the runtime cannot tell: an image that cannot be pulled, a back-off.
struct WaitingReason {
  std::string reason;
  std::string message;
};

// What the agent knows of a container that runs.
struct RunningView {
  bool held = false;  // its postStart hook is under way or has failed: it does not count as running yet
  bool started = true;
  bool ready = true;
};

// The agent's own end of a pod, against its will: an eviction, a deadline.
struct PodEnding {
  std::string reason;
  std::string message;
  std::optional<int64_t> grace_s;  // nothing: the pod's own
  bool disruption = false;         // tell it as a DisruptionTarget condition too
};

struct StatusInputs {
  const kube::Pod* pod = nullptr;
  const RuntimePod* runtime = nullptr;
  std::map<std::string, WaitingReason> waiting;  // by container name
  std::map<std::string, RunningView> running;    // by container name; who is not there is started and ready
  std::string host_ip;
  int64_t now_s = 0;
  const PodEnding* ending = nullptr;  // set once nothing runs any more: the pod is Failed by it
  bool is_over = false;               // deleted, and nothing runs any more: the phase says how it ended
};

// The whole status; what others write (conditions that the agent does not own, nominatedNodeName, …) is kept as it is.
PodStatus make_status(const StatusInputs& inputs);

// Whether the container is to be started (again) after it has ended, by the pod's restart policy (and, for an init
// container, its own).
bool should_restart(const kube::Pod& pod, const Container& container, bool is_init, const cri::ContainerStatus& ended);

// Restartable init containers run beside the others.
inline bool is_sidecar(const Container& container) {
  return container.restartpolicy() == "Always";
}

}  // namespace orlop::agent
