#include "plugins/node-agent/termination.hpp"

namespace orlop::agent {
namespace {

constexpr uint32_t kStopSlackMs = 60'000;

}  // namespace

bool Termination::stop_all(Pass& pass, int64_t grace_s, bool tell) {
  bool idle = true;
  for (const cri::ContainerStatus& container : pass.runtime.containers) {
    if (container.state() != cri::CONTAINER_RUNNING) continue;
    idle = false;
    stop(pass, container, grace_s, tell ? "Stopping container " + container.metadata().name() : "");
  }
  return idle;
}

void Termination::stop(Pass& pass, const cri::ContainerStatus& container, int64_t grace_s, const std::string& why) {
  const std::string& id = container.id();
  if (!context_.registry.with([&] { return pass.memory->stopping.insert(id).second; })) return;
  if (!why.empty()) context_.events.about(pass.pod(), EventType::kNormal, "Killing", why);
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace_s);
  context_.runtime.invoke_async<cri::StopContainerResponse>(
      "RuntimeService/StopContainer", request, static_cast<uint32_t>(grace_s * 1000) + kStopSlackMs,
      [this, id, key = pass.key, memory = pass.memory](const Result<cri::StopContainerResponse>&) {
        context_.registry.with([&] { return memory->stopping.erase(id); });
        context_.registry.wake(key);
      });
}

}  // namespace orlop::agent
