// Scales Deployments, ReplicaSets, StatefulSets and ReplicationControllers by what their pods use.
//
// What it follows: autoscaling/v2 HorizontalPodAutoscaler and the upstream controller, its conditions, events and
// words. Each autoscaler is looked at every `period_seconds`, and at once when it is new or its spec has changed.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/autoscaling/behavior.hpp"
#include "plugins/controllers-workload/autoscaling/metrics.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

struct AutoscalerOptions {
  unsigned workers = 2;
  int64_t period_seconds = 15;
  CalculatorOptions calculator;
};

class AutoscalerController final : public Reconciler {
 public:
  AutoscalerController(Host host, const AutoscalerOptions& options);

  [[nodiscard]] std::string_view name() const override { return "horizontal-pod-autoscaler"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"horizontalpodautoscalers.autoscaling"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return options_.workers; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  // One look at one autoscaler.
  struct Look {
    Autoscaler autoscaler;
    std::string_view resource;  // of the target
    ScalingHistory* history = nullptr;
    int64_t now_ns = 0;
  };
  // What is wanted of the target, and why.
  struct Decision {
    bool rescale = false;
    int32_t replicas = 0;
    std::string reason;
  };

  std::shared_ptr<ScalingHistory> history_of(const ObjectKey& key, const std::string& uid);
  void forget(const ObjectKey& key);

  void look(Look& look);
  std::optional<Scale> find_target(Look& look);
  // Nothing: no decision can be made; the status says why.
  std::optional<Decision> decide(Look& look, const Scale& scale);
  std::optional<Decision> decide_by_metrics(Look& look, const Scale& scale);
  // The other autoscalers of the namespace that scale pods of this target, too.
  [[nodiscard]] Result<std::vector<std::string>> rivals(const Look& look, const Scale& scale,
                                                        const ScaledPods& pods) const;
  bool rescale(Look& look, const Scale& scale, const Decision& decision);
  void warn(const Look& look, std::string_view reason, const std::string& message);
  Status write_status(const Autoscaler& autoscaler) const;

  Host host_;
  const AutoscalerOptions options_;
  EventRecorder events_;
  Objects<Autoscaler> autoscalers_;

  struct Remembered {
    std::string uid;
    std::shared_ptr<ScalingHistory> history;
  };
  std::mutex mutex_;
  std::map<ObjectKey, Remembered> histories_;  // guarded by mutex_; a history by its key's one worker
};

}  // namespace orlop::workload
