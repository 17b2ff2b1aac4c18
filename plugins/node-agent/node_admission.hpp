// Admits pods one after the other, each against those that are in already.
//
// Threads: the pods' workers; one is checked at a time.
#pragma once

#include "plugins/node-agent/admission/admission.hpp"
#include "plugins/node-agent/pod_pass.hpp"

#include <mutex>

namespace orlop::agent {

class NodeAdmission {
 public:
  explicit NodeAdmission(AgentContext& context) : context_(context) {}

  // Empty: it is in, and stays in. One that the runtime has already is in, whatever the node looks like now. Failures
  // are the store's.
  Result<Refused> admit(Pass& pass);

 private:
  AgentContext& context_;
  std::mutex one_;
};

}  // namespace orlop::agent
