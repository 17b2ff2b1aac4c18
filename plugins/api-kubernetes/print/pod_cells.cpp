#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;

constexpr ColumnSpec kPodColumns[] = {
    kNameColumn,
    {"Ready", "string", "The aggregate readiness state of this pod for accepting traffic."},
    {"Status", "string", "The aggregate status of the containers in this pod."},
    {"Restarts", "string",
     "The number of times the containers in this pod have been restarted and when the last container in this pod has "
     "restarted."},
    kAgeColumn,
    {"IP", "string", "k8s.io.api.core.v1.PodStatus#podIP", 1},
    {"Node", "string", "k8s.io.api.core.v1.PodSpec#nodeName", 1},
    {"Nominated Node", "string", "k8s.io.api.core.v1.PodStatus#nominatedNodeName", 1},
    {"Readiness Gates", "string", "k8s.io.api.core.v1.PodSpec#readinessGates", 1},
};

constexpr ColumnSpec kPodTemplateColumns[] = {
    kNameColumn,
    {"Containers", "string", "Names of each container in the template."},
    {"Images", "string", "Images referenced by each container in the template."},
    {"Pod Labels", "string", "The labels for the pod template."},
};

bool has_condition(const corev1::Pod& pod, std::string_view type) {
  return std::any_of(pod.status().conditions().begin(), pod.status().conditions().end(),
                     [&](const auto& condition) { return condition.type() == type && condition.status() == "True"; });
}

// How a container ended, in a word.
std::string ended_word(const corev1::ContainerStateTerminated& ended, std::string_view prefix) {
  if (!ended.reason().empty()) return fmt::format("{}{}", prefix, ended.reason());
  if (ended.signal() != 0) return fmt::format("{}Signal:{}", prefix, ended.signal());
  return fmt::format("{}ExitCode:{}", prefix, ended.exitcode());
}

// What a pod's row sums up over its containers.
struct Summary {
  std::string reason;
  int ready = 0;
  int total = 0;
  int restarts = 0;
  metav1::Time last_restart;

  void count_restarts(const corev1::ContainerStatus& status) {
    restarts += status.restartcount();
    if (!status.laststate().has_terminated()) return;
    const auto& finished = status.laststate().terminated().finishedat();
    if (finished.seconds() > last_restart.seconds()) last_restart = finished;
  }
};

std::set<std::string_view> sidecars_of(const corev1::Pod& pod) {
  std::set<std::string_view> names;
  for (const auto& container : pod.spec().initcontainers()) {
    if (container.restartpolicy() == "Always") names.insert(container.name());
  }
  return names;
}

// Whether the pod is still at its init containers; then `summary` says at which.
bool sum_up_init(const corev1::Pod& pod, const std::set<std::string_view>& sidecars, Summary* summary,
                 Summary* sidecar_restarts) {
  for (int i = 0; i < pod.status().initcontainerstatuses_size(); ++i) {
    const auto& status = pod.status().initcontainerstatuses(i);
    const bool sidecar = sidecars.contains(status.name());
    summary->count_restarts(status);
    if (sidecar) sidecar_restarts->count_restarts(status);
    const auto& state = status.state();
    if (state.has_terminated() && state.terminated().exitcode() == 0) continue;
    if (sidecar && status.started()) {
      if (status.ready()) ++summary->ready;
      continue;
    }
    if (state.has_terminated()) {
      summary->reason = ended_word(state.terminated(), "Init:");
    } else if (state.has_waiting() && !state.waiting().reason().empty() &&
               state.waiting().reason() != "PodInitializing") {
      summary->reason = "Init:" + state.waiting().reason();
    } else {
      summary->reason = fmt::format("Init:{}/{}", i, pod.spec().initcontainers_size());
    }
    return true;
  }
  return false;
}

void sum_up_main(const corev1::Pod& pod, Summary* summary) {
  bool running = false;
  for (int i = pod.status().containerstatuses_size() - 1; i >= 0; --i) {
    const auto& status = pod.status().containerstatuses(i);
    summary->count_restarts(status);
    const auto& state = status.state();
    if (state.has_waiting() && !state.waiting().reason().empty()) {
      summary->reason = state.waiting().reason();
    } else if (state.has_terminated()) {
      summary->reason = ended_word(state.terminated(), "");
    } else if (status.ready() && state.has_running()) {
      running = true;
      ++summary->ready;
    }
  }
  // One that has ended beside others that run does not end the pod.
  if (summary->reason == "Completed" && running) summary->reason = has_condition(pod, "Ready") ? "Running" : "NotReady";
}

Summary sum_up(const corev1::Pod& pod) {
  Summary summary;
  summary.reason = pod.status().reason().empty() ? pod.status().phase() : pod.status().reason();
  for (const auto& condition : pod.status().conditions()) {
    if (condition.type() == "PodScheduled" && condition.reason() == "SchedulingGated")
      summary.reason = "SchedulingGated";
  }
  const auto sidecars = sidecars_of(pod);
  summary.total = pod.spec().containers_size() + static_cast<int>(sidecars.size());
  Summary sidecar_restarts;
  const bool initializing = sum_up_init(pod, sidecars, &summary, &sidecar_restarts);
  if (!initializing || has_condition(pod, "Initialized")) {
    summary.restarts = sidecar_restarts.restarts;
    summary.last_restart = sidecar_restarts.last_restart;
    sum_up_main(pod, &summary);
  }
  const bool terminal = pod.status().phase() == "Succeeded" || pod.status().phase() == "Failed";
  if (pod.metadata().has_deletiontimestamp()) {
    if (pod.status().reason() == "NodeLost") {
      summary.reason = "Unknown";
    } else if (!terminal) {
      summary.reason = "Terminating";
    }
  }
  return summary;
}

std::string readiness_gates(const corev1::Pod& pod) {
  if (pod.spec().readinessgates().empty()) return "<none>";
  int met = 0;
  for (const auto& gate : pod.spec().readinessgates()) met += has_condition(pod, gate.conditiontype()) ? 1 : 0;
  return fmt::format("{}/{}", met, pod.spec().readinessgates_size());
}

void pod_cells(const Message& object, Cells* cells) {
  const auto& pod = as<corev1::Pod>(object);
  const auto summary = sum_up(pod);
  cells->text(pod.metadata().name());
  cells->text(fmt::format("{}/{}", summary.ready, summary.total));
  cells->text(summary.reason);
  cells->text(summary.restarts != 0 && summary.last_restart.seconds() != 0
                  ? fmt::format("{} ({} ago)", summary.restarts, cells->age_text(summary.last_restart))
                  : std::to_string(summary.restarts));
  cells->age(pod.metadata());
  cells->text_or(pod.status().podips().empty() ? pod.status().podip() : pod.status().podips(0).ip(), "<none>");
  cells->text_or(pod.spec().nodename(), "<none>");
  cells->text_or(pod.status().nominatednodename(), "<none>");
  cells->text(readiness_gates(pod));
}

void pod_template_cells(const Message& object, Cells* cells) {
  const auto& pod_template = as<corev1::PodTemplate>(object);
  cells->text(pod_template.metadata().name());
  cells->containers(pod_template.template_().spec());
  cells->text(labels_text(pod_template.template_().metadata().labels()));
}

constexpr KindPrinter kPrinters[] = {
    {"pods", kPodColumns, pod_cells},
    {"podtemplates", kPodTemplateColumns, pod_template_cells},
};

}  // namespace

std::span<const KindPrinter> pod_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
