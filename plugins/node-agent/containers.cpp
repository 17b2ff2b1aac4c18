#include "plugins/node-agent/containers.hpp"

#include "plugins/node-agent/ephemeral.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/sandbox.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace orlop::agent {
namespace {

bool was_of(const ContainerStatus& status, const std::string& id) {
  return status.containerid().ends_with("//" + id);
}

// What the API has of this very container.
const ContainerStatus* status_of(const kube::Pod& pod, const std::string& id) {
  for (const ContainerStatus& status : pod.status().containerstatuses()) {
    if (was_of(status, id)) return &status;
  }
  for (const ContainerStatus& status : pod.status().initcontainerstatuses()) {
    if (was_of(status, id)) return &status;
  }
  return nullptr;
}

bool is_running(const cri::ContainerStatus* container) {
  return container != nullptr && container->state() == cri::CONTAINER_RUNNING;
}

}  // namespace

bool is_finished(const kube::Pod& pod, const RuntimePod& runtime) {
  const auto& containers = pod.spec().containers();
  return !runtime.containers.empty() && std::all_of(containers.begin(), containers.end(), [&](const Container& c) {
    const cri::ContainerStatus* newest = runtime.find(c.name());
    return newest != nullptr && newest->state() == cri::CONTAINER_EXITED && !should_restart(pod, c, false, *newest);
  });
}

Status Containers::advance(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  // In this sandbox: after a reboot init containers do their work again.
  const bool regular_started =
      std::any_of(pod.spec().containers().begin(), pod.spec().containers().end(), [&](const Container& c) {
        const cri::ContainerStatus* found = pass.runtime.find(c.name());
        return found != nullptr && is_of_newest_sandbox(pass.runtime, *found);
      });
  for (const auto& ephemeral : pod.spec().ephemeralcontainers()) ORLOP_TRY(advance_ephemeral(pass, ephemeral));
  bool go_on = true;
  for (const Container& container : pod.spec().initcontainers()) {
    if (regular_started && !is_sidecar(container)) continue;
    ORLOP_ASSIGN(go_on, advance_one(pass, container, true));
    // Once the others have started, a sidecar that is made anew does not hold them up.
    if (!go_on && !regular_started) break;
    go_on = true;
  }
  for (const Container& container : pod.spec().containers()) {
    if (!go_on) break;
    ORLOP_ASSIGN(go_on, advance_one(pass, container, false));
  }
  return pass.look_again(context_);
}

Status Containers::advance_ephemeral(Pass& pass, const k8s::io::api::core::v1::EphemeralContainer& ephemeral) {
  const Container container = as_container(ephemeral);
  if (pass.runtime.find(container.name()) != nullptr) return Status::ok();
  return start_.start(pass, container, 0, ephemeral.targetcontainername()).status();
}

Result<bool> Containers::advance_one(Pass& pass, const Container& container, bool is_init) {
  const kube::Pod& pod = pass.pod();
  const cri::ContainerStatus* newest = pass.runtime.find(container.name());
  uint32_t attempt = 0;
  if (newest != nullptr) {
    attempt = newest->metadata().attempt() + 1;
    if (newest->state() == cri::CONTAINER_RUNNING) return advance_running(pass, container, *newest, is_init);
    if (newest->state() == cri::CONTAINER_EXITED) {
      pass.memory->stops.erase(newest->id());
      pass.memory->post_start.erase(newest->id());
      // A container of an earlier sandbox (a reboot) is started again, whatever its policy says of a crash.
      const bool of_this_sandbox = is_of_newest_sandbox(pass.runtime, *newest);
      if (of_this_sandbox && is_init && !is_sidecar(container) && newest->exit_code() == 0) return true;
      if (of_this_sandbox && !should_restart(pod, container, is_init, *newest)) return !is_init;
      if (!of_this_sandbox && pod.spec().restartpolicy() == "Never" && !is_init) return true;
      if (of_this_sandbox && backoff_.waits_after_crash(pass, container, *newest)) return !is_init;
    }
  }
  ORLOP_ASSIGN(const ContainerStart::Step step, start_.start(pass, container, attempt));
  if (step == ContainerStart::Step::kHeld) return false;
  const bool runs_beside = is_sidecar(container) && !container.has_startupprobe();
  return !is_init || (step == ContainerStart::Step::kStarted && runs_beside);
}

Result<bool> Containers::advance_running(Pass& pass, const Container& container, const cri::ContainerStatus& running,
                                         bool is_init) {
  const auto hash = running.annotations().find(kContainerHashAnnotation);
  if (hash != running.annotations().end() && hash->second != definition_hash(container)) {
    termination_.stop(pass, running, pass.pod().spec().terminationgraceperiodseconds(),
                      "Container " + container.name() + " definition changed, will be restarted");
    return !is_init;
  }
  if (is_held(pass, container, running)) return false;
  if (kill_unhealthy(pass, container, running)) return !is_init;
  return !is_init || (is_sidecar(container) && prober_.verdict(running.id()).started);
}

bool Containers::is_held(Pass& pass, const Container& container, const cri::ContainerStatus& running) {
  const auto found = pass.memory->post_start.find(running.id());
  if (found == pass.memory->post_start.end()) return false;
  switch (hooks_.state(*found->second)) {
    case LifecycleHooks::State::kRunning:
      if (found->second->until_ns != 0) pass.again_at(found->second->until_ns);
      return true;
    case LifecycleHooks::State::kDone:
      pass.memory->post_start.erase(found);
      return false;
    case LifecycleHooks::State::kFailed:
      break;
  }
  if (!pass.memory->stops.contains(running.id())) {
    // Without the hook's own words, which may hold secrets.
    context_.events.about(pass.pod(), EventType::kWarning, "FailedPostStartHook", "PostStartHook failed");
  }
  pass.waiting[container.name()] = {"PostStartHookError", "PostStartHook failed"};
  termination_.stop(pass, running, pass.pod().spec().terminationgraceperiodseconds(), "FailedPostStartHook");
  return true;
}

bool Containers::kill_unhealthy(Pass& pass, const Container& container, const cri::ContainerStatus& running) {
  const auto failed = prober_.verdict(running.id()).failed;
  if (!failed) return false;
  const core::Probe* probe = probe_of(container, *failed);
  int64_t grace_s = pass.pod().spec().terminationgraceperiodseconds();
  if (probe != nullptr && probe->has_terminationgraceperiodseconds()) grace_s = probe->terminationgraceperiodseconds();
  std::string why = "Container " + container.name() + " failed " +
                    (*failed == ProbeKind::kStartup ? "startup" : "liveness") + " probe";
  if (pass.pod().spec().restartpolicy() != "Never" || is_sidecar(container)) why += ", will be restarted";
  termination_.stop(pass, running, grace_s, why);
  return true;
}

void Containers::look(Pass& pass, bool ending) {
  const kube::Pod& pod = pass.pod();
  std::vector<Probed> probed;
  const auto take = [&](const Container& container, const char* field) {
    const cri::ContainerStatus* newest = pass.runtime.find(container.name());
    if (!is_running(newest)) return;
    RunningView& view = pass.running[container.name()];
    view.held = pass.memory->post_start.contains(newest->id());
    if (view.held) return;
    const ContainerStatus* known = status_of(pod, newest->id());
    Probed one;
    one.container = &container;
    one.id = newest->id();
    one.field_path = std::string(field) + "{" + container.name() + "}";
    one.started_at_ns = newest->started_at();
    one.was_started = known != nullptr && known->started();
    one.was_ready = known != nullptr && known->ready();
    probed.push_back(std::move(one));
  };
  for (const Container& init : pod.spec().initcontainers()) {
    if (is_sidecar(init)) take(init, "spec.initContainers");
  }
  for (const Container& container : pod.spec().containers()) take(container, "spec.containers");
  prober_.follow(pass.key, pod, pass.ip(context_.machine), probed, ending);
  for (const Probed& one : probed) {
    const ProbeVerdict verdict = prober_.verdict(one.id);
    RunningView& view = pass.running[one.container->name()];
    view.started = verdict.started;
    view.ready = verdict.ready;
  }
}

}  // namespace orlop::agent
