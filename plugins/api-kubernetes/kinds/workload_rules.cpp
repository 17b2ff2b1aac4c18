#include "plugins/api-kubernetes/kinds/workload_rules.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/intstr.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace orlop::apikube {

namespace appsv1 = k8s::io::api::apps::v1;

void set_int(IntOrString* value, int32_t number) {
  value->set_type(0);
  value->set_intval(number);
  value->set_strval("");
}

void set_percent(IntOrString* value, std::string_view text) {
  value->set_type(1);
  value->set_intval(0);
  value->set_strval(std::string(text));
}

int int_or_percent(const IntOrString& value) {
  if (value.type() == 0) return value.intval();
  int number = 0;
  std::from_chars(value.strval().data(), value.strval().data() + value.strval().size(), number);
  return number;
}

ShownValue shown(const IntOrString& value) {
  return ShownValue::raw(value.type() == 0 ? std::to_string(value.intval()) : value.strval());
}

void validate_count_or_percent(const IntOrString& value, const FieldPath& path, FieldErrors* errors) {
  if (value.type() == 0) {
    if (value.intval() < 0) errors->invalid(path, shown(value), "must be greater than or equal to 0");
    return;
  }
  for (const auto& fault : percent_faults(value.strval())) errors->invalid(path, shown(value), fault);
}

void validate_at_most_100_percent(const IntOrString& value, const FieldPath& path, FieldErrors* errors) {
  if (value.type() != 0 && percent_faults(value.strval()).empty() && int_or_percent(value) > 100) {
    errors->invalid(path, shown(value), "must not be greater than 100%");
  }
}

void require_restart_always(const corev1::PodTemplateSpec& pod_template, const FieldPath& path, std::string_view kind,
                            FieldErrors* errors) {
  if (pod_template.spec().restartpolicy() != "Always") {
    errors->not_supported(path.child("spec", "restartPolicy"), pod_template.spec().restartpolicy(), {"Always"});
  }
  if (pod_template.spec().has_activedeadlineseconds()) {
    errors->forbidden(path.child("spec", "activeDeadlineSeconds"),
                      fmt::format("activeDeadlineSeconds in {} is not Supported", kind));
  }
}

void validate_selected_template(bool has_selector, const metav1::LabelSelector& selector,
                                const corev1::PodTemplateSpec& pod_template, std::string_view noun,
                                std::string_view kind, const FieldPath& path, FieldErrors* errors) {
  if (!has_selector) {
    errors->required(path.child("selector"));
  } else {
    validate_label_selector(selector, path.child("selector"), errors);
    if (selector.matchlabels().empty() && selector.matchexpressions().empty()) {
      errors->invalid(path.child("selector"), shown_selector(selector),
                      fmt::format("empty selector is invalid for {}", noun));
    }
  }
  if (!has_selector || !selector_matches(selector, pod_template.metadata())) {
    errors->invalid(path.child("template", "metadata", "labels"), shown_labels(pod_template.metadata()),
                    "`selector` does not match template `labels`");
  }
  validate_pod_template(pod_template, path.child("template"), errors);
  require_restart_always(pod_template, path.child("template"), kind, errors);
}

namespace {

void immutable_selector(const metav1::LabelSelector& selector, const metav1::LabelSelector& current,
                        FieldErrors* errors) {
  if (!same_message(selector, current)) {
    errors->invalid(FieldPath("spec").child("selector"), shown_selector(selector), "field is immutable");
  }
}

void deployment_defaults(Message* object) {
  auto* spec = as<appsv1::Deployment>(object).mutable_spec();
  if (!spec->has_replicas()) spec->set_replicas(1);
  auto* strategy = spec->mutable_strategy();
  if (strategy->type().empty()) strategy->set_type("RollingUpdate");
  if (strategy->type() == "RollingUpdate") {
    auto* rolling = strategy->mutable_rollingupdate();
    if (!rolling->has_maxunavailable()) set_percent(rolling->mutable_maxunavailable(), "25%");
    if (!rolling->has_maxsurge()) set_percent(rolling->mutable_maxsurge(), "25%");
  }
  if (!spec->has_revisionhistorylimit()) spec->set_revisionhistorylimit(10);
  if (!spec->has_progressdeadlineseconds()) spec->set_progressdeadlineseconds(600);
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void validate_deployment_strategy(const appsv1::DeploymentStrategy& strategy, const FieldPath& path,
                                  FieldErrors* errors) {
  if (strategy.type() == "Recreate") {
    if (strategy.has_rollingupdate()) {
      errors->forbidden(path.child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'");
    }
  } else if (strategy.type() == "RollingUpdate") {
    const auto& rolling = strategy.rollingupdate();
    const auto at = path.child("rollingUpdate");
    validate_count_or_percent(rolling.maxunavailable(), at.child("maxUnavailable"), errors);
    validate_count_or_percent(rolling.maxsurge(), at.child("maxSurge"), errors);
    if (int_or_percent(rolling.maxunavailable()) == 0 && int_or_percent(rolling.maxsurge()) == 0) {
      errors->invalid(at.child("maxUnavailable"), shown(rolling.maxunavailable()), "may not be 0 when `maxSurge` is 0");
    }
    validate_at_most_100_percent(rolling.maxunavailable(), at.child("maxUnavailable"), errors);
  } else {
    errors->not_supported(path, strategy.type(), {"Recreate", "RollingUpdate"});
  }
}

void validate_deployment(const Message& object, FieldErrors* errors) {
  const auto& spec = as<appsv1::Deployment>(object).spec();
  const FieldPath path("spec");
  errors->non_negative(path.child("replicas"), spec.replicas());
  validate_selected_template(spec.has_selector(), spec.selector(), spec.template_(), "deployment", "ReplicaSet", path,
                             errors);
  validate_deployment_strategy(spec.strategy(), path.child("strategy"), errors);
  errors->non_negative(path.child("minReadySeconds"), spec.minreadyseconds());
  errors->non_negative(path.child("revisionHistoryLimit"), spec.revisionhistorylimit());
  errors->non_negative(path.child("progressDeadlineSeconds"), spec.progressdeadlineseconds());
  if (spec.progressdeadlineseconds() <= spec.minreadyseconds()) {
    errors->invalid(path.child("progressDeadlineSeconds"), spec.progressdeadlineseconds(),
                    "must be greater than minReadySeconds");
  }
}

void validate_deployment_update(const Message& object, const Message& current, std::string_view subresource,
                                FieldErrors* errors) {
  if (subresource.empty()) {
    immutable_selector(as<appsv1::Deployment>(object).spec().selector(),
                       as<appsv1::Deployment>(current).spec().selector(), errors);
  }
}

void replica_set_defaults(Message* object) {
  auto* spec = as<appsv1::ReplicaSet>(object).mutable_spec();
  if (!spec->has_replicas()) spec->set_replicas(1);
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void validate_replica_set(const Message& object, FieldErrors* errors) {
  const auto& spec = as<appsv1::ReplicaSet>(object).spec();
  const FieldPath path("spec");
  errors->non_negative(path.child("replicas"), spec.replicas());
  errors->non_negative(path.child("minReadySeconds"), spec.minreadyseconds());
  validate_selected_template(spec.has_selector(), spec.selector(), spec.template_(), "deployment", "ReplicaSet", path,
                             errors);
}

void validate_replica_set_update(const Message& object, const Message& current, std::string_view subresource,
                                 FieldErrors* errors) {
  if (subresource.empty()) {
    immutable_selector(as<appsv1::ReplicaSet>(object).spec().selector(),
                       as<appsv1::ReplicaSet>(current).spec().selector(), errors);
  }
}

void stateful_set_defaults(Message* object) {
  auto* spec = as<appsv1::StatefulSet>(object).mutable_spec();
  if (spec->podmanagementpolicy().empty()) spec->set_podmanagementpolicy("OrderedReady");
  auto* strategy = spec->mutable_updatestrategy();
  if (strategy->type().empty()) {
    strategy->set_type("RollingUpdate");
    strategy->mutable_rollingupdate();
  }
  if (strategy->type() == "RollingUpdate" && strategy->has_rollingupdate() &&
      !strategy->rollingupdate().has_partition()) {
    strategy->mutable_rollingupdate()->set_partition(0);
  }
  auto* retention = spec->mutable_persistentvolumeclaimretentionpolicy();
  if (retention->whendeleted().empty()) retention->set_whendeleted("Retain");
  if (retention->whenscaled().empty()) retention->set_whenscaled("Retain");
  if (!spec->has_replicas()) spec->set_replicas(1);
  if (!spec->has_revisionhistorylimit()) spec->set_revisionhistorylimit(10);
  for (auto& claim : *spec->mutable_volumeclaimtemplates()) {
    if (!claim.spec().has_volumemode()) claim.mutable_spec()->set_volumemode("Filesystem");
    if (claim.status().phase().empty()) claim.mutable_status()->set_phase("Pending");
  }
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void validate_stateful_set(const Message& object, FieldErrors* errors) {
  const auto& spec = as<appsv1::StatefulSet>(object).spec();
  const FieldPath path("spec");
  if (spec.podmanagementpolicy() != "OrderedReady" && spec.podmanagementpolicy() != "Parallel") {
    errors->invalid(path.child("podManagementPolicy"), spec.podmanagementpolicy(),
                    "must be 'OrderedReady' or 'Parallel'");
  }
  const auto strategy = path.child("updateStrategy");
  if (spec.updatestrategy().type() == "OnDelete") {
    if (spec.updatestrategy().has_rollingupdate()) {
      errors->invalid(strategy.child("rollingUpdate"), ShownValue::raw("apps.RollingUpdateStatefulSetStrategy"),
                      "only allowed for updateStrategy 'RollingUpdate'");
    }
  } else if (spec.updatestrategy().type() == "RollingUpdate") {
    errors->non_negative(strategy.child("rollingUpdate", "partition"),
                         spec.updatestrategy().rollingupdate().partition());
  } else {
    errors->invalid(strategy, spec.updatestrategy().type(), "must be 'RollingUpdate' or 'OnDelete'");
  }
  errors->non_negative(path.child("replicas"), spec.replicas());
  errors->non_negative(path.child("minReadySeconds"), spec.minreadyseconds());
  if (spec.has_ordinals()) errors->non_negative(path.child("ordinals", "start"), spec.ordinals().start());
  if (!spec.has_selector()) {
    errors->required(path.child("selector"));
  } else {
    validate_label_selector(spec.selector(), path.child("selector"), errors);
    if (spec.selector().matchlabels().empty() && spec.selector().matchexpressions().empty()) {
      errors->invalid(path.child("selector"), shown_selector(spec.selector()),
                      "empty selector is invalid for statefulset");
    }
    if (!selector_matches(spec.selector(), spec.template_().metadata())) {
      errors->invalid(path.child("template", "metadata", "labels"), shown_labels(spec.template_().metadata()),
                      "`selector` does not match template `labels`");
    }
  }
  // Claim templates are volumes too, once their pods exist: the template's mounts may name them.
  corev1::PodTemplateSpec whole = spec.template_();
  for (const auto& claim : spec.volumeclaimtemplates()) {
    const auto& volumes = whole.spec().volumes();
    const bool shadowed = std::any_of(volumes.begin(), volumes.end(),
                                      [&](const auto& volume) { return volume.name() == claim.metadata().name(); });
    if (shadowed) continue;
    auto* volume = whole.mutable_spec()->add_volumes();
    volume->set_name(claim.metadata().name());
    volume->mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname(claim.metadata().name());
  }
  validate_pod_template(whole, path.child("template"), errors);
  require_restart_always(spec.template_(), path.child("template"), "StatefulSet", errors);
}

void validate_stateful_set_update(const Message& object, const Message& current, std::string_view subresource,
                                  FieldErrors* errors) {
  if (!subresource.empty()) return;
  appsv1::StatefulSetSpec masked = as<appsv1::StatefulSet>(object).spec();
  const auto& before = as<appsv1::StatefulSet>(current).spec();
  *masked.mutable_template_() = before.template_();
  *masked.mutable_updatestrategy() = before.updatestrategy();
  *masked.mutable_persistentvolumeclaimretentionpolicy() = before.persistentvolumeclaimretentionpolicy();
  *masked.mutable_ordinals() = before.ordinals();
  masked.set_replicas(before.replicas());
  masked.set_minreadyseconds(before.minreadyseconds());
  masked.set_revisionhistorylimit(before.revisionhistorylimit());
  if (!same_message(masked, before)) {
    errors->forbidden(
        FieldPath("spec"),
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
  }
}

void daemon_set_defaults(Message* object) {
  auto* spec = as<appsv1::DaemonSet>(object).mutable_spec();
  auto* strategy = spec->mutable_updatestrategy();
  if (strategy->type().empty()) strategy->set_type("RollingUpdate");
  if (strategy->type() == "RollingUpdate") {
    auto* rolling = strategy->mutable_rollingupdate();
    if (!rolling->has_maxunavailable()) set_int(rolling->mutable_maxunavailable(), 1);
    if (!rolling->has_maxsurge()) set_int(rolling->mutable_maxsurge(), 0);
  }
  if (!spec->has_revisionhistorylimit()) spec->set_revisionhistorylimit(10);
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

constexpr char kTemplateGeneration[] = "deprecated.daemonset.template.generation";

int64_t template_generation(const metav1::ObjectMeta& metadata) {
  const auto found = metadata.annotations().find(kTemplateGeneration);
  int64_t generation = 0;
  if (found != metadata.annotations().end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), generation);
  }
  return std::max<int64_t>(1, generation);
}

// The API counts the versions of a daemon's template; its pods carry the number.
void daemon_set_create(Message* object) {
  auto* metadata = as<appsv1::DaemonSet>(object).mutable_metadata();
  (*metadata->mutable_annotations())[kTemplateGeneration] = std::to_string(template_generation(*metadata));
}

void daemon_set_update(Message* object, const Message& current, std::string_view subresource) {
  if (!subresource.empty()) return;
  auto& set = as<appsv1::DaemonSet>(object);
  const auto& before = as<appsv1::DaemonSet>(current);
  const bool changed = !same_message(set.spec().template_(), before.spec().template_());
  (*set.mutable_metadata()->mutable_annotations())[kTemplateGeneration] =
      std::to_string(template_generation(before.metadata()) + (changed ? 1 : 0));
}

void validate_daemon_set(const Message& object, FieldErrors* errors) {
  const auto& spec = as<appsv1::DaemonSet>(object).spec();
  const FieldPath path("spec");
  validate_selected_template(spec.has_selector(), spec.selector(), spec.template_(), "daemonset", "DaemonSet", path,
                             errors);
  errors->non_negative(path.child("minReadySeconds"), spec.minreadyseconds());
  errors->non_negative(path.child("revisionHistoryLimit"), spec.revisionhistorylimit());
  const auto strategy = path.child("updateStrategy");
  if (spec.updatestrategy().type() == "RollingUpdate") {
    const auto& rolling = spec.updatestrategy().rollingupdate();
    validate_count_or_percent(rolling.maxunavailable(), strategy.child("rollingUpdate", "maxUnavailable"), errors);
    validate_count_or_percent(rolling.maxsurge(), strategy.child("rollingUpdate", "maxSurge"), errors);
    const bool unavailable = int_or_percent(rolling.maxunavailable()) != 0;
    const bool surge = int_or_percent(rolling.maxsurge()) != 0;
    if (unavailable && surge) {
      errors->invalid(strategy.child("rollingUpdate", "maxSurge"), shown(rolling.maxsurge()),
                      "may not be set when maxUnavailable is non-zero");
    } else if (!unavailable && !surge) {
      errors->required(strategy.child("rollingUpdate", "maxUnavailable"), "cannot be 0 when maxSurge is 0");
    }
  } else if (spec.updatestrategy().type() != "OnDelete") {
    errors->not_supported(strategy, spec.updatestrategy().type(), {"RollingUpdate", "OnDelete"});
  }
}

void validate_daemon_set_update(const Message& object, const Message& current, std::string_view subresource,
                                FieldErrors* errors) {
  if (subresource.empty()) {
    immutable_selector(as<appsv1::DaemonSet>(object).spec().selector(),
                       as<appsv1::DaemonSet>(current).spec().selector(), errors);
  }
}

void validate_controller_revision(const Message& object, FieldErrors* errors) {
  const auto& revision = as<appsv1::ControllerRevision>(object);
  if (!revision.has_data()) errors->required(FieldPath("data"), "data is mandatory");
  errors->non_negative(FieldPath("revision"), revision.revision());
}

void validate_controller_revision_update(const Message& object, const Message& current, std::string_view,
                                         FieldErrors* errors) {
  const auto& now = as<appsv1::ControllerRevision>(object).data();
  if (now.raw() != as<appsv1::ControllerRevision>(current).data().raw()) {
    errors->invalid(FieldPath("data"), ShownValue::raw(now.raw()), "field is immutable");
  }
}

void replication_controller_defaults(Message* object) {
  auto& controller = as<corev1::ReplicationController>(object);
  auto* spec = controller.mutable_spec();
  const auto labels = spec->template_().metadata().labels();
  if (!labels.empty()) {
    if (spec->selector().empty()) *spec->mutable_selector() = labels;
    if (controller.metadata().labels().empty()) *controller.mutable_metadata()->mutable_labels() = labels;
  }
  if (!spec->has_replicas()) spec->set_replicas(1);
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void validate_replication_controller(const Message& object, FieldErrors* errors) {
  const auto& spec = as<corev1::ReplicationController>(object).spec();
  const FieldPath path("spec");
  errors->non_negative(path.child("minReadySeconds"), spec.minreadyseconds());
  if (spec.selector().empty()) errors->required(path.child("selector"));
  errors->non_negative(path.child("replicas"), spec.replicas());
  if (!spec.has_template_()) {
    errors->required(path.child("template"));
    return;
  }
  metav1::LabelSelector selector;
  *selector.mutable_matchlabels() = spec.selector();
  if (!selector_matches(selector, spec.template_().metadata())) {
    errors->invalid(path.child("template", "metadata", "labels"), shown_labels(spec.template_().metadata()),
                    "`selector` does not match template `labels`");
  }
  validate_pod_template(spec.template_(), path.child("template"), errors);
  require_restart_always(spec.template_(), path.child("template"), "ReplicationController", errors);
}

void pod_template_defaults(Message* object) {
  set_pod_spec_defaults(as<corev1::PodTemplate>(object).mutable_template_()->mutable_spec());
}

void validate_pod_template_object(const Message& object, FieldErrors* errors) {
  validate_pod_template(as<corev1::PodTemplate>(object).template_(), FieldPath("template"), errors);
}

constexpr KindHandler kHandlers[] = {
    {.id = "deployments.apps",
     .set_defaults = deployment_defaults,
     .validate = validate_deployment,
     .validate_update = validate_deployment_update},
    {.id = "replicasets.apps",
     .set_defaults = replica_set_defaults,
     .validate = validate_replica_set,
     .validate_update = validate_replica_set_update},
    {.id = "statefulsets.apps",
     .set_defaults = stateful_set_defaults,
     .validate = validate_stateful_set,
     .validate_update = validate_stateful_set_update},
    {.id = "daemonsets.apps",
     .set_defaults = daemon_set_defaults,
     .prepare_create = daemon_set_create,
     .prepare_update = daemon_set_update,
     .validate = validate_daemon_set,
     .validate_update = validate_daemon_set_update},
    {.id = "controllerrevisions.apps",
     .validate = validate_controller_revision,
     .validate_update = validate_controller_revision_update},
    {.id = "replicationcontrollers",
     .set_defaults = replication_controller_defaults,
     .validate = validate_replication_controller},
    {.id = "podtemplates", .set_defaults = pod_template_defaults, .validate = validate_pod_template_object},
};

}  // namespace

std::span<const KindHandler> workload_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
