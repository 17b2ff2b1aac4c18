// When a container that ended, or could not be made, is tried again.
//
// The kubelet's figures: at once after the first end, then 10 s doubling to 5 min; a container that ran for 10 min
// begins anew. Threads: the pod's worker.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"

#include <string>

namespace orlop::agent {

class Backoff {
 public:
  explicit Backoff(AgentContext& context) : context_(context) {}

  // Whether it is too early to start it again: then its status says CrashLoopBackOff and the pass comes again.
  bool waits_after_crash(Pass& pass, const Container& container, const cri::ContainerStatus& ended);

  // It could not be created or started: told, and left alone for a while, or until a ConfigMap or Secret that was
  // missing changes.
  void refuse(Pass& pass, const Container& container, const std::string& reason, const Status& why);
  // Whether that was a moment ago: then the reason stands in the status and the pass comes again.
  bool is_refused(Pass& pass, const Container& container);
  void forget_refusal(Pass& pass, const Container& container);

 private:
  AgentContext& context_;
};

}  // namespace orlop::agent
