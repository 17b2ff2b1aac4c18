// What a pod wants done right after a container's start and right before its stop.
//
// Follows the kubelet: exec, httpGet (whatever the answer's status) and sleep; a tcpSocket hook fails. Threads: any;
// nothing blocks. The pod is looked at again when a hook is over.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/probes/check.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace orlop::agent {

class LifecycleHooks {
 public:
  LifecycleHooks(AgentContext& context, CheckRunner& checks) : context_(context), checks_(checks) {}

  std::shared_ptr<HookRun> begin(const Pass& pass, const core::LifecycleHandler& handler, const Container& container,
                                 const std::string& container_id, int64_t timeout_ms);

  enum class State { kRunning, kDone, kFailed };
  [[nodiscard]] State state(const HookRun& hook) const;

 private:
  AgentContext& context_;
  CheckRunner& checks_;
};

}  // namespace orlop::agent
