// Ends containers: with their grace, told once, never blocking the pod's worker.
//
// Threads: the pod's worker; the runtime's answers come on threads of the kernel and have the pod looked at again.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

class Termination {
 public:
  explicit Termination(AgentContext& context) : context_(context) {}

  // Begins to stop everything that runs. True once nothing runs any more. `tell`: with a Killing event for each.
  bool stop_all(Pass& pass, int64_t grace_s, bool tell);
  // Begins to stop this one, which runs; a second call while that is under way does nothing. `why`: the text of a
  // Killing event, empty for none.
  void stop(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s, const std::string& why);

 private:
  AgentContext& context_;
};

}  // namespace orlop::agent
