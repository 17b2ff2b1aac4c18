// From what the metrics ask for to what the target is scaled to: stabilisation windows, rates, minimum and maximum.
// Pure but for the memory of one autoscaler; no kernel, no clock.
//
// Follows autoscaling/v2 HorizontalPodAutoscalerBehavior and the upstream controller; without `behavior` the older
// rules hold: at most doubled (or 4) at a time, and the highest recommendation of the last 5 minutes when scaling down.
#pragma once

#include "orlop/kube/autoscaling_v2.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

using Autoscaler = k8s::io::api::autoscaling::v2::HorizontalPodAutoscaler;
using AutoscalerSpec = k8s::io::api::autoscaling::v2::HorizontalPodAutoscalerSpec;
using ScalingRules = k8s::io::api::autoscaling::v2::HPAScalingRules;

struct Limited {
  int32_t replicas = 0;
  std::string_view able_reason, able_message;  // of condition AbleToScale, which is True
  bool is_limited = false;                     // of condition ScalingLimited
  std::string_view limited_reason, limited_message;
};

// What one autoscaler has recommended and done lately. Threads: one at a time.
class ScalingHistory {
 public:
  static constexpr int32_t kDownscaleWindowSeconds = 300;

  // With the first look at a target: as many replicas as there are were recommended until now.
  void begin(int32_t current, int64_t now_ns);
  // Bounds what the metrics ask for, and remembers it.
  Limited limit(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns);
  // The target has been scaled.
  void scaled(const AutoscalerSpec& spec, int32_t from, int32_t to, int64_t now_ns);

 private:
  struct Moment {
    int64_t at_ns = 0;
    int32_t value = 0;
  };
  using Moments = std::vector<Moment>;

  Limited limit_plainly(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns);
  int32_t stabilize(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns);
  [[nodiscard]] int32_t limit_up(const ScalingRules& rules, int32_t current, int64_t now_ns) const;
  [[nodiscard]] int32_t limit_down(const ScalingRules& rules, int32_t current, int64_t now_ns) const;
  [[nodiscard]] int32_t at_start_of(int32_t period_seconds, int32_t current, int64_t now_ns) const;

  Moments recommendations_;
  Moments ups_;    // by how many, and when
  Moments downs_;  // the same
};

}  // namespace orlop::workload
