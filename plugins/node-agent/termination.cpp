#include "plugins/node-agent/termination.hpp"

#include <algorithm>

namespace orlop::agent {
namespace {

constexpr int64_t kSlackMs = 60'000;
constexpr int64_t kGraceMinS = 2;  // what is left for the signal, whatever the hook took

const Container* find_spec(const kube::Pod& pod, const std::string& name) {
  for (const Container& container : pod.spec().containers()) {
    if (container.name() == name) return &container;
  }
  for (const Container& container : pod.spec().initcontainers()) {
    if (container.name() == name) return &container;
  }
  return nullptr;
}

bool is_running(const RuntimePod& runtime, const std::string& name) {
  const cri::ContainerStatus* newest = runtime.find(name);
  return newest != nullptr && newest->state() == cri::CONTAINER_RUNNING;
}

}  // namespace

std::vector<std::string> ends_before(const kube::Pod& pod, const std::string& container) {
  std::vector<std::string> out;
  bool behind = false;
  for (const Container& init : pod.spec().initcontainers()) {
    if (behind) out.push_back(init.name());
    if (init.name() == container && is_sidecar(init)) behind = true;
  }
  if (!behind) return {};
  for (const Container& main : pod.spec().containers()) out.push_back(main.name());
  return out;
}

bool Termination::stop_all(Pass& pass, int64_t grace_s, bool tell) {
  bool idle = true;
  for (const cri::ContainerStatus& container : pass.runtime.containers) {
    if (container.state() != cri::CONTAINER_RUNNING) continue;
    idle = false;
    const std::string& name = container.metadata().name();
    stop(pass, container, grace_s, tell ? "Stopping container " + name : "", ends_before(pass.pod(), name));
  }
  return idle;
}

void Termination::stop(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s, const std::string& why,
                       const std::vector<std::string>& after) {
  const int64_t now = context_.host.monotonic_now_ns();
  std::shared_ptr<StopState> stop = pass.memory->stops[container.id()];
  if (stop == nullptr) {
    stop = begin(pass, container, grace_s, why);
  } else if (grace_s < stop->grace_s) {
    stop->grace_s = grace_s;
    stop->deadline_ns = std::min(stop->deadline_ns, now + grace_s * kSecondNs);
  }
  if (!is_past_hook(pass, *stop)) return;
  const bool waits =
      std::any_of(after.begin(), after.end(), [&](const std::string& name) { return is_running(pass.runtime, name); });
  if (waits && now < stop->deadline_ns) {
    pass.again_at(stop->deadline_ns);
    return;
  }
  ask_runtime(pass, container.id(), stop);
}

std::shared_ptr<StopState> Termination::begin(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s,
                                              const std::string& why) {
  auto stop = std::make_shared<StopState>();
  stop->grace_s = grace_s;
  stop->deadline_ns = context_.host.monotonic_now_ns() + grace_s * kSecondNs;
  pass.memory->stops[container.id()] = stop;
  if (!why.empty()) context_.events.about(pass.pod(), EventType::kNormal, "Killing", why);
  const Container* spec = find_spec(pass.pod(), container.metadata().name());
  if (grace_s > 0 && spec != nullptr && spec->lifecycle().has_prestop()) {
    stop->hook = hooks_.begin(pass, spec->lifecycle().prestop(), *spec, container.id(), grace_s * 1000);
  }
  return stop;
}

bool Termination::is_past_hook(Pass& pass, StopState& stop) {
  if (stop.hook == nullptr) return true;
  const auto state = hooks_.state(*stop.hook);
  if (state == LifecycleHooks::State::kRunning && context_.host.monotonic_now_ns() < stop.deadline_ns) {
    pass.again_at(stop.hook->until_ns != 0 ? std::min(stop.hook->until_ns, stop.deadline_ns) : stop.deadline_ns);
    return false;
  }
  if (state == LifecycleHooks::State::kFailed) {
    // Without the hook's own words, which may hold secrets.
    context_.events.about(pass.pod(), EventType::kWarning, "FailedPreStopHook", "PreStopHook failed");
  }
  stop.hook = nullptr;
  return true;
}

void Termination::ask_runtime(Pass& pass, const std::string& id, const std::shared_ptr<StopState>& stop) {
  const int64_t now = context_.host.monotonic_now_ns();
  int64_t left_s = 0;
  if (stop->grace_s > 0) left_s = std::max(kGraceMinS, (stop->deadline_ns - now + kSecondNs - 1) / kSecondNs);
  const int64_t until = now + left_s * kSecondNs;
  const auto [calls, again_at] = context_.registry.with([&] { return std::pair(stop->calls, stop->again_at_ns); });
  if (calls > 0 && until + kSecondNs > stop->asked_until_ns) return;  // it will be over as soon without another call
  if (calls == 0 && now < again_at) {
    pass.again_at(again_at);
    return;
  }
  stop->asked_until_ns = until;
  context_.registry.with([&] { ++stop->calls; });
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(left_s);
  context_.runtime.invoke_async<cri::StopContainerResponse>(
      "RuntimeService/StopContainer", request,
      static_cast<uint32_t>(std::min<int64_t>(left_s * 1000 + kSlackMs, UINT32_MAX)),
      [this, stop, key = pass.key](const Result<cri::StopContainerResponse>& answer) {
        context_.registry.with([&] {
          --stop->calls;
          if (!answer) stop->again_at_ns = context_.host.monotonic_now_ns() + kSecondNs;
        });
        context_.registry.wake(key);
      });
}

}  // namespace orlop::agent
