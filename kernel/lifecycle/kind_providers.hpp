// The gate's way to the plugins that provide kinds: calls over the router.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "kernel/gate/gate.hpp"

namespace orlop::lifecycle {

// Threads: any. `router` outlives it.
class RouterKindProviders final : public gate::KindProviders {
 public:
  explicit RouterKindProviders(bus::CallRouter& router) : router_(router) {}
  void admit(const std::string& provider, const v1::AdmitRequest& request, std::chrono::milliseconds deadline,
             AdmitDone done) override;

 private:
  bus::CallRouter& router_;
};

}  // namespace orlop::lifecycle
