#include "plugins/node-agent/pod_status.hpp"

#include "plugins/node-agent/cgroups/qos.hpp"
#include "plugins/node-agent/ephemeral.hpp"

#include <algorithm>
#include <vector>

namespace orlop::agent {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

void set_time(k8s::io::apimachinery::pkg::apis::meta::v1::Time* time, int64_t ns) {
  time->set_seconds(ns / kSecondNs);
}

void fill_terminated(const cri::ContainerStatus& from, k8s::io::api::core::v1::ContainerStateTerminated& out) {
  out.set_exitcode(from.exit_code());
  std::string reason = from.reason();
  if (reason.empty()) reason = from.exit_code() == 0 ? "Completed" : "Error";
  out.set_reason(reason);
  out.set_message(from.message());
  set_time(out.mutable_startedat(), from.started_at());
  set_time(out.mutable_finishedat(), from.finished_at());
  out.set_containerid("containerd://" + from.id());
}

RunningView view_of(const StatusInputs& inputs, const std::string& name) {
  const auto found = inputs.running.find(name);
  return found == inputs.running.end() ? RunningView{} : found->second;
}

// An init container that the runtime has forgotten, of a pod that has got past it: as it was told last.
const ContainerStatus* told_before(const kube::Pod& pod, const std::string& name) {
  for (const ContainerStatus& status : pod.status().initcontainerstatuses()) {
    if (status.name() == name && status.state().has_terminated()) return &status;
  }
  return nullptr;
}

void fill_waiting(const StatusInputs& inputs, const std::string& name, bool initializing, ContainerStatus& out) {
  auto& state = *out.mutable_state()->mutable_waiting();
  const auto waiting = inputs.waiting.find(name);
  if (waiting != inputs.waiting.end()) {
    state.set_reason(waiting->second.reason);
    state.set_message(waiting->second.message);
  } else {
    state.set_reason(initializing ? "PodInitializing" : "ContainerCreating");
  }
}

ContainerStatus container_status(const StatusInputs& inputs, const Container& container, bool is_init, bool init_done) {
  const std::string& name = container.name();
  const cri::ContainerStatus* newest = inputs.runtime->find(name);
  const cri::ContainerStatus* before = inputs.runtime->find(name, 1);
  if (newest == nullptr && is_init && init_done) {
    if (const ContainerStatus* told = told_before(*inputs.pod, name)) return *told;
  }
  ContainerStatus out;
  out.set_name(name);
  out.set_image(container.image());
  out.set_imageid("");
  out.set_started(false);
  out.set_ready(false);
  out.set_restartcount(newest != nullptr ? static_cast<int32_t>(newest->metadata().attempt()) : 0);
  const RunningView view = view_of(inputs, name);
  const bool running = newest != nullptr && newest->state() == cri::CONTAINER_RUNNING;
  const bool ended = newest != nullptr && newest->state() == cri::CONTAINER_EXITED;
  if (newest != nullptr) {
    // Of a container that is held nobody is to know yet: probes of others and port-forwards would find it.
    if (!running || !view.held) out.set_containerid("containerd://" + newest->id());
    if (!newest->image().image().empty()) out.set_image(newest->image().image());
    out.set_imageid(newest->image_ref());
  }
  if (before != nullptr) fill_terminated(*before, *out.mutable_laststate()->mutable_terminated());
  if (running && !view.held) {
    set_time(out.mutable_state()->mutable_running()->mutable_startedat(), newest->started_at());
    out.set_started(view.started);
    out.set_ready(view.ready && (!is_init || is_sidecar(container)));
    return out;
  }
  if (ended && !inputs.waiting.contains(name)) {
    fill_terminated(*newest, *out.mutable_state()->mutable_terminated());
    out.set_ready(is_init && !is_sidecar(container) && newest->exit_code() == 0);
    return out;
  }
  if (ended) fill_terminated(*newest, *out.mutable_laststate()->mutable_terminated());
  const bool initializing = inputs.pod->spec().initcontainers_size() > 0 && (is_init || !init_done);
  fill_waiting(inputs, name, initializing, out);
  return out;
}

// How many containers are where, as the phase counts them.
struct Counts {
  int pending_init = 0, waiting = 0, running = 0, stopped = 0, succeeded = 0;
  bool failed_init = false;
};

void count_init(const kube::Pod& pod, const PodStatus& status, bool init_done, Counts& counts) {
  for (int i = 0; i < pod.spec().initcontainers_size(); ++i) {
    const ContainerStatus& init = status.initcontainerstatuses(i);
    const bool terminated = init.state().has_terminated();
    if (is_sidecar(pod.spec().initcontainers(i))) {
      if (init.state().has_running()) ++counts.running;
      if (!terminated && !init.started() && !init.laststate().has_terminated() && !init_done) ++counts.pending_init;
    } else if (!init_done) {
      const bool failed = terminated && init.state().terminated().exitcode() != 0;
      counts.failed_init = counts.failed_init || failed;
      if (!terminated || failed) ++counts.pending_init;
    }
  }
}

Counts count(const kube::Pod& pod, const PodStatus& status, bool init_done) {
  Counts counts;
  count_init(pod, status, init_done, counts);
  for (const ContainerStatus& container : status.containerstatuses()) {
    if (container.state().has_running()) {
      ++counts.running;
    } else if (container.state().has_terminated()) {
      ++counts.stopped;
      if (container.state().terminated().exitcode() == 0) ++counts.succeeded;
    } else if (container.laststate().has_terminated()) {
      ++counts.stopped;  // in back-off: it has run and will run again
    } else {
      ++counts.waiting;
    }
  }
  return counts;
}

std::string phase_of(const StatusInputs& inputs, const PodStatus& status, bool init_done) {
  const kube::Pod& pod = *inputs.pod;
  // A terminal phase never changes again.
  if (kube::is_terminal(pod)) return pod.status().phase();
  const std::string& policy = pod.spec().restartpolicy();
  const Counts counts = count(pod, status, init_done);
  if (counts.failed_init && policy == "Never") return "Failed";
  if (inputs.is_over) {
    return counts.waiting == 0 && counts.pending_init == 0 && counts.stopped == counts.succeeded ? "Succeeded"
                                                                                                 : "Failed";
  }
  if (counts.pending_init > 0 || counts.waiting > 0) return "Pending";
  if (counts.running > 0) return "Running";
  if (policy == "Always") return "Running";
  if (counts.stopped == counts.succeeded) return "Succeeded";
  return policy == "Never" ? "Failed" : "Running";
}

void set_condition(PodStatus& status, const std::string& type, bool value, std::string_view reason,
                   std::string_view message, int64_t now_s) {
  kube::PodCondition* found = nullptr;
  for (kube::PodCondition& condition : *status.mutable_conditions()) {
    if (condition.type() == type) found = &condition;
  }
  if (found == nullptr) {
    found = status.add_conditions();
    found->set_type(type);
  }
  const std::string truth = value ? "True" : "False";
  if (found->status() != truth) found->mutable_lasttransitiontime()->set_seconds(now_s);
  found->set_status(truth);
  found->set_reason(std::string(reason));
  found->set_message(std::string(message));
}

std::string join(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const std::string& name : names) out += (out.size() > 1 ? " " : "") + name;
  return out + "]";
}

struct Verdict {
  bool value = false;
  std::string reason;
  std::string message;
};

Verdict containers_ready(const kube::Pod& pod, const PodStatus& status) {
  if (status.phase() == "Succeeded") return {false, "PodCompleted", ""};
  if (status.phase() == "Failed") return {false, "PodFailed", ""};
  std::vector<std::string> unready;
  for (int i = 0; i < pod.spec().initcontainers_size(); ++i) {
    const ContainerStatus& init = status.initcontainerstatuses(i);
    if (is_sidecar(pod.spec().initcontainers(i)) && !init.ready()) unready.push_back(init.name());
  }
  for (const ContainerStatus& container : status.containerstatuses()) {
    if (!container.ready()) unready.push_back(container.name());
  }
  if (unready.empty()) return {true, "", ""};
  return {false, "ContainersNotReady", "containers with unready status: " + join(unready)};
}

// The containers' readiness, and the gates' that others keep as conditions.
Verdict pod_ready(const kube::Pod& pod, const Verdict& containers) {
  if (!containers.value) return containers;
  std::string message;
  for (const auto& gate : pod.spec().readinessgates()) {
    const kube::PodCondition* condition = kube::find_condition(pod, gate.conditiontype());
    const std::string quoted = "\"" + gate.conditiontype() + "\"";
    if (condition != nullptr && condition->status() == "True") continue;
    if (!message.empty()) message += ", ";
    message += condition == nullptr
                   ? "corresponding condition of pod readiness gate " + quoted + " does not exist."
                   : "the status of pod readiness gate " + quoted + " is not \"True\", but " + condition->status();
  }
  if (message.empty()) return containers;
  return {false, "ReadinessGatesNotReady", message};
}

Verdict initialized(const kube::Pod& pod, const PodStatus& status, bool init_done) {
  if (status.phase() == "Succeeded") return {true, "PodCompleted", ""};
  std::vector<std::string> incomplete;
  for (int i = 0; i < pod.spec().initcontainers_size(); ++i) {
    const ContainerStatus& init = status.initcontainerstatuses(i);
    const bool done = is_sidecar(pod.spec().initcontainers(i)) ? init.started() : init.ready();
    if (!done) incomplete.push_back(init.name());
  }
  if (init_done || incomplete.empty()) return {true, "", ""};
  return {false, "ContainersNotInitialized", "containers with incomplete status: " + join(incomplete)};
}

void fill_conditions(const StatusInputs& inputs, bool init_done, PodStatus& status) {
  const kube::Pod& pod = *inputs.pod;
  const auto set = [&](const char* type, const Verdict& verdict) {
    set_condition(status, type, verdict.value, verdict.reason, verdict.message, inputs.now_s);
  };
  set("PodReadyToStartContainers", {inputs.runtime->sandbox_ready(), "", ""});
  set("Initialized", initialized(pod, status, init_done));
  const Verdict containers = containers_ready(pod, status);
  set("Ready", pod_ready(pod, containers));
  set("ContainersReady", containers);
  if (kube::find_condition(pod, "PodScheduled") == nullptr) set("PodScheduled", {true, "", ""});
}

void fill_addresses(const StatusInputs& inputs, PodStatus& status) {
  status.set_hostip(inputs.host_ip);
  status.clear_hostips();
  if (!inputs.host_ip.empty()) status.add_hostips()->set_ip(inputs.host_ip);
  std::vector<std::string> addresses;
  if (inputs.pod->spec().hostnetwork()) {
    if (inputs.runtime->sandbox_ready()) addresses.push_back(inputs.host_ip);
  } else if (inputs.runtime->sandbox_ready()) {
    const auto& network = inputs.runtime->newest_sandbox.network();
    if (!network.ip().empty()) addresses.push_back(network.ip());
    for (const auto& more : network.additional_ips()) addresses.push_back(more.ip());
  }
  if (addresses.empty()) return;  // what was known stays known: a pod that ended keeps its address
  status.set_podip(addresses.front());
  status.clear_podips();
  for (const std::string& address : addresses) status.add_podips()->set_ip(address);
}

// Every init container that has to end has ended well and every sidecar has started.
bool init_is_done(const StatusInputs& inputs) {
  const auto& containers = inputs.pod->spec().initcontainers();
  return std::all_of(containers.begin(), containers.end(), [&](const Container& init) {
    const cri::ContainerStatus* status = inputs.runtime->find(init.name());
    if (status == nullptr) return false;
    if (!is_sidecar(init)) return status->state() == cri::CONTAINER_EXITED && status->exit_code() == 0;
    const RunningView view = view_of(inputs, init.name());
    return status->state() == cri::CONTAINER_RUNNING && !view.held && view.started;
  });
}

void fill_ending(const StatusInputs& inputs, PodStatus& status) {
  status.set_phase("Failed");
  status.set_reason(inputs.ending->reason);
  status.set_message(inputs.ending->message);
  if (inputs.ending->disruption) {
    set_condition(status, "DisruptionTarget", true, "TerminationByKubelet", inputs.ending->message, inputs.now_s);
  }
}

}  // namespace

bool should_restart(const kube::Pod& pod, const Container& container, bool is_init, const cri::ContainerStatus& ended) {
  const std::string& policy = pod.spec().restartpolicy();
  if (is_init && is_sidecar(container)) return true;
  if (is_init) return ended.exit_code() != 0 && policy != "Never";
  if (policy == "Always") return true;
  return policy == "OnFailure" && ended.exit_code() != 0;
}

PodStatus make_status(const StatusInputs& inputs) {
  const kube::Pod& pod = *inputs.pod;
  PodStatus status = pod.status();
  // Once regular containers have started, init containers have done their work, even if the runtime has forgotten them.
  const bool regular_started =
      std::any_of(pod.spec().containers().begin(), pod.spec().containers().end(),
                  [&](const Container& c) { return inputs.runtime->find(c.name()) != nullptr; });
  const bool init_done = regular_started || init_is_done(inputs);
  status.clear_initcontainerstatuses();
  status.clear_containerstatuses();
  for (const Container& container : pod.spec().initcontainers()) {
    *status.add_initcontainerstatuses() = container_status(inputs, container, true, init_done);
  }
  for (const Container& container : pod.spec().containers()) {
    *status.add_containerstatuses() = container_status(inputs, container, false, init_done);
  }
  status.clear_ephemeralcontainerstatuses();
  for (const auto& ephemeral : pod.spec().ephemeralcontainers()) {
    // Nothing asks whether it is ready, and nothing waits for it.
    auto& entry = *status.add_ephemeralcontainerstatuses();
    entry = container_status(inputs, as_container(ephemeral), false, true);
    entry.set_ready(false);
    entry.clear_started();
  }
  status.set_phase(phase_of(inputs, status, init_done));
  if (inputs.ending != nullptr) fill_ending(inputs, status);
  if (!status.has_starttime()) status.mutable_starttime()->set_seconds(inputs.now_s);
  if (status.qosclass().empty()) status.set_qosclass(name_of(qos_of(pod)));
  fill_addresses(inputs, status);
  fill_conditions(inputs, init_done, status);
  return status;
}

}  // namespace orlop::agent
