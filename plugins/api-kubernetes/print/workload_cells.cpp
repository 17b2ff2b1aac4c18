#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/autoscaling_v2.hpp"
#include "orlop/kube/batch_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/intstr.hpp"
#include "orlop/kube/policy_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace appsv1 = k8s::io::api::apps::v1;
namespace autoscalingv2 = k8s::io::api::autoscaling::v2;
namespace batchv1 = k8s::io::api::batch::v1;
namespace corev1 = k8s::io::api::core::v1;
namespace policyv1 = k8s::io::api::policy::v1;

constexpr ColumnSpec kDeploymentColumns[] = {
    kNameColumn,
    {"Ready", "string", "Number of the pod with ready state"},
    {"Up-to-date", "string", "k8s.io.api.apps.v1.DeploymentStatus#updatedReplicas"},
    {"Available", "string", "k8s.io.api.apps.v1.DeploymentStatus#availableReplicas"},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.apps.v1.DeploymentSpec#selector", 1},
};

void deployment_cells(const Message& object, Cells* cells) {
  const auto& deployment = as<appsv1::Deployment>(object);
  cells->text(deployment.metadata().name());
  cells->text(fmt::format("{}/{}", deployment.status().readyreplicas(), deployment.spec().replicas()));
  cells->integer(deployment.status().updatedreplicas());
  cells->integer(deployment.status().availablereplicas());
  cells->age(deployment.metadata());
  cells->containers(deployment.spec().template_().spec());
  cells->text(selector_text(deployment.spec().selector()));
}

constexpr ColumnSpec kReplicaSetColumns[] = {
    kNameColumn,
    {"Desired", "integer", "k8s.io.api.apps.v1.ReplicaSetSpec#replicas"},
    {"Current", "integer", "k8s.io.api.apps.v1.ReplicaSetStatus#replicas"},
    {"Ready", "integer", "k8s.io.api.apps.v1.ReplicaSetStatus#readyReplicas"},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.apps.v1.ReplicaSetSpec#selector", 1},
};

void replica_set_cells(const Message& object, Cells* cells) {
  const auto& set = as<appsv1::ReplicaSet>(object);
  cells->text(set.metadata().name());
  cells->integer(set.spec().replicas());
  cells->integer(set.status().replicas());
  cells->integer(set.status().readyreplicas());
  cells->age(set.metadata());
  cells->containers(set.spec().template_().spec());
  cells->text(selector_text(set.spec().selector()));
}

constexpr ColumnSpec kReplicationControllerColumns[] = {
    kNameColumn,
    {"Desired", "integer", "k8s.io.api.core.v1.ReplicationControllerSpec#replicas"},
    {"Current", "integer", "k8s.io.api.core.v1.ReplicationControllerStatus#replicas"},
    {"Ready", "integer", "k8s.io.api.core.v1.ReplicationControllerStatus#readyReplicas"},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.core.v1.ReplicationControllerSpec#selector", 1},
};

void replication_controller_cells(const Message& object, Cells* cells) {
  const auto& controller = as<corev1::ReplicationController>(object);
  cells->text(controller.metadata().name());
  cells->integer(controller.spec().replicas());
  cells->integer(controller.status().replicas());
  cells->integer(controller.status().readyreplicas());
  cells->age(controller.metadata());
  cells->containers(controller.spec().template_().spec());
  cells->text(labels_text(controller.spec().selector()));
}

constexpr ColumnSpec kStatefulSetColumns[] = {kNameColumn,
                                              {"Ready", "string", "Number of the pod with ready state"},
                                              kAgeColumn,
                                              kContainersColumn,
                                              kImagesColumn};

void stateful_set_cells(const Message& object, Cells* cells) {
  const auto& set = as<appsv1::StatefulSet>(object);
  cells->text(set.metadata().name());
  cells->text(fmt::format("{}/{}", set.status().readyreplicas(), set.spec().replicas()));
  cells->age(set.metadata());
  cells->containers(set.spec().template_().spec());
}

constexpr ColumnSpec kDaemonSetColumns[] = {
    kNameColumn,
    {"Desired", "integer", "k8s.io.api.apps.v1.DaemonSetStatus#desiredNumberScheduled"},
    {"Current", "integer", "k8s.io.api.apps.v1.DaemonSetStatus#currentNumberScheduled"},
    {"Ready", "integer", "k8s.io.api.apps.v1.DaemonSetStatus#numberReady"},
    {"Up-to-date", "integer", "k8s.io.api.apps.v1.DaemonSetStatus#updatedNumberScheduled"},
    {"Available", "integer", "k8s.io.api.apps.v1.DaemonSetStatus#numberAvailable"},
    {"Node Selector", "string", "k8s.io.api.core.v1.PodSpec#nodeSelector"},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.apps.v1.DaemonSetSpec#selector", 1},
};

void daemon_set_cells(const Message& object, Cells* cells) {
  const auto& set = as<appsv1::DaemonSet>(object);
  cells->text(set.metadata().name());
  cells->integer(set.status().desirednumberscheduled());
  cells->integer(set.status().currentnumberscheduled());
  cells->integer(set.status().numberready());
  cells->integer(set.status().updatednumberscheduled());
  cells->integer(set.status().numberavailable());
  cells->text(labels_text(set.spec().template_().spec().nodeselector()));
  cells->age(set.metadata());
  cells->containers(set.spec().template_().spec());
  cells->text(selector_text(set.spec().selector()));
}

constexpr ColumnSpec kJobColumns[] = {
    kNameColumn,
    {"Status", "string", "Status of the job."},
    {"Completions", "string", "k8s.io.api.batch.v1.JobStatus#succeeded"},
    {"Duration", "string", "Time required to complete the job."},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.batch.v1.JobSpec#selector", 1},
};

std::string job_status(const batchv1::Job& job) {
  auto has = [&](std::string_view type) {
    return std::any_of(job.status().conditions().begin(), job.status().conditions().end(),
                       [&](const auto& condition) { return condition.type() == type && condition.status() == "True"; });
  };
  if (has("Complete")) return "Complete";
  if (has("Failed")) return "Failed";
  if (job.metadata().has_deletiontimestamp()) return "Terminating";
  for (const char* type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"}) {
    if (has(type)) return type;
  }
  return "Running";
}

std::string job_duration(const batchv1::Job& job, const Cells& cells) {
  if (!job.status().has_starttime()) return "";
  if (!job.status().has_completiontime()) return cells.age_text(job.status().starttime());
  return human_duration(
      std::chrono::seconds(job.status().completiontime().seconds() - job.status().starttime().seconds()));
}

void job_cells(const Message& object, Cells* cells) {
  const auto& job = as<batchv1::Job>(object);
  cells->text(job.metadata().name());
  cells->text(job_status(job));
  if (job.spec().has_completions()) {
    cells->text(fmt::format("{}/{}", job.status().succeeded(), job.spec().completions()));
  } else if (job.spec().parallelism() > 1) {
    cells->text(fmt::format("{}/1 of {}", job.status().succeeded(), job.spec().parallelism()));
  } else {
    cells->text(fmt::format("{}/1", job.status().succeeded()));
  }
  cells->text(job_duration(job, *cells));
  cells->age(job.metadata());
  cells->containers(job.spec().template_().spec());
  cells->text(selector_text(job.spec().selector()));
}

constexpr ColumnSpec kCronJobColumns[] = {
    kNameColumn,
    {"Schedule", "string", "k8s.io.api.batch.v1.CronJobSpec#schedule"},
    {"Timezone", "string", "k8s.io.api.batch.v1.CronJobSpec#timeZone"},
    {"Suspend", "boolean", "k8s.io.api.batch.v1.CronJobSpec#suspend"},
    {"Active", "integer", "k8s.io.api.batch.v1.CronJobStatus#active"},
    {"Last Schedule", "string", "k8s.io.api.batch.v1.CronJobStatus#lastScheduleTime"},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    {"Selector", "string", "k8s.io.api.batch.v1.JobSpec#selector", 1},
};

void cron_job_cells(const Message& object, Cells* cells) {
  const auto& job = as<batchv1::CronJob>(object);
  cells->text(job.metadata().name());
  cells->text(job.spec().schedule());
  cells->text_or(job.spec().timezone(), "<none>");
  cells->text(!job.spec().has_suspend() ? "<unset>" : job.spec().suspend() ? "True" : "False");
  cells->integer(job.status().active_size());
  cells->text(job.status().has_lastscheduletime() ? cells->age_text(job.status().lastscheduletime()) : "<none>");
  cells->age(job.metadata());
  cells->containers(job.spec().jobtemplate().spec().template_().spec());
  cells->text(selector_text(job.spec().jobtemplate().spec().selector()));
}

constexpr ColumnSpec kControllerRevisionColumns[] = {
    kNameColumn,
    {"Controller", "string", "Controller of the object"},
    {"Revision", "string", "k8s.io.api.apps.v1.ControllerRevision#revision"},
    kAgeColumn};

void controller_revision_cells(const Message& object, Cells* cells) {
  const auto& revision = as<appsv1::ControllerRevision>(object);
  std::string controller = "<none>";
  for (const auto& owner : revision.metadata().ownerreferences()) {
    if (!owner.controller()) continue;
    const size_t slash = owner.apiversion().rfind('/');
    const std::string group = slash == std::string::npos ? "" : "." + owner.apiversion().substr(0, slash);
    controller = lowered(owner.kind() + group) + "/" + owner.name();
  }
  cells->text(revision.metadata().name());
  cells->text(controller);
  cells->integer(revision.revision());
  cells->age(revision.metadata());
}

constexpr ColumnSpec kBudgetColumns[] = {
    kNameColumn,
    {"Min Available", "string", "The minimum number of pods that must be available."},
    {"Max Unavailable", "string", "The maximum number of pods that may be unavailable."},
    {"Allowed Disruptions", "integer", "Calculated number of pods that may be disrupted at this time."},
    kAgeColumn,
};

void budget_cells(const Message& object, Cells* cells) {
  const auto& budget = as<policyv1::PodDisruptionBudget>(object);
  auto amount = [](bool has, const k8s::io::apimachinery::pkg::util::intstr::IntOrString& value) -> std::string {
    if (!has) return "N/A";
    return value.type() == 0 ? std::to_string(value.intval()) : value.strval();
  };
  cells->text(budget.metadata().name());
  cells->text(amount(budget.spec().has_minavailable(), budget.spec().minavailable()));
  cells->text(amount(budget.spec().has_maxunavailable(), budget.spec().maxunavailable()));
  cells->integer(budget.status().disruptionsallowed());
  cells->age(budget.metadata());
}

constexpr ColumnSpec kAutoscalerColumns[] = {
    kNameColumn,
    {"Reference", "string", "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerSpec#scaleTargetRef"},
    {"Targets", "string", "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerSpec#metrics"},
    {"MinPods", "string", "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerSpec#minReplicas"},
    {"MaxPods", "string", "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerSpec#maxReplicas"},
    {"Replicas", "string", "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerStatus#currentReplicas"},
    kAgeColumn,
};

std::string quantity_target(const autoscalingv2::MetricTarget& target, bool has_current,
                            const autoscalingv2::MetricValueStatus& current) {
  if (target.has_averagevalue()) {
    return fmt::format("{}/{} (avg)",
                       has_current && current.has_averagevalue() ? current.averagevalue().string() : "<unknown>",
                       target.averagevalue().string());
  }
  return fmt::format("{}/{}", has_current && current.has_value() ? current.value().string() : "<unknown>",
                     target.value().string());
}

std::string resource_target(std::string_view name, const autoscalingv2::MetricTarget& target, bool has_current,
                            const autoscalingv2::MetricValueStatus& current) {
  if (target.has_averagevalue()) {
    return fmt::format("{}: {}/{}", name, has_current ? current.averagevalue().string() : "<unknown>",
                       target.averagevalue().string());
  }
  const std::string now =
      has_current && current.has_averageutilization() ? fmt::format("{}%", current.averageutilization()) : "<unknown>";
  const std::string wanted =
      target.has_averageutilization() ? fmt::format("{}%", target.averageutilization()) : "<auto>";
  return fmt::format("{}: {}/{}", name, now, wanted);
}

std::string metric_text(const autoscalingv2::MetricSpec& spec, const autoscalingv2::MetricStatus* status) {
  if (spec.type() == "Resource") {
    return resource_target(
        spec.resource().name(), spec.resource().target(), status != nullptr && status->has_resource(),
        status == nullptr ? autoscalingv2::MetricValueStatus::default_instance() : status->resource().current());
  }
  if (spec.type() == "ContainerResource") {
    return resource_target(spec.containerresource().name(), spec.containerresource().target(),
                           status != nullptr && status->has_containerresource(),
                           status == nullptr ? autoscalingv2::MetricValueStatus::default_instance()
                                             : status->containerresource().current());
  }
  if (spec.type() == "Pods") {
    return fmt::format(
        "{}/{}",
        status != nullptr && status->has_pods() ? status->pods().current().averagevalue().string() : "<unknown>",
        spec.pods().target().averagevalue().string());
  }
  if (spec.type() == "Object") {
    return quantity_target(
        spec.object().target(), status != nullptr && status->has_object(),
        status == nullptr ? autoscalingv2::MetricValueStatus::default_instance() : status->object().current());
  }
  if (spec.type() == "External") {
    return quantity_target(
        spec.external().target(), status != nullptr && status->has_external(),
        status == nullptr ? autoscalingv2::MetricValueStatus::default_instance() : status->external().current());
  }
  return "<unknown type>";
}

void autoscaler_cells(const Message& object, Cells* cells) {
  const auto& autoscaler = as<autoscalingv2::HorizontalPodAutoscaler>(object);
  constexpr int kShown = 2;
  std::string targets;
  for (int i = 0; i < autoscaler.spec().metrics_size() && i < kShown; ++i) {
    if (i != 0) targets += ", ";
    targets +=
        metric_text(autoscaler.spec().metrics(i),
                    i < autoscaler.status().currentmetrics_size() ? &autoscaler.status().currentmetrics(i) : nullptr);
  }
  if (autoscaler.spec().metrics_size() > kShown)
    targets += fmt::format(" + {} more...", autoscaler.spec().metrics_size() - kShown);
  cells->text(autoscaler.metadata().name());
  cells->text(
      fmt::format("{}/{}", autoscaler.spec().scaletargetref().kind(), autoscaler.spec().scaletargetref().name()));
  cells->text_or(targets, "<none>");
  cells->text(autoscaler.spec().has_minreplicas() ? std::to_string(autoscaler.spec().minreplicas()) : "<unset>");
  cells->integer(autoscaler.spec().maxreplicas());
  cells->integer(autoscaler.status().currentreplicas());
  cells->age(autoscaler.metadata());
}

constexpr KindPrinter kPrinters[] = {
    {"deployments.apps", kDeploymentColumns, deployment_cells},
    {"replicasets.apps", kReplicaSetColumns, replica_set_cells},
    {"replicationcontrollers", kReplicationControllerColumns, replication_controller_cells},
    {"statefulsets.apps", kStatefulSetColumns, stateful_set_cells},
    {"daemonsets.apps", kDaemonSetColumns, daemon_set_cells},
    {"jobs.batch", kJobColumns, job_cells},
    {"cronjobs.batch", kCronJobColumns, cron_job_cells},
    {"controllerrevisions.apps", kControllerRevisionColumns, controller_revision_cells},
    {"poddisruptionbudgets.policy", kBudgetColumns, budget_cells},
    {"horizontalpodautoscalers.autoscaling", kAutoscalerColumns, autoscaler_cells},
};

}  // namespace

std::span<const KindPrinter> workload_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
