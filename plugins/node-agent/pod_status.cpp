#include "plugins/node-agent/pod_status.hpp"

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

ContainerStatus container_status(const StatusInputs& inputs, const Container& container, bool is_init, bool init_done) {
  ContainerStatus out;
  out.set_name(container.name());
  out.set_image(container.image());
  out.set_imageid("");
  const cri::ContainerStatus* newest = inputs.runtime->find(container.name());
  const cri::ContainerStatus* before = inputs.runtime->find(container.name(), 1);
  const auto waiting = inputs.waiting.find(container.name());
  out.set_started(false);
  out.set_ready(false);
  out.set_restartcount(newest != nullptr ? static_cast<int32_t>(newest->metadata().attempt()) : 0);
  if (newest != nullptr) {
    out.set_containerid("containerd://" + newest->id());
    if (!newest->image().image().empty()) out.set_image(newest->image().image());
    out.set_imageid(newest->image_ref());
  }
  const bool running = newest != nullptr && newest->state() == cri::CONTAINER_RUNNING;
  const bool ended = newest != nullptr && newest->state() == cri::CONTAINER_EXITED;
  if (running) {
    set_time(out.mutable_state()->mutable_running()->mutable_startedat(), newest->started_at());
    out.set_started(true);
    out.set_ready(!is_init || is_sidecar(container));
    if (before != nullptr) fill_terminated(*before, *out.mutable_laststate()->mutable_terminated());
    return out;
  }
  if (ended && waiting == inputs.waiting.end()) {
    fill_terminated(*newest, *out.mutable_state()->mutable_terminated());
    if (before != nullptr) fill_terminated(*before, *out.mutable_laststate()->mutable_terminated());
    out.set_ready(is_init && !is_sidecar(container) && newest->exit_code() == 0);
    return out;
  }
  if (ended) fill_terminated(*newest, *out.mutable_laststate()->mutable_terminated());
  auto& state = *out.mutable_state()->mutable_waiting();
  if (waiting != inputs.waiting.end()) {
    state.set_reason(waiting->second.reason);
    state.set_message(waiting->second.message);
  } else {
    const bool behind_init = inputs.pod->spec().initcontainers_size() > 0 && (is_init || !init_done);
    state.set_reason(behind_init ? "PodInitializing" : "ContainerCreating");
  }
  return out;
}

std::string phase_of(const kube::Pod& pod, const PodStatus& status, bool init_done) {
  // A terminal phase never changes again.
  if (kube::is_terminal(pod)) return pod.status().phase();
  const std::string& policy = pod.spec().restartpolicy();
  for (int i = 0; i < pod.spec().initcontainers_size(); ++i) {
    const auto& init = status.initcontainerstatuses(i);
    if (init.state().has_terminated() && init.state().terminated().exitcode() != 0 && policy == "Never" &&
        !is_sidecar(pod.spec().initcontainers(i))) {
      return "Failed";
    }
  }
  if (!init_done) return "Pending";
  int waiting_first = 0, running = 0, succeeded = 0, failed = 0;
  for (const ContainerStatus& container : status.containerstatuses()) {
    if (container.state().has_running()) {
      ++running;
    } else if (container.state().has_terminated()) {
      ++(container.state().terminated().exitcode() == 0 ? succeeded : failed);
    } else if (container.laststate().has_terminated()) {
      ++running;  // in back-off: it has run and will run again
    } else {
      ++waiting_first;
    }
  }
  if (waiting_first > 0) return "Pending";
  if (running > 0) return "Running";
  if (policy == "Always") return "Running";
  if (failed == 0) return "Succeeded";
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

void fill_conditions(const StatusInputs& inputs, bool init_done, PodStatus& status) {
  std::vector<std::string> unready;
  for (const ContainerStatus& container : status.containerstatuses()) {
    if (!container.ready()) unready.push_back(container.name());
  }
  const bool succeeded = status.phase() == "Succeeded";
  const bool has_sandbox = inputs.runtime->sandbox_ready() && !kube::is_terminating(*inputs.pod);
  set_condition(status, "PodReadyToStartContainers", has_sandbox, "", "", inputs.now_s);
  std::vector<std::string> incomplete;
  for (const ContainerStatus& init : status.initcontainerstatuses()) {
    if (!init.ready()) incomplete.push_back(init.name());
  }
  set_condition(status, "Initialized", init_done || succeeded,
                succeeded   ? "PodCompleted"
                : init_done ? ""
                            : "ContainersNotInitialized",
                init_done || succeeded ? "" : "containers with incomplete status: " + join(incomplete), inputs.now_s);
  const bool ready = unready.empty() && status.phase() == "Running";
  const std::string reason = succeeded                    ? "PodCompleted"
                             : status.phase() == "Failed" ? "PodFailed"
                                                          : "ContainersNotReady";
  const std::string message = succeeded || unready.empty() ? "" : "containers with unready status: " + join(unready);
  set_condition(status, "Ready", ready, ready ? "" : reason, ready ? "" : message, inputs.now_s);
  set_condition(status, "ContainersReady", ready, ready ? "" : reason, ready ? "" : message, inputs.now_s);
  if (kube::find_condition(*inputs.pod, "PodScheduled") == nullptr) {
    set_condition(status, "PodScheduled", true, "", "", inputs.now_s);
  }
}

std::string qos_class(const kube::Pod& pod) {
  bool any = false, guaranteed = true;
  const auto look = [&](const Container& container) {
    const auto& resources = container.resources();
    any = any || !resources.requests().empty() || !resources.limits().empty();
    for (const char* name : {"cpu", "memory"}) {
      const auto limit = resources.limits().find(name);
      const auto request = resources.requests().find(name);
      if (limit == resources.limits().end() ||
          (request != resources.requests().end() && request->second.string() != limit->second.string())) {
        guaranteed = false;
      }
    }
  };
  for (const Container& container : pod.spec().containers()) look(container);
  for (const Container& container : pod.spec().initcontainers()) look(container);
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
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

bool init_is_done(const kube::Pod& pod, const RuntimePod& runtime) {
  return std::all_of(pod.spec().initcontainers().begin(), pod.spec().initcontainers().end(),
                     [&](const Container& init) {
                       const cri::ContainerStatus* status = runtime.find(init.name());
                       if (status == nullptr) return false;
                       if (is_sidecar(init)) return status->state() != cri::CONTAINER_CREATED;
                       return status->state() == cri::CONTAINER_EXITED && status->exit_code() == 0;
                     });
}

PodStatus make_status(const StatusInputs& inputs) {
  const kube::Pod& pod = *inputs.pod;
  PodStatus status = pod.status();
  // Once regular containers have started, init containers have done their work, even if the runtime has forgotten them.
  const bool regular_started =
      std::any_of(pod.spec().containers().begin(), pod.spec().containers().end(),
                  [&](const Container& c) { return inputs.runtime->find(c.name()) != nullptr; });
  const bool init_done = init_is_done(pod, *inputs.runtime) || regular_started;
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
  status.set_phase(phase_of(pod, status, init_done));
  if (inputs.ending != nullptr) fill_ending(inputs, status);
  if (!status.has_starttime()) status.mutable_starttime()->set_seconds(inputs.now_s);
  if (status.qosclass().empty()) status.set_qosclass(qos_class(pod));
  fill_addresses(inputs, status);
  fill_conditions(inputs, init_done, status);
  return status;
}

}  // namespace orlop::agent
