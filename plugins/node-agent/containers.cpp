#include "plugins/node-agent/containers.hpp"

#include "plugins/node-agent/ephemeral.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/sandbox.hpp"

#include <algorithm>

namespace orlop::agent {

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
  for (const Container& container : pod.spec().initcontainers()) {
    if (regular_started && !is_sidecar(container)) continue;
    ORLOP_ASSIGN(const bool go_on, advance_one(pass, container, true));
    if (!go_on) return Status::ok();
  }
  for (const Container& container : pod.spec().containers()) {
    ORLOP_TRY(advance_one(pass, container, false).status());
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
    if (newest->state() == cri::CONTAINER_RUNNING) {
      const auto hash = newest->annotations().find(kContainerHashAnnotation);
      if (hash == newest->annotations().end() || hash->second == definition_hash(container))
        return !is_init || is_sidecar(container);
      termination_.stop(pass, *newest, pod.spec().terminationgraceperiodseconds(),
                        "Container " + container.name() + " definition changed, will be restarted");
      return false;
    }
    if (newest->state() == cri::CONTAINER_EXITED) {
      // A container of an earlier sandbox (a reboot) is started again, whatever its policy says of a crash.
      const bool of_this_sandbox = is_of_newest_sandbox(pass.runtime, *newest);
      if (of_this_sandbox && is_init && !is_sidecar(container) && newest->exit_code() == 0) return true;
      if (of_this_sandbox && !should_restart(pod, container, is_init, *newest)) return !is_init;
      if (!of_this_sandbox && pod.spec().restartpolicy() == "Never" && !is_init) return true;
      if (of_this_sandbox && backoff_.waits_after_crash(pass, container, *newest)) return !is_init;
    }
  }
  ORLOP_ASSIGN(const bool started, start_.start(pass, container, attempt));
  return !is_init || (started && is_sidecar(container));
}

}  // namespace orlop::agent
