// Answers the metrics of an autoscaler's spec, each with a number of replicas or with why there is none, in the words
// of the upstream controller.
//
// Threads: any. Blocks on the store and on the nodes' agents.
#pragma once

#include "orlop/host.hpp"
#include "orlop/pod_metrics.hpp"
#include "plugins/controllers-workload/autoscaling/behavior.hpp"
#include "plugins/controllers-workload/autoscaling/calculator.hpp"
#include "plugins/controllers-workload/scales.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

using MetricSpec = k8s::io::api::autoscaling::v2::MetricSpec;
using MetricStatus = k8s::io::api::autoscaling::v2::MetricStatus;

struct MetricAnswer {
  Proposal proposal;
  std::string name;     // "cpu resource utilization (percentage of request)"
  MetricStatus status;  // empty when there is no number
  // When there is none: the reason of the event and the condition, their message, and the same as the sum names it.
  std::string failed_reason;
  std::string failed_message;
  std::string failed_summary;

  [[nodiscard]] bool failed() const { return !failed_reason.empty(); }
};

// What all metrics of one spec look at, read once.
struct MetricWorld {
  std::string name_space;
  Scale scale;
  ScaledPods pods;
  Result<std::map<std::string, PodMetrics>> metrics{Status(Code::kUnavailable, "not read yet")};
  int64_t now_ns = 0;
};

// The target's pods and what they use. A failure to learn the latter is kept in it.
Result<MetricWorld> read_world(const Host& host, const std::string& name_space, const Scale& scale);

MetricAnswer answer_metric(const CalculatorOptions& options, const MetricWorld& world, const MetricSpec& spec);

// All metrics together: the most that one of them asks for.
struct MetricsAnswer {
  // Whether to scale by it. Not when nothing could be told, nor down when something could not.
  bool usable = false;
  int32_t replicas = 0;
  std::string name;  // of the metric that asked for the most
  std::vector<MetricAnswer> metrics;
  std::string failure;  // empty: every metric was answered
};
MetricsAnswer answer_metrics(const CalculatorOptions& options, const MetricWorld& world, const AutoscalerSpec& spec);

}  // namespace orlop::workload
