// How many replicas a metric asks for: pure arithmetic, no kernel, no clock.
//
// Follows the upstream HPA's replica calculator: a pod that is not ready counts for nothing when scaling up, one
// without a sample counts as idle when scaling up and as fully used when scaling down, and a change within the
// tolerance is none.
#pragma once

#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

// One pod's usage of one resource, in thousandths (of a core, of a byte), over the window that ends at at_ns.
struct MetricSample {
  int64_t milli = 0;
  int64_t at_ns = 0;
  int64_t window_ns = 0;
};
using MetricSamples = std::map<std::string, MetricSample>;  // by the pod's name

struct CalculatorOptions {
  double tolerance = 0.1;  // of the ratio of usage to target
  int64_t cpu_initialization_ns = 300'000'000'000;
  int64_t initial_readiness_ns = 30'000'000'000;
};

struct MetricQuestion {
  std::string resource;   // "cpu"
  std::string container;  // empty: all of a pod's
  int32_t current = 0;    // replicas
  int64_t now_ns = 0;     // wall clock
};

struct Proposal {
  int32_t replicas = 0;
  int32_t utilization = 0;    // percent of the requests; by_utilization() alone
  int64_t average_milli = 0;  // of a pod
};

using ScaledPods = std::vector<Stored<kube::Pod>>;

// The target is a percentage of what the containers request. Failures say why in upstream's words.
Result<Proposal> by_utilization(const CalculatorOptions& options, const MetricQuestion& question,
                                int32_t target_percent, const ScaledPods& pods, MetricSamples samples);
// The target is an average over the pods.
Result<Proposal> by_average(const CalculatorOptions& options, const MetricQuestion& question, int64_t target_milli,
                            const ScaledPods& pods, MetricSamples samples);

}  // namespace orlop::workload
