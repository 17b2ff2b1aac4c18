// HorizontalPodAutoscalers and PodDisruptionBudgets: what looks after the number of pods.
#include "plugins/api-kubernetes/kinds/autoscaling_rules.hpp"

#include "orlop/kube/autoscaling_v2.hpp"
#include "orlop/kube/intstr.hpp"
#include "orlop/kube/policy_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"
#include "plugins/api-kubernetes/kinds/workload_rules.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace autoscalingv2 = k8s::io::api::autoscaling::v2;
namespace policyv1 = k8s::io::api::policy::v1;
using Quantity = k8s::io::apimachinery::pkg::api::resource::Quantity;

constexpr int32_t kPeriodSecondsMax = 1800;
constexpr int32_t kStabilizationSecondsMax = 3600;
constexpr const char* kOneSource = "must populate the given metric source only";
constexpr const char* kNoSource = "must populate information for the given metric source";

int sign_of(const Quantity& quantity) {
  return quantity_or_zero(quantity.string()).sign();
}

// --- disruption budgets ---

void validate_budget_amount(const IntOrString& value, const FieldPath& path, FieldErrors* errors) {
  validate_count_or_percent(value, path, errors);
  validate_at_most_100_percent(value, path, errors);
}

// --- autoscalers: metrics ---

template <typename Reference>
void validate_reference(const Reference& reference, const FieldPath& path, FieldErrors* errors) {
  const auto check = [&](const std::string& value, std::string_view field) {
    if (value.empty()) return errors->required(path.child(field));
    errors->invalid(path.child(field), value, path_segment_faults(value));
  };
  check(reference.kind(), "kind");
  check(reference.name(), "name");
}

void validate_metric_name(const autoscalingv2::MetricIdentifier& metric, const FieldPath& path, FieldErrors* errors) {
  if (metric.name().empty()) return errors->required(path.child("name"), "must specify a metric name");
  errors->invalid(path.child("name"), metric.name(), path_segment_faults(metric.name()));
}

void validate_target(const autoscalingv2::MetricTarget& target, const FieldPath& path, FieldErrors* errors) {
  const std::string& type = target.type();
  if (type.empty()) errors->required(path.child("type"), "must specify a metric target type");
  if (type != "Utilization" && type != "Value" && type != "AverageValue") {
    errors->invalid(path.child("type"), type, "must be either Utilization, Value, or AverageValue");
  }
  if (target.has_value() && sign_of(target.value()) != 1) {
    errors->invalid(path.child("value"), ShownValue::raw(target.value().string()), "must be positive");
  }
  if (target.has_averagevalue() && sign_of(target.averagevalue()) != 1) {
    errors->invalid(path.child("averageValue"), ShownValue::raw(target.averagevalue().string()), "must be positive");
  }
  if (target.has_averageutilization() && target.averageutilization() < 1) {
    errors->invalid(path.child("averageUtilization"), target.averageutilization(), "must be greater than 0");
  }
}

// Resource and ContainerResource.
template <typename Source>
void validate_resource_source(const Source& source, const FieldPath& path, FieldErrors* errors) {
  if (source.name().empty()) errors->required(path.child("name"), "must specify a resource name");
  if constexpr (requires { source.container(); }) {
    if (source.container().empty()) errors->required(path.child("container"), "must specify a container");
  }
  const auto& target = source.target();
  const auto at = path.child("target");
  validate_target(target, at, errors);
  if (!target.has_averageutilization() && !target.has_averagevalue()) {
    errors->required(at.child("averageUtilization"), "must set either a target raw value or a target utilization");
  }
  if (target.has_averageutilization() && target.has_averagevalue()) {
    errors->forbidden(at.child("averageValue"), "may not set both a target raw value and a target utilization");
  }
}

void validate_object_source(const autoscalingv2::ObjectMetricSource& source, const FieldPath& path,
                            FieldErrors* errors) {
  validate_reference(source.describedobject(), path.child("describedObject"), errors);
  validate_metric_name(source.metric(), path.child("metric"), errors);
  validate_target(source.target(), path.child("target"), errors);
  if (!source.target().has_value() && !source.target().has_averagevalue()) {
    errors->required(path.child("target", "averageValue"), "must set either a target value or averageValue");
  }
}

void validate_external_source(const autoscalingv2::ExternalMetricSource& source, const FieldPath& path,
                              FieldErrors* errors) {
  validate_metric_name(source.metric(), path.child("metric"), errors);
  validate_target(source.target(), path.child("target"), errors);
  if (!source.target().has_value() && !source.target().has_averagevalue()) {
    errors->required(path.child("target", "averageValue"),
                     "must set either a target value for metric or a per-pod target");
  }
  if (source.target().has_value() && source.target().has_averagevalue()) {
    errors->forbidden(path.child("target", "value"), "may not set both a target value for metric and a per-pod target");
  }
}

void validate_pods_source(const autoscalingv2::PodsMetricSource& source, const FieldPath& path, FieldErrors* errors) {
  validate_metric_name(source.metric(), path.child("metric"), errors);
  validate_target(source.target(), path.child("target"), errors);
  if (!source.target().has_averagevalue() || sign_of(source.target().averagevalue()) != 1) {
    errors->required(path.child("target", "averageValue"), "must specify a positive target averageValue");
  }
}

std::string_view field_of(std::string_view source_type) {
  if (source_type == "Object") return "object";
  if (source_type == "External") return "external";
  if (source_type == "Pods") return "pods";
  if (source_type == "Resource") return "resource";
  if (source_type == "ContainerResource") return "containerResource";
  return "";
}

void validate_metric(const autoscalingv2::MetricSpec& metric, const FieldPath& path, FieldErrors* errors) {
  const std::string& type = metric.type();
  const std::string_view expected = field_of(type);
  if (type.empty()) errors->required(path.child("type"), "must specify a metric source type");
  if (expected.empty()) {
    errors->not_supported(path.child("type"), type, {"ContainerResource", "External", "Object", "Pods", "Resource"});
  }
  // The first source that is there is looked at, as upstream does it.
  std::vector<std::string_view> present;
  const auto first = [&](bool has, std::string_view field) {
    if (has) present.push_back(field);
    return has && present.size() == 1;
  };
  if (first(metric.has_object(), "object")) validate_object_source(metric.object(), path.child("object"), errors);
  if (first(metric.has_external(), "external"))
    validate_external_source(metric.external(), path.child("external"), errors);
  if (first(metric.has_pods(), "pods")) validate_pods_source(metric.pods(), path.child("pods"), errors);
  if (first(metric.has_resource(), "resource"))
    validate_resource_source(metric.resource(), path.child("resource"), errors);
  if (first(metric.has_containerresource(), "containerResource"))
    validate_resource_source(metric.containerresource(), path.child("containerResource"), errors);
  bool found = false;
  for (const std::string_view field : present) found = found || field == expected;
  if (!expected.empty() && !found) errors->required(path.child(expected), kNoSource);
  if (present.size() == 1) return;
  for (const std::string_view field : present) {
    if (field != expected) errors->forbidden(path.child(field), kOneSource);
  }
}

// --- autoscalers: behavior ---

void validate_policy(const autoscalingv2::HPAScalingPolicy& policy, const FieldPath& path, FieldErrors* errors) {
  if (policy.type() != "Pods" && policy.type() != "Percent")
    errors->not_supported(path.child("type"), policy.type(), {"Percent", "Pods"});
  if (policy.value() <= 0) errors->invalid(path.child("value"), policy.value(), "must be greater than zero");
  if (policy.periodseconds() <= 0)
    errors->invalid(path.child("periodSeconds"), policy.periodseconds(), "must be greater than zero");
  if (policy.periodseconds() > kPeriodSecondsMax) {
    errors->invalid(path.child("periodSeconds"), policy.periodseconds(),
                    fmt::format("must be less than or equal to {}", kPeriodSecondsMax));
  }
}

void validate_scaling_rules(const autoscalingv2::HPAScalingRules& rules, const FieldPath& path, FieldErrors* errors) {
  const int32_t window = rules.stabilizationwindowseconds();
  const auto at = path.child("stabilizationWindowSeconds");
  if (window < 0) errors->invalid(at, window, "must be greater than or equal to zero");
  if (window > kStabilizationSecondsMax)
    errors->invalid(at, window, fmt::format("must be less than or equal to {}", kStabilizationSecondsMax));
  const std::string& select = rules.selectpolicy();
  if (rules.has_selectpolicy() && select != "Max" && select != "Min" && select != "Disabled")
    errors->not_supported(path.child("selectPolicy"), select, {"Disabled", "Max", "Min"});
  const auto policies = path.child("policies");
  if (rules.policies().empty()) errors->required(policies, "must specify at least one Policy");
  for (int i = 0; i < rules.policies_size(); ++i)
    validate_policy(rules.policies(i), policies.index(static_cast<size_t>(i)), errors);
}

void add_policy(autoscalingv2::HPAScalingRules* rules, const char* type, int32_t value) {
  auto* policy = rules->add_policies();
  policy->set_type(type);
  policy->set_value(value);
  policy->set_periodseconds(15);
}

}  // namespace

void validate_budget(const Message& object, FieldErrors* errors) {
  const auto& spec = as<policyv1::PodDisruptionBudget>(object).spec();
  const FieldPath path("spec");
  if (spec.has_minavailable() && spec.has_maxunavailable()) {
    errors->invalid(path, ShownValue::raw("policy.PodDisruptionBudgetSpec"),
                    "minAvailable and maxUnavailable cannot be both set");
  }
  if (spec.has_minavailable()) validate_budget_amount(spec.minavailable(), path.child("minAvailable"), errors);
  if (spec.has_maxunavailable()) validate_budget_amount(spec.maxunavailable(), path.child("maxUnavailable"), errors);
  if (spec.has_selector()) validate_label_selector(spec.selector(), path.child("selector"), errors);
  const std::string& policy = spec.unhealthypodevictionpolicy();
  if (spec.has_unhealthypodevictionpolicy() && policy != "AlwaysAllow" && policy != "IfHealthyBudget")
    errors->not_supported(path.child("unhealthyPodEvictionPolicy"), policy, {"AlwaysAllow", "IfHealthyBudget"});
}

void validate_budget_update(const Message& object, const Message&, std::string_view subresource, FieldErrors* errors) {
  if (subresource != "status") return;
  const auto& status = as<policyv1::PodDisruptionBudget>(object).status();
  const FieldPath path("status");
  errors->non_negative(path.child("disruptionsAllowed"), status.disruptionsallowed());
  errors->non_negative(path.child("currentHealthy"), status.currenthealthy());
  errors->non_negative(path.child("desiredHealthy"), status.desiredhealthy());
  errors->non_negative(path.child("expectedPods"), status.expectedpods());
}

void autoscaler_defaults(Message* object) {
  auto* spec = as<autoscalingv2::HorizontalPodAutoscaler>(object).mutable_spec();
  if (!spec->has_minreplicas()) spec->set_minreplicas(1);
  if (spec->metrics().empty()) {
    auto* metric = spec->add_metrics();
    metric->set_type("Resource");
    metric->mutable_resource()->set_name("cpu");
    metric->mutable_resource()->mutable_target()->set_type("Utilization");
    metric->mutable_resource()->mutable_target()->set_averageutilization(80);
  }
  if (!spec->has_behavior()) return;
  auto* up = spec->mutable_behavior()->mutable_scaleup();
  if (!up->has_selectpolicy()) up->set_selectpolicy("Max");
  if (!up->has_stabilizationwindowseconds()) up->set_stabilizationwindowseconds(0);
  if (up->policies().empty()) {
    add_policy(up, "Pods", 4);
    add_policy(up, "Percent", 100);
  }
  auto* down = spec->mutable_behavior()->mutable_scaledown();
  if (!down->has_selectpolicy()) down->set_selectpolicy("Max");
  if (down->policies().empty()) add_policy(down, "Percent", 100);
}

void validate_autoscaler(const Message& object, FieldErrors* errors) {
  const auto& spec = as<autoscalingv2::HorizontalPodAutoscaler>(object).spec();
  const FieldPath path("spec");
  if (spec.minreplicas() < 1)
    errors->invalid(path.child("minReplicas"), spec.minreplicas(), "must be greater than or equal to 1");
  if (spec.maxreplicas() < 1) errors->invalid(path.child("maxReplicas"), spec.maxreplicas(), "must be greater than 0");
  if (spec.maxreplicas() < spec.minreplicas()) {
    errors->invalid(path.child("maxReplicas"), spec.maxreplicas(), "must be greater than or equal to `minReplicas`");
  }
  validate_reference(spec.scaletargetref(), path.child("scaleTargetRef"), errors);
  const auto metrics = path.child("metrics");
  for (int i = 0; i < spec.metrics_size(); ++i)
    validate_metric(spec.metrics(i), metrics.index(static_cast<size_t>(i)), errors);
  if (!spec.has_behavior()) return;
  const auto behavior = path.child("behavior");
  if (spec.behavior().has_scaleup())
    validate_scaling_rules(spec.behavior().scaleup(), behavior.child("scaleUp"), errors);
  if (spec.behavior().has_scaledown())
    validate_scaling_rules(spec.behavior().scaledown(), behavior.child("scaleDown"), errors);
}

void validate_autoscaler_update(const Message& object, const Message&, std::string_view subresource,
                                FieldErrors* errors) {
  if (subresource != "status") return;
  const auto& status = as<autoscalingv2::HorizontalPodAutoscaler>(object).status();
  const FieldPath path("status");
  errors->non_negative(path.child("currentReplicas"), status.currentreplicas());
  errors->non_negative(path.child("desiredReplicas"), status.desiredreplicas());
}

}  // namespace orlop::apikube
