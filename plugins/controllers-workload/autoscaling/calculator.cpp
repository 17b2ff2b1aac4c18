#include "plugins/controllers-workload/autoscaling/calculator.hpp"

#include "orlop/kube/quantity.hpp"
#include "orlop/kube/resource.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

struct Usage {
  double ratio = 0;  // of usage to target
  int32_t utilization = 0;
  int64_t average_milli = 0;
};
using Measure = std::function<Result<Usage>(const MetricSamples& samples)>;
// What a pod without a sample is taken to use when that would scale down.
using FullUse = std::function<int64_t(const std::string& pod)>;

struct Grouped {
  int32_t ready = 0;
  std::set<std::string> unready;
  std::set<std::string> missing;  // ready as far as is known, without a sample
  std::set<std::string> ignored;  // on their way out
};

// Whether a sample of the pod's CPU says nothing about its work yet.
bool warms_up(const CalculatorOptions& options, const kube::Pod& pod, const MetricSample& sample, int64_t now_ns) {
  const kube::PodCondition* ready = kube::find_condition(pod, "Ready");
  if (ready == nullptr || !pod.status().has_starttime()) return true;
  const int64_t started_ns = pod.status().starttime().seconds() * kSecondNs;
  const int64_t changed_ns = ready->lasttransitiontime().seconds() * kSecondNs;
  const bool unready = ready->status() == "False";
  if (started_ns + options.cpu_initialization_ns > now_ns) {
    return unready || sample.at_ns < changed_ns + sample.window_ns;
  }
  // Has never been ready.
  return unready && started_ns + options.initial_readiness_ns > changed_ns;
}

Grouped group(const CalculatorOptions& options, const MetricQuestion& question, const ScaledPods& pods,
              const MetricSamples& samples) {
  Grouped out;
  for (const auto& stored : pods) {
    const kube::Pod& pod = stored.object;
    const std::string& name = pod.metadata().name();
    if (kube::is_terminating(pod) || pod.status().phase() == "Failed") {
      out.ignored.insert(name);
    } else if (pod.status().phase() == "Pending") {
      out.unready.insert(name);
    } else if (const auto found = samples.find(name); found == samples.end()) {
      out.missing.insert(name);
    } else if (question.resource == "cpu" && warms_up(options, pod, found->second, question.now_ns)) {
      out.unready.insert(name);
    } else {
      ++out.ready;
    }
  }
  return out;
}

int32_t replicas_for(double ratio, size_t pods) {
  return static_cast<int32_t>(std::ceil(ratio * static_cast<double>(pods)));
}

// Measured again with what is assumed of pods that were not measured.
Result<Proposal> with_assumptions(const CalculatorOptions& options, const MetricQuestion& question,
                                  const Grouped& grouped, const Usage& usage, MetricSamples samples,
                                  const Measure& measure, const FullUse& full_use) {
  Proposal same{question.current, usage.utilization, usage.average_milli};
  const bool up = usage.ratio > 1.0;
  for (const std::string& pod : grouped.missing) {
    if (usage.ratio < 1.0) samples[pod] = MetricSample{full_use(pod), 0, 0};
    if (up) samples[pod] = MetricSample{};
  }
  if (up) {
    for (const std::string& pod : grouped.unready) samples[pod] = MetricSample{};
  }
  ORLOP_ASSIGN(const Usage assumed, measure(samples));
  const bool small = std::abs(1.0 - assumed.ratio) <= options.tolerance;
  const bool turned = (usage.ratio < 1.0 && assumed.ratio > 1.0) || (up && assumed.ratio < 1.0);
  if (small || turned) return same;
  const int32_t replicas = replicas_for(assumed.ratio, samples.size());
  const bool against =
      (assumed.ratio < 1.0 && replicas > question.current) || (assumed.ratio > 1.0 && replicas < question.current);
  return against ? same : Proposal{replicas, usage.utilization, usage.average_milli};
}

Result<Proposal> propose(const CalculatorOptions& options, const MetricQuestion& question, const ScaledPods& pods,
                         MetricSamples samples, const Measure& measure, const FullUse& full_use) {
  const Grouped grouped = group(options, question, pods, samples);
  std::erase_if(samples, [&](const auto& sample) {
    return grouped.ignored.contains(sample.first) || grouped.unready.contains(sample.first);
  });
  if (samples.empty()) {
    return Status(Code::kUnavailable, "did not receive metrics for targeted pods (pods might be unready)");
  }
  ORLOP_ASSIGN(const Usage usage, measure(samples));
  const bool up_with_unready = !grouped.unready.empty() && usage.ratio > 1.0;
  if (up_with_unready || !grouped.missing.empty()) {
    return with_assumptions(options, question, grouped, usage, std::move(samples), measure, full_use);
  }
  const bool small = std::abs(1.0 - usage.ratio) <= options.tolerance;
  const int32_t replicas = small ? question.current : replicas_for(usage.ratio, static_cast<size_t>(grouped.ready));
  return Proposal{replicas, usage.utilization, usage.average_milli};
}

// What the pod's containers request together; of one container when it is named.
Result<int64_t> request_of(const MetricQuestion& question, const kube::Pod& pod) {
  int64_t sum = 0;
  const auto add = [&](const auto& container) -> Status {
    if (!question.container.empty() && container.name() != question.container) return Status::ok();
    const auto& requests = container.resources().requests();
    const auto found = requests.find(question.resource);
    if (found == requests.end()) {
      return {Code::kInvalid, "missing request for " + question.resource + " in container " + container.name() +
                                  " of Pod " + pod.metadata().name()};
    }
    sum += kube::quantity_milli(found->second.string());
    return Status::ok();
  };
  for (const auto& container : pod.spec().containers()) ORLOP_TRY(add(container));
  for (const auto& container : pod.spec().initcontainers()) {
    if (container.restartpolicy() == "Always") ORLOP_TRY(add(container));
  }
  return sum;
}

Status no_pods() {
  return {Code::kNotFound, "no pods returned by selector while calculating replica count"};
}

}  // namespace

Result<Proposal> by_utilization(const CalculatorOptions& options, const MetricQuestion& question,
                                int32_t target_percent, const ScaledPods& pods, MetricSamples samples) {
  if (pods.empty()) return no_pods();
  std::map<std::string, int64_t> requests;
  for (const auto& pod : pods) {
    ORLOP_ASSIGN(requests[pod.object.metadata().name()], request_of(question, pod.object));
  }
  const Measure measure = [&](const MetricSamples& measured) -> Result<Usage> {
    int64_t used = 0, requested = 0, count = 0;
    for (const auto& [name, sample] : measured) {
      const auto found = requests.find(name);
      if (found == requests.end()) continue;
      used += sample.milli;
      requested += found->second;
      ++count;
    }
    if (requested == 0) return Status(Code::kUnavailable, "no metrics returned matched known pods");
    Usage usage;
    usage.utilization = static_cast<int32_t>(used * 100 / requested);
    usage.ratio = static_cast<double>(usage.utilization) / target_percent;
    usage.average_milli = used / count;
    return usage;
  };
  const FullUse full_use = [&](const std::string& pod) {
    return requests[pod] * std::max<int64_t>(100, target_percent) / 100;
  };
  return propose(options, question, pods, std::move(samples), measure, full_use);
}

Result<Proposal> by_average(const CalculatorOptions& options, const MetricQuestion& question, int64_t target_milli,
                            const ScaledPods& pods, MetricSamples samples) {
  if (pods.empty()) return no_pods();
  const Measure measure = [&](const MetricSamples& measured) -> Result<Usage> {
    int64_t used = 0;
    for (const auto& [name, sample] : measured) used += sample.milli;
    Usage usage;
    usage.average_milli = used / static_cast<int64_t>(measured.size());
    usage.ratio = static_cast<double>(usage.average_milli) / static_cast<double>(target_milli);
    return usage;
  };
  const FullUse full_use = [&](const std::string&) { return target_milli; };
  return propose(options, question, pods, std::move(samples), measure, full_use);
}

}  // namespace orlop::workload
