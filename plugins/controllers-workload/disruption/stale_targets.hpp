// Takes back the condition DisruptionTarget from a pod that was to be disrupted and is still there two minutes later.
// What it follows: the upstream disruption controller. A condition that the kubelet gave is left alone: a termination
// may take its time.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class StaleTargets final : public Reconciler {
 public:
  explicit StaleTargets(Host host) : host_(host), pods_(host) {}

  [[nodiscard]] std::string_view name() const override { return "stale-disruption-targets"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"pods"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Host host_;
  Objects<kube::Pod> pods_;
};

}  // namespace orlop::workload
