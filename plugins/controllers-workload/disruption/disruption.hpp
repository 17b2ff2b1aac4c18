// Keeps the status of PodDisruptionBudgets: how many of their pods are healthy, and how many may go.
//
// What it follows: policy/v1 PodDisruptionBudget and the upstream disruption controller, its events and its words. When
// the numbers cannot be told (a pod's controller is gone or has no scale) no disruption is allowed and the condition
// says why.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/disruption/counts.hpp"

#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

class DisruptionController final : public Reconciler {
 public:
  explicit DisruptionController(Host host);

  [[nodiscard]] std::string_view name() const override { return "disruption-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"poddisruptionbudgets.policy", "pods"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override { budgets_.clear(); }
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredBudget = Stored<Budget>;

  Result<std::vector<Stored<kube::Pod>>> pods_of(const Budget& budget) const;
  // The sum of what the pods' controllers want.
  Result<int32_t> sum_scales(const Budget& budget, const std::vector<Stored<kube::Pod>>& pods);
  // Adds the scale of the pod's controller, or of the Deployment behind it, by its uid. False: there is none of that
  // uid.
  Result<bool> add_scale(const std::string& name_space, const kube::OwnerReference& reference,
                         std::map<std::string, int32_t>& scales) const;
  Result<Outcome> fail(StoredBudget budget, const Status& why);

  Host host_;
  EventRecorder events_;
  Objects<Budget> stored_;
  Objects<kube::Pod> pods_;
  // All budgets' selectors by namespace and name; the watch thread's alone.
  std::map<std::string, std::map<std::string, Budget>> budgets_;
};

}  // namespace orlop::workload
