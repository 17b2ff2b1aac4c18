#include "plugins/controllers-workload/autoscaling/autoscaler.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int kWriteAttempts = 3;

void set_condition(Autoscaler& autoscaler, std::string_view type, bool status, std::string_view reason,
                   std::string_view message, int64_t now_ns) {
  k8s::io::api::autoscaling::v2::HorizontalPodAutoscalerCondition* condition = nullptr;
  for (auto& existing : *autoscaler.mutable_status()->mutable_conditions()) {
    if (existing.type() == type) condition = &existing;
  }
  if (condition == nullptr) {
    condition = autoscaler.mutable_status()->add_conditions();
    condition->set_type(std::string(type));
  }
  const char* text = status ? "True" : "False";
  if (condition->status() != text) condition->mutable_lasttransitiontime()->set_seconds(now_ns / kSecondNs);
  condition->set_status(text);
  condition->set_reason(std::string(reason));
  condition->set_message(std::string(message));
}

std::string failed_scale(const std::string& why) {
  return "the HPA controller was unable to get the target's current scale: " + why;
}

std::string selector_text(const kube::LabelSelector& selector) {
  std::map<std::string, std::string> terms;  // in the order of their keys
  for (const auto& [key, value] : selector.matchlabels()) terms[key] = key + "=" + value;
  for (const auto& each : selector.matchexpressions()) {
    std::string text = each.operator_() == "DoesNotExist" ? "!" + each.key() : each.key();
    if (each.values_size() > 0) {
      std::vector<std::string> values(each.values().begin(), each.values().end());
      std::sort(values.begin(), values.end());
      text += each.operator_() == "In" ? " in (" : " notin (";
      for (const std::string& value : values) text += (&value == &values.front() ? "" : ",") + value;
      text += ')';
    }
    std::string& slot = terms[each.key()];
    slot += (slot.empty() ? "" : ",") + text;
  }
  std::string out;
  for (const auto& [key, text] : terms) out += (out.empty() ? "" : ",") + text;
  return out;
}

std::string ambiguous(const kube::LabelSelector& selector, const kube::ObjectMeta& own,
                      std::vector<std::string> names) {
  names.push_back(own.name());
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + own.namespace_() + "/" + name;
  return "pods by selector " + selector_text(selector) + " are controlled by multiple HPAs: [" + text + "]";
}

bool parse(std::string_view bytes, Autoscaler& out) {
  return !bytes.empty() && out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

AutoscalerController::AutoscalerController(Host host, const AutoscalerOptions& options)
    : host_(host), options_(options), events_(host, "horizontal-pod-autoscaler"), autoscalers_(host) {}

void AutoscalerController::observe(const ChangeView& change, KeyQueue& queue) {
  // Its own status is what changes most, and is no reason to look again before the time.
  Autoscaler now, before;
  if (change.type == ChangeType::kUpdated && parse(change.record.value, now) && parse(change.previous_value, before) &&
      google::protobuf::util::MessageDifferencer::Equals(now.spec(), before.spec())) {
    return;
  }
  queue.add({std::string(change.record.name_space), std::string(change.record.name)});
}

std::shared_ptr<ScalingHistory> AutoscalerController::history_of(const ObjectKey& key, const std::string& uid) {
  const std::lock_guard lock(mutex_);
  Remembered& remembered = histories_[key];
  if (remembered.uid != uid) remembered = {uid, std::make_shared<ScalingHistory>()};
  return remembered.history;
}

void AutoscalerController::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  histories_.erase(key);
}

Result<Outcome> AutoscalerController::reconcile(const ObjectKey& key) {
  auto autoscaler = autoscalers_.get(key.name_space, key.name);
  if (autoscaler.code() == Code::kNotFound) {
    forget(key);
    return Outcome{};
  }
  if (!autoscaler) return autoscaler.status();
  if (autoscaler->object.metadata().has_deletiontimestamp()) return Outcome{};
  const auto history = history_of(key, autoscaler->object.metadata().uid());
  Look one;
  one.autoscaler = std::move(autoscaler->object);
  one.history = history.get();
  one.now_ns = host_.wall_now_ns();
  look(one);
  const Status written = write_status(one.autoscaler);
  if (!written && written.code() != Code::kNotFound) {
    warn(one, "FailedUpdateStatus", written.message());
    return written;
  }
  return Outcome{options_.period_seconds * kSecondNs};
}

void AutoscalerController::look(Look& look) {
  const auto scale = find_target(look);
  if (!scale) return;
  const int32_t current = scale->wanted;
  look.history->begin(current, look.now_ns);
  const auto decision = decide(look, *scale);
  auto& status = *look.autoscaler.mutable_status();
  status.set_currentreplicas(current);
  if (!decision) return;
  if (!decision->rescale) {
    status.set_desiredreplicas(current);
    return;
  }
  if (!rescale(look, *scale, *decision)) return;
  status.set_desiredreplicas(decision->replicas);
  status.mutable_lastscaletime()->set_seconds(look.now_ns / kSecondNs);
}

std::optional<Scale> AutoscalerController::find_target(Look& look) {
  const auto& reference = look.autoscaler.spec().scaletargetref();
  const auto fail = [&](const std::string& why) {
    warn(look, "FailedGetScale", why);
    set_condition(look.autoscaler, "AbleToScale", false, "FailedGetScale", failed_scale(why), look.now_ns);
    return std::nullopt;
  };
  look.resource = resource_of(reference.apiversion(), reference.kind());
  if (look.resource.empty()) {
    const size_t slash = reference.apiversion().find('/');
    const std::string group = slash == std::string::npos ? "" : reference.apiversion().substr(0, slash);
    return fail("no matches for kind \"" + reference.kind() + "\" in group \"" + group + "\"");
  }
  if (!has_scale(look.resource)) return fail("the server could not find the requested resource");
  auto scale = read_scale(host_, look.resource, look.autoscaler.metadata().namespace_(), reference.name());
  if (!scale) return fail(scale.message());
  if (!*scale) return fail(std::string(look.resource) + " \"" + reference.name() + "\" not found");
  set_condition(look.autoscaler, "AbleToScale", true, "SucceededGetScale",
                "the HPA controller was able to get the target's current scale", look.now_ns);
  return std::move(**scale);
}

std::optional<AutoscalerController::Decision> AutoscalerController::decide(Look& look, const Scale& scale) {
  const auto& spec = look.autoscaler.spec();
  const int32_t minimum = spec.has_minreplicas() ? spec.minreplicas() : 1;
  look.autoscaler.mutable_status()->clear_currentmetrics();
  if (scale.wanted == 0 && minimum != 0) {
    set_condition(look.autoscaler, "ScalingActive", false, "ScalingDisabled",
                  "scaling is disabled since the replica count of the target is zero", look.now_ns);
    return Decision{};
  }
  if (scale.wanted > spec.maxreplicas()) {
    return Decision{true, spec.maxreplicas(), "Current number of replicas above Spec.MaxReplicas"};
  }
  if (scale.wanted < minimum) {
    return Decision{true, minimum, "Current number of replicas below Spec.MinReplicas"};
  }
  return decide_by_metrics(look, scale);
}

std::optional<AutoscalerController::Decision> AutoscalerController::decide_by_metrics(Look& look, const Scale& scale) {
  Autoscaler& autoscaler = look.autoscaler;
  const auto fail = [&](const std::string& why) {
    warn(look, "FailedComputeMetricsReplicas", why);
    return std::nullopt;
  };
  if (kube::is_empty(scale.selector)) {
    warn(look, "SelectorRequired", "selector is required");
    set_condition(autoscaler, "ScalingActive", false, "InvalidSelector", "the HPA target's scale is missing a selector",
                  look.now_ns);
    return fail("selector is required");
  }
  auto world = read_world(host_, autoscaler.metadata().namespace_(), scale);
  if (!world) return fail(world.message());
  const auto others = rivals(look, scale, world->pods);
  if (!others) return fail(others.message());
  if (!others->empty()) {
    const std::string message = ambiguous(scale.selector, autoscaler.metadata(), *others);
    warn(look, "AmbiguousSelector", message);
    set_condition(autoscaler, "ScalingActive", false, "AmbiguousSelector", message, look.now_ns);
    return fail(message);
  }
  const MetricsAnswer answer = answer_metrics(options_.calculator, *world, autoscaler.spec());
  const MetricAnswer* first_failed = nullptr;
  for (const MetricAnswer& metric : answer.metrics) {
    *autoscaler.mutable_status()->add_currentmetrics() = metric.status;
    if (!metric.failed()) continue;
    warn(look, metric.failed_reason, metric.failed_message);
    if (first_failed == nullptr) first_failed = &metric;
  }
  if (!answer.usable) {
    if (first_failed != nullptr) {
      set_condition(autoscaler, "ScalingActive", false, first_failed->failed_reason,
                    "the HPA was unable to compute the replica count: " + first_failed->failed_message, look.now_ns);
    }
    return fail(answer.failure);
  }
  set_condition(autoscaler, "ScalingActive", true, "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from " + answer.name, look.now_ns);
  Decision decision;
  if (answer.replicas > scale.wanted) decision.reason = answer.name + " above target";
  if (answer.replicas < scale.wanted) decision.reason = "All metrics below target";
  const Limited limited = look.history->limit(autoscaler.spec(), scale.wanted, answer.replicas, look.now_ns);
  set_condition(autoscaler, "AbleToScale", true, limited.able_reason, limited.able_message, look.now_ns);
  set_condition(autoscaler, "ScalingLimited", limited.is_limited, limited.limited_reason, limited.limited_message,
                look.now_ns);
  decision.replicas = limited.replicas;
  decision.rescale = limited.replicas != scale.wanted;
  return decision;
}

// By what their targets select now, so that the first look after a start sees all of them.
Result<std::vector<std::string>> AutoscalerController::rivals(const Look& look, const Scale& scale,
                                                              const ScaledPods& pods) const {
  std::vector<std::string> out;
  if (pods.empty()) return out;
  const auto& metadata = look.autoscaler.metadata();
  ORLOP_ASSIGN(const auto all, autoscalers_.list(metadata.namespace_()));
  for (const auto& other : all) {
    if (other.object.metadata().uid() == metadata.uid()) continue;
    const auto& reference = other.object.spec().scaletargetref();
    const std::string_view resource = resource_of(reference.apiversion(), reference.kind());
    if (resource.empty() || !has_scale(resource)) continue;
    ORLOP_ASSIGN(const auto target, read_scale(host_, resource, metadata.namespace_(), reference.name()));
    if (!target || kube::is_empty(target->selector)) continue;
    const bool is_same = target->metadata.uid() == scale.metadata.uid();
    const bool is_rival = is_same || std::any_of(pods.begin(), pods.end(), [&](const auto& pod) {
                            return kube::matches(target->selector, pod.object.metadata().labels());
                          });
    if (is_rival) out.push_back(other.object.metadata().name());
  }
  return out;
}

// A target whose status alone has changed since it was read is scaled all the same.
bool AutoscalerController::rescale(Look& look, const Scale& scale, const Decision& decision) {
  const std::string size = "New size: " + std::to_string(decision.replicas) + "; reason: " + decision.reason;
  Scale target = scale;
  Status written;
  for (int attempt = 0; attempt < kWriteAttempts; ++attempt) {
    written = write_scale(host_, look.resource, target, decision.replicas);
    if (written.code() != Code::kConflict) break;
    auto again = read_scale(host_, look.resource, scale.metadata.namespace_(), scale.metadata.name());
    if (!again || !*again || (*again)->wanted != scale.wanted) break;
    target = std::move(**again);
  }
  if (!written) {
    warn(look, "FailedRescale", size + "; error: " + written.message());
    set_condition(look.autoscaler, "AbleToScale", false, "FailedUpdateScale",
                  "the HPA controller was unable to update the target scale: " + written.message(), look.now_ns);
    return false;
  }
  set_condition(look.autoscaler, "AbleToScale", true, "SucceededRescale",
                "the HPA controller was able to update the target scale to " + std::to_string(decision.replicas),
                look.now_ns);
  events_.about(look.autoscaler, EventType::kNormal, "SuccessfulRescale", size);
  look.history->scaled(look.autoscaler.spec(), scale.wanted, decision.replicas, look.now_ns);
  return true;
}

void AutoscalerController::warn(const Look& look, std::string_view reason, const std::string& message) {
  events_.about(look.autoscaler, EventType::kWarning, reason, message);
}

// Onto whatever the autoscaler has become meanwhile: nobody else writes its status.
Status AutoscalerController::write_status(const Autoscaler& autoscaler) const {
  Status written;
  for (int attempt = 0; attempt < kWriteAttempts; ++attempt) {
    ORLOP_ASSIGN(auto stored, autoscalers_.get(autoscaler.metadata().namespace_(), autoscaler.metadata().name()));
    *stored.object.mutable_status() = autoscaler.status();
    written = autoscalers_.update_status(stored).status();
    if (written.code() != Code::kConflict) break;
  }
  return written;
}

}  // namespace orlop::workload
