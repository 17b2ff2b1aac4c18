// Sends each check where it can be answered: commands to the runtime, the rest over the network.
//
// On hollow nodes there is no network behind a pod: there every check is a command for the hollow runtime, which
// answers by the pod's annotations.
#pragma once

#include "plugins/node-agent/probes/check.hpp"
#include "plugins/node-agent/runtime_client.hpp"

namespace orlop::agent {

// Threads: any.
class AgentChecks final : public CheckRunner {
 public:
  // `network`: null on hollow nodes.
  AgentChecks(const RuntimeClient& runtime, CheckRunner* network) : runtime_(runtime), network_(network) {}

  void run(const Check& check, CheckDone done) override;

 private:
  const RuntimeClient& runtime_;
  CheckRunner* network_;
};

}  // namespace orlop::agent
