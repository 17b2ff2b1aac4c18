#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/autoscaling_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/json.hpp"
#include "plugins/api-kubernetes/patch/patch.hpp"
#include "plugins/api-kubernetes/rest/change.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"
#include "plugins/api-kubernetes/selector/labels.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <boost/json.hpp>
#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace apps = k8s::io::api::apps::v1;
namespace autoscaling = k8s::io::api::autoscaling::v1;
namespace core = k8s::io::api::core::v1;
namespace json = boost::json;
namespace meta_v1 = k8s::io::apimachinery::pkg::apis::meta::v1;

std::string selector_text(const meta_v1::LabelSelector& selector) {
  std::vector<apikube::LabelRequirement> requirements;
  for (const auto& [key, value] : selector.matchlabels()) {
    requirements.push_back({key, apikube::LabelOperator::kEquals, {value}});
  }
  for (const auto& term : selector.matchexpressions()) {
    apikube::LabelOperator op = term.operator_() == "In"       ? apikube::LabelOperator::kIn
                                : term.operator_() == "NotIn"  ? apikube::LabelOperator::kNotIn
                                : term.operator_() == "Exists" ? apikube::LabelOperator::kExists
                                                               : apikube::LabelOperator::kDoesNotExist;
    std::vector<std::string> values(term.values().begin(), term.values().end());
    std::sort(values.begin(), values.end());
    requirements.push_back({term.key(), op, std::move(values)});
  }
  return apikube::LabelSelector(std::move(requirements)).text();
}

template <typename Workload>
void fill(const Workload& workload, const std::string& selector, autoscaling::Scale& scale) {
  auto* metadata = scale.mutable_metadata();
  metadata->set_name(workload.metadata().name());
  metadata->set_namespace_(workload.metadata().namespace_());
  metadata->set_uid(workload.metadata().uid());
  metadata->set_resourceversion(workload.metadata().resourceversion());
  *metadata->mutable_creationtimestamp() = workload.metadata().creationtimestamp();
  scale.mutable_spec()->set_replicas(workload.spec().replicas());
  scale.mutable_status()->set_replicas(workload.status().replicas());
  scale.mutable_status()->set_selector(selector);
}

template <typename Workload>
bool try_fill(const google::protobuf::Message& message, autoscaling::Scale& scale) {
  const auto* workload = dynamic_cast<const Workload*>(&message);
  if (workload == nullptr) return false;
  fill(*workload, selector_text(workload->spec().selector()), scale);
  return true;
}

Status scale_of(const google::protobuf::Message& message, autoscaling::Scale& scale) {
  if (try_fill<apps::Deployment>(message, scale) || try_fill<apps::ReplicaSet>(message, scale) ||
      try_fill<apps::StatefulSet>(message, scale)) {
    return Status::ok();
  }
  if (const auto* controller = dynamic_cast<const core::ReplicationController*>(&message)) {
    meta_v1::LabelSelector selector;
    for (const auto& [key, value] : controller->spec().selector()) (*selector.mutable_matchlabels())[key] = value;
    fill(*controller, selector_text(selector), scale);
    return Status::ok();
  }
  return {Code::kNotFound, "the server could not find the requested resource"};
}

template <typename Workload>
bool try_set(google::protobuf::Message& message, int32_t replicas) {
  auto* workload = dynamic_cast<Workload*>(&message);
  if (workload == nullptr) return false;
  workload->mutable_spec()->set_replicas(replicas);
  return true;
}

void set_replicas(google::protobuf::Message& message, int32_t replicas) {
  (void)(try_set<apps::Deployment>(message, replicas) || try_set<apps::ReplicaSet>(message, replicas) ||
         try_set<apps::StatefulSet>(message, replicas) || try_set<core::ReplicationController>(message, replicas));
}

Result<autoscaling::Scale> read_scale(const KindEntry& entry, const Current& current) {
  MessagePtr workload = read_stored(entry, current.value, current.revision);
  if (!workload) return Status(Code::kInternal, "the stored object cannot be read");
  autoscaling::Scale scale;
  ORLOP_TRY(scale_of(*workload, scale));
  return scale;
}

void answer_scale(Call& call, int code, const Current& current) {
  auto scale = read_scale(*call.entry, current);
  if (!scale) return fail(call, scale.status());
  answer_message(call, code, "autoscaling/v1", "Scale", *scale);
}

// What a PUT or PATCH wants the scale to be.
Result<autoscaling::Scale> wanted_scale(const Call& call, const std::string& body, const Current& current) {
  autoscaling::Scale wanted;
  std::vector<std::string> warnings;
  std::string_view content_type = call.request().header("Content-Type");
  if (call.info.verb == "update") {
    ORLOP_TRY(decode_body_as("autoscaling/v1", "Scale", content_type, body, "Ignore", wanted, warnings));
    return wanted;
  }
  ORLOP_ASSIGN(autoscaling::Scale before, read_scale(*call.entry, current));
  before.mutable_metadata()->clear_resourceversion();
  std::string text;
  kube::to_json(before, "autoscaling/v1", "Scale", text);
  boost::system::error_code error;
  json::value document = json::parse(text, error);
  json::value patch = json::parse(body, error);
  if (error) return Status(Code::kBadRequest, "error decoding patch: " + error.message());
  auto patched = media_type(content_type) == "application/json-patch+json" ? apikube::json_patch(document, patch)
                                                                           : apikube::merge_patch(document, patch);
  if (!patched) return patched.status();
  ORLOP_TRY(decode_json_as("autoscaling/v1", "Scale", json::serialize(*patched), "Ignore", wanted, warnings));
  return wanted;
}

// What the body says of its name and namespace must be what the path says.
Status check_key(const Call& call, const autoscaling::Scale& scale) {
  const std::string& name = scale.metadata().name();
  const std::string& name_space = scale.metadata().namespace_();
  if (!name.empty() && name != call.info.name) {
    return {Code::kBadRequest, "the name of the object (" + name + ") does not match the name on the URL (" +
                                   std::string(call.info.name) + ")"};
  }
  if (!name_space.empty() && name_space != call.info.name_space) {
    return {Code::kBadRequest, "the namespace of the object (" + name_space +
                                   ") does not match the namespace on the request (" +
                                   std::string(call.info.name_space) + ")"};
  }
  return Status::ok();
}

}  // namespace

Task<void> handle_scale(Call& call) {
  std::string name_space(call.info.name_space);
  std::string name(call.info.name);
  if (call.info.verb == "get") {
    auto current = read_current(call, *call.entry, name_space, name);
    if (!current) co_return fail(call, current.status());
    co_return answer_scale(call, 200, *current);
  }
  std::string body = call.exchange.take_body();
  const Call* asked = &call;
  MakeObject make = [asked, &body](const Current& current) -> Result<MessagePtr> {
    ORLOP_ASSIGN(autoscaling::Scale wanted, wanted_scale(*asked, body, current));
    ORLOP_TRY(check_key(*asked, wanted));
    if (wanted.spec().replicas() < 0) {
      std::string message =
          "Invalid value: " + std::to_string(wanted.spec().replicas()) + ": must be greater than or equal to 0";
      return Status(Code::kInvalid,
                    "Scale.autoscaling \"" + std::string(asked->info.name) + "\" is invalid: spec.replicas: " + message,
                    {{"FieldValueInvalid", message, "spec.replicas"}});
    }
    MessagePtr workload = read_stored(*asked->entry, current.value, 0);
    if (!workload) return Status(Code::kInternal, "the stored object cannot be read");
    set_replicas(*workload, wanted.spec().replicas());
    // Preconditions, where the scale has them.
    auto* metadata = dynamic_cast<meta_v1::ObjectMeta*>(
        workload->GetReflection()->MutableMessage(workload.get(), asked->entry->metadata));
    if (!wanted.metadata().resourceversion().empty()) {
      metadata->set_resourceversion(wanted.metadata().resourceversion());
    }
    if (!wanted.metadata().uid().empty()) metadata->set_uid(wanted.metadata().uid());
    return workload;
  };
  // The workload's own rules hold for what a scale changes in it.
  ChangeOptions options{std::string(call.info.verb), "", {}};
  auto changed = co_await change_object(call, *call.entry, name_space, name, make, options);
  if (!changed) co_return fail(call, changed.status());
  answer_scale(call, 200, {changed->value, changed->revision});
}

}  // namespace orlop::rest
