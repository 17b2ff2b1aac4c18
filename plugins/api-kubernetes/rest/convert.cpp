#include "plugins/api-kubernetes/rest/convert.hpp"

#include "orlop/kube/autoscaling_v1.hpp"
#include "orlop/kube/autoscaling_v2.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/events_v1.hpp"
#include "orlop/kube/json.hpp"

#include <boost/json.hpp>
#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace v1 = k8s::io::api::autoscaling::v1;
namespace v2 = k8s::io::api::autoscaling::v2;
namespace core = k8s::io::api::core::v1;
namespace events = k8s::io::api::events::v1;
namespace json = boost::json;

// What autoscaling/v1 cannot say travels in these annotations, as Kubernetes does it.
constexpr const char* kMetrics = "autoscaling.alpha.kubernetes.io/metrics";
constexpr const char* kCurrentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr const char* kConditions = "autoscaling.alpha.kubernetes.io/conditions";
constexpr const char* kBehavior = "autoscaling.alpha.kubernetes.io/behavior";

template <typename Repeated>
std::string list_json(const Repeated& items) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    kube::to_json(item, "", "", out);
  }
  return out + "]";
}

template <typename Message, typename Repeated>
void read_list(const std::string& text, Repeated* items) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_array()) return;
  for (const json::value& item : value.as_array()) {
    Message message;
    if (kube::from_json(json::serialize(item), message)) *items->Add() = std::move(message);
  }
}

bool is_cpu_utilization(const v2::MetricSpec& metric) {
  return metric.type() == "Resource" && metric.resource().name() == "cpu" &&
         metric.resource().target().has_averageutilization();
}

template <typename From, typename To>
void copy_reference(const From& from, To* to) {
  to->set_kind(from.kind());
  to->set_name(from.name());
  to->set_apiversion(from.apiversion());
}

void to_v1(const v2::HorizontalPodAutoscaler& from, v1::HorizontalPodAutoscaler& to) {
  *to.mutable_metadata() = from.metadata();
  auto& annotations = *to.mutable_metadata()->mutable_annotations();
  copy_reference(from.spec().scaletargetref(), to.mutable_spec()->mutable_scaletargetref());
  if (from.spec().has_minreplicas()) to.mutable_spec()->set_minreplicas(from.spec().minreplicas());
  to.mutable_spec()->set_maxreplicas(from.spec().maxreplicas());
  google::protobuf::RepeatedPtrField<v2::MetricSpec> others;
  for (const v2::MetricSpec& metric : from.spec().metrics()) {
    if (is_cpu_utilization(metric) && !to.spec().has_targetcpuutilizationpercentage()) {
      to.mutable_spec()->set_targetcpuutilizationpercentage(metric.resource().target().averageutilization());
    } else {
      *others.Add() = metric;
    }
  }
  if (!others.empty()) annotations[kMetrics] = list_json(others);
  if (from.spec().has_behavior()) {
    std::string text;
    kube::to_json(from.spec().behavior(), "", "", text);
    annotations[kBehavior] = text;
  }
  auto* status = to.mutable_status();
  if (from.status().has_observedgeneration()) status->set_observedgeneration(from.status().observedgeneration());
  if (from.status().has_lastscaletime()) *status->mutable_lastscaletime() = from.status().lastscaletime();
  status->set_currentreplicas(from.status().currentreplicas());
  status->set_desiredreplicas(from.status().desiredreplicas());
  for (const v2::MetricStatus& metric : from.status().currentmetrics()) {
    if (metric.type() == "Resource" && metric.resource().name() == "cpu" &&
        metric.resource().current().has_averageutilization()) {
      status->set_currentcpuutilizationpercentage(metric.resource().current().averageutilization());
    }
  }
  if (!from.status().currentmetrics().empty()) annotations[kCurrentMetrics] = list_json(from.status().currentmetrics());
  if (!from.status().conditions().empty()) annotations[kConditions] = list_json(from.status().conditions());
}

void to_v2(const v1::HorizontalPodAutoscaler& from, v2::HorizontalPodAutoscaler& to) {
  *to.mutable_metadata() = from.metadata();
  auto& annotations = *to.mutable_metadata()->mutable_annotations();
  auto* spec = to.mutable_spec();
  copy_reference(from.spec().scaletargetref(), spec->mutable_scaletargetref());
  if (from.spec().has_minreplicas()) spec->set_minreplicas(from.spec().minreplicas());
  spec->set_maxreplicas(from.spec().maxreplicas());
  if (from.spec().has_targetcpuutilizationpercentage()) {
    v2::MetricSpec* metric = spec->add_metrics();
    metric->set_type("Resource");
    metric->mutable_resource()->set_name("cpu");
    metric->mutable_resource()->mutable_target()->set_type("Utilization");
    metric->mutable_resource()->mutable_target()->set_averageutilization(from.spec().targetcpuutilizationpercentage());
  }
  auto take = [&](const char* key) {
    auto found = annotations.find(key);
    std::string text = found == annotations.end() ? std::string() : found->second;
    annotations.erase(key);
    return text;
  };
  read_list<v2::MetricSpec>(take(kMetrics), spec->mutable_metrics());
  std::string behavior = take(kBehavior);
  if (!behavior.empty() && !kube::from_json(behavior, *spec->mutable_behavior())) spec->clear_behavior();
  auto* status = to.mutable_status();
  if (from.status().has_observedgeneration()) status->set_observedgeneration(from.status().observedgeneration());
  if (from.status().has_lastscaletime()) *status->mutable_lastscaletime() = from.status().lastscaletime();
  status->set_currentreplicas(from.status().currentreplicas());
  status->set_desiredreplicas(from.status().desiredreplicas());
  read_list<v2::MetricStatus>(take(kCurrentMetrics), status->mutable_currentmetrics());
  read_list<v2::HorizontalPodAutoscalerCondition>(take(kConditions), status->mutable_conditions());
}

void to_events(const core::Event& from, events::Event& to) {
  *to.mutable_metadata() = from.metadata();
  if (from.has_eventtime()) *to.mutable_eventtime() = from.eventtime();
  if (from.has_series()) {
    to.mutable_series()->set_count(from.series().count());
    *to.mutable_series()->mutable_lastobservedtime() = from.series().lastobservedtime();
  }
  to.set_reportingcontroller(from.reportingcomponent());
  to.set_reportinginstance(from.reportinginstance());
  to.set_action(from.action());
  to.set_reason(from.reason());
  *to.mutable_regarding() = from.involvedobject();
  if (from.has_related()) *to.mutable_related() = from.related();
  to.set_note(from.message());
  to.set_type(from.type());
  if (from.has_source()) *to.mutable_deprecatedsource() = from.source();
  if (from.has_firsttimestamp()) *to.mutable_deprecatedfirsttimestamp() = from.firsttimestamp();
  if (from.has_lasttimestamp()) *to.mutable_deprecatedlasttimestamp() = from.lasttimestamp();
  to.set_deprecatedcount(from.count());
}

void to_core(const events::Event& from, core::Event& to) {
  *to.mutable_metadata() = from.metadata();
  if (from.has_eventtime()) *to.mutable_eventtime() = from.eventtime();
  if (from.has_series()) {
    to.mutable_series()->set_count(from.series().count());
    *to.mutable_series()->mutable_lastobservedtime() = from.series().lastobservedtime();
  }
  to.set_reportingcomponent(from.reportingcontroller());
  to.set_reportinginstance(from.reportinginstance());
  to.set_action(from.action());
  to.set_reason(from.reason());
  *to.mutable_involvedobject() = from.regarding();
  if (from.has_related()) *to.mutable_related() = from.related();
  to.set_message(from.note());
  to.set_type(from.type());
  if (from.has_deprecatedsource()) *to.mutable_source() = from.deprecatedsource();
  if (from.has_deprecatedfirsttimestamp()) *to.mutable_firsttimestamp() = from.deprecatedfirsttimestamp();
  if (from.has_deprecatedlasttimestamp()) *to.mutable_lasttimestamp() = from.deprecatedlasttimestamp();
  to.set_count(from.deprecatedcount());
}

template <typename A, typename B>
bool try_convert(const google::protobuf::Message& from, google::protobuf::Message& to, void (*apply)(const A&, B&)) {
  const auto* source = dynamic_cast<const A*>(&from);
  auto* target = dynamic_cast<B*>(&to);
  if (source == nullptr || target == nullptr) return false;
  apply(*source, *target);
  return true;
}

}  // namespace

void convert(const google::protobuf::Message& from, google::protobuf::Message& to) {
  if (from.GetDescriptor() == to.GetDescriptor()) return to.CopyFrom(from);
  (void)(try_convert(from, to, &to_v1) || try_convert(from, to, &to_v2) || try_convert(from, to, &to_events) ||
         try_convert(from, to, &to_core));
}

}  // namespace orlop::rest
