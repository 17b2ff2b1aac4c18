#include "plugins/controllers-workload/autoscaling/metrics.hpp"

#include "orlop/kube/quantity.hpp"
#include "orlop/kube/resource.hpp"

#include <utility>

namespace orlop::workload {
namespace {

namespace autoscaling = k8s::io::api::autoscaling::v2;

constexpr const char* kNoCustomMetrics =
    "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

void fail(MetricAnswer& answer, const std::string& reason, const std::string& message, const std::string& summary) {
  answer.failed_reason = reason;
  answer.failed_message = message;
  answer.failed_summary = summary + ": " + message;
}

int64_t milli_of(const std::string& resource, const ResourceUsage& usage) {
  if (resource == "cpu") return static_cast<int64_t>((usage.cpu_nano_cores + 999'999) / 1'000'000);
  return static_cast<int64_t>(usage.memory_bytes) * 1000;
}

// Each pod's use of the resource, of one container when it is named.
Result<MetricSamples> samples_of(const MetricWorld& world, const std::string& resource, const std::string& container) {
  if (!world.metrics) {
    return Status(world.metrics.code(),
                  "unable to fetch metrics from resource metrics API: " + world.metrics.message());
  }
  if (world.metrics->empty()) return Status(Code::kNotFound, "no metrics returned from resource metrics API");
  MetricSamples samples;
  for (const auto& [name, pod] : *world.metrics) {
    MetricSample sample{0, pod.at_unix_ns, pod.window_ns};
    bool found = false;
    for (const ContainerMetrics& each : pod.containers) {
      if (!container.empty() && each.name != container) continue;
      sample.milli += milli_of(resource, each.usage);
      found = true;
    }
    if (!found) {
      return Status(Code::kNotFound, "failed to get container metrics: container " + container +
                                         " not present in metrics for pod " + world.name_space + "/" + name);
    }
    // Nothing but these two is measured.
    if (resource == "cpu" || resource == "memory") samples[name] = sample;
  }
  return samples;
}

struct ResourceAnswer {
  Proposal proposal;
  autoscaling::MetricValueStatus current;
};

Result<ResourceAnswer> answer_resource(const CalculatorOptions& options, const MetricWorld& world,
                                       const std::string& resource, const std::string& container,
                                       const autoscaling::MetricTarget& target) {
  const bool average = target.has_averagevalue();
  const std::string what = "failed to get " + resource + (average ? " usage: " : " utilization: ");
  if (!average && !target.has_averageutilization()) {
    return Status(Code::kInvalid,
                  "invalid resource metric source: neither an average utilization target nor an average value (usage) "
                  "target was set");
  }
  auto samples = samples_of(world, resource, container);
  if (!samples) {
    return Status(samples.code(), what + "unable to get metrics for resource " + resource + ": " + samples.message());
  }
  MetricQuestion question;
  question.resource = resource;
  question.container = container;
  question.current = world.scale.wanted;
  question.now_ns = world.now_ns;
  auto proposal = average
                      ? by_average(options, question, kube::quantity_milli(target.averagevalue().string()), world.pods,
                                   std::move(*samples))
                      : by_utilization(options, question, target.averageutilization(), world.pods, std::move(*samples));
  if (!proposal) return Status(proposal.code(), what + proposal.message());
  ResourceAnswer answer;
  answer.proposal = *proposal;
  if (!average) answer.current.set_averageutilization(proposal->utilization);
  answer.current.mutable_averagevalue()->set_string(kube::Quantity::of_milli(proposal->average_milli).to_string());
  return answer;
}

std::string resource_name(const std::string& resource, const autoscaling::MetricTarget& target, bool of_container) {
  if (target.has_averagevalue()) return resource + " resource";
  return resource + (of_container ? " container" : "") + " resource utilization (percentage of request)";
}

void answer_own_resource(const CalculatorOptions& options, const MetricWorld& world, const MetricSpec& spec,
                         MetricAnswer& answer) {
  const auto& source = spec.resource();
  auto got = answer_resource(options, world, source.name(), "", source.target());
  if (!got) {
    return fail(answer, "FailedGetResourceMetric", got.message(),
                "failed to get " + source.name() + " resource metric value");
  }
  answer.proposal = got->proposal;
  answer.name = resource_name(source.name(), source.target(), false);
  answer.status.set_type(spec.type());
  answer.status.mutable_resource()->set_name(source.name());
  *answer.status.mutable_resource()->mutable_current() = got->current;
}

void answer_container_resource(const CalculatorOptions& options, const MetricWorld& world, const MetricSpec& spec,
                               MetricAnswer& answer) {
  const auto& source = spec.containerresource();
  auto got = answer_resource(options, world, source.name(), source.container(), source.target());
  if (!got) {
    return fail(answer, "FailedGetContainerResourceMetric", got.message(),
                "failed to get " + source.name() + " container metric value");
  }
  answer.proposal = got->proposal;
  answer.name = resource_name(source.name(), source.target(), true);
  answer.status.set_type(spec.type());
  answer.status.mutable_containerresource()->set_name(source.name());
  answer.status.mutable_containerresource()->set_container(source.container());
  *answer.status.mutable_containerresource()->mutable_current() = got->current;
}

std::string selector_text(const autoscaling::MetricIdentifier& metric) {
  if (!metric.has_selector()) return "nil";
  std::string out = "&LabelSelector{MatchLabels:map[string]string{";
  for (const auto& [key, value] : metric.selector().matchlabels()) out += key + ": " + value + ",";
  return out + "},}";
}

// What would come from an API that nobody serves here.
void answer_foreign(const MetricWorld& world, const MetricSpec& spec, MetricAnswer& answer) {
  if (spec.type() == "Pods") {
    return fail(answer, "FailedGetPodsMetric",
                "unable to get metric " + spec.pods().metric().name() + ": " + kNoCustomMetrics,
                "failed to get pods metric value");
  }
  if (spec.type() == "Object") {
    const auto& object = spec.object().describedobject();
    return fail(answer, "FailedGetObjectMetric",
                "unable to get metric " + spec.object().metric().name() + ": " + object.kind() + " on " +
                    world.name_space + " " + object.name() + "/" + kNoCustomMetrics,
                "failed to get object metric value");
  }
  if (spec.type() == "External") {
    const auto& metric = spec.external().metric();
    return fail(answer, "FailedGetExternalMetric",
                "unable to get external metric " + world.name_space + "/" + metric.name() + "/" +
                    selector_text(metric) +
                    ": unable to fetch metrics from external metrics API: the server could not find the requested "
                    "resource (get " +
                    metric.name() + ".external.metrics.k8s.io)",
                "failed to get " + metric.name() + " external metric value");
  }
  const std::string message = "unknown metric source type \"" + spec.type() + "\"";
  fail(answer, "InvalidMetricSourceType", message, message);
  answer.failed_summary = message;
}

}  // namespace

Result<MetricWorld> read_world(const Host& host, const std::string& name_space, const Scale& scale) {
  MetricWorld world;
  world.name_space = name_space;
  world.scale = scale;
  world.now_ns = host.wall_now_ns();
  std::string term;
  for (const auto& [key, value] : scale.selector.matchlabels()) term = "label/" + key + "=" + value;
  const auto add = [&](const RecordView& record, kube::Pod& pod) {
    if (kube::matches(scale.selector, pod.metadata().labels())) {
      world.pods.push_back({std::move(pod), record.revision});
      pod.Clear();
    }
    return true;
  };
  ORLOP_TRY(Objects<kube::Pod>(host).each(name_space, term, add));
  std::vector<const kube::Pod*> pods;
  for (const auto& pod : world.pods) pods.push_back(&pod.object);
  world.metrics = read_pod_metrics(host, pods);
  world.now_ns = host.wall_now_ns();
  return world;
}

MetricAnswer answer_metric(const CalculatorOptions& options, const MetricWorld& world, const MetricSpec& spec) {
  MetricAnswer answer;
  if (spec.type() == "Resource") {
    answer_own_resource(options, world, spec, answer);
  } else if (spec.type() == "ContainerResource") {
    answer_container_resource(options, world, spec, answer);
  } else {
    answer_foreign(world, spec, answer);
  }
  return answer;
}

MetricsAnswer answer_metrics(const CalculatorOptions& options, const MetricWorld& world, const AutoscalerSpec& spec) {
  MetricsAnswer out;
  const MetricAnswer* first_failed = nullptr;
  int failed = 0;
  out.metrics.reserve(static_cast<size_t>(spec.metrics_size()));
  for (const MetricSpec& metric : spec.metrics()) {
    const MetricAnswer& answer = out.metrics.emplace_back(answer_metric(options, world, metric));
    if (answer.failed()) {
      ++failed;
      if (first_failed == nullptr) first_failed = &answer;
    } else if (out.replicas == 0 || answer.proposal.replicas > out.replicas) {
      out.replicas = answer.proposal.replicas;
      out.name = answer.name;
    }
  }
  if (first_failed != nullptr) {
    out.failure = "invalid metrics (" + std::to_string(failed) + " invalid out of " +
                  std::to_string(spec.metrics_size()) + "), first error is: " + first_failed->failed_summary;
  }
  out.usable = failed < spec.metrics_size() && (failed == 0 || out.replicas >= world.scale.wanted);
  return out;
}

}  // namespace orlop::workload
