#include "plugins/node-agent/container_start.hpp"

#include "plugins/node-agent/pod_config.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace orlop::agent {
namespace {

constexpr int64_t kPostStartMsMax = 3'600'000;  // the hook itself has no time limit

cri::PodSandboxConfig settings_of(const AgentContext& context, const kube::Pod& pod) {
  return sandbox_config(context.config, pod, 0, context.machine.dns_servers, context.machine.dns_searches);
}

}  // namespace

Result<ContainerStart::Step> ContainerStart::start(Pass& pass, const Container& container, uint32_t attempt,
                                                   const std::string& target) {
  const kube::Pod& pod = pass.pod();
  if (backoff_.is_refused(pass, container)) return Step::kWaits;
  ORLOP_ASSIGN(const std::string image_reference, image_of(pass, container));
  if (image_reference.empty()) return Step::kWaits;
  ORLOP_TRY(collect_old(pass, container));
  auto created = create(pass, container, attempt, image_reference, target);
  if (!created) {
    const bool settings = created.code() == Code::kNotFound || created.code() == Code::kInvalid;
    backoff_.refuse(pass, container, settings ? "CreateContainerConfigError" : "CreateContainerError",
                    created.status());
    return Step::kWaits;
  }
  context_.events.about(pod, EventType::kNormal, "Created", "Created container: " + container.name());
  context_.registry.note_id(pass.key, *created);
  cri::StartContainerRequest request;
  request.set_container_id(*created);
  auto started = context_.runtime.invoke<cri::StartContainerResponse>("RuntimeService/StartContainer", request);
  if (!started) {
    backoff_.refuse(pass, container, "RunContainerError", started.status());
    return Step::kWaits;
  }
  backoff_.forget_refusal(pass, container);
  context_.events.about(pod, EventType::kNormal, "Started", "Started container " + container.name());
  if (!container.lifecycle().has_poststart()) return Step::kStarted;
  const auto hook = hooks_.begin(pass, container.lifecycle().poststart(), container, *created, kPostStartMsMax);
  pass.memory->post_start[*created] = hook;
  // Looked at again when a sleep is over, at once when it has failed already; a check wakes the pod by itself.
  if (hook->until_ns != 0 || hooks_.state(*hook) != LifecycleHooks::State::kRunning) {
    pass.again_at(std::max(hook->until_ns, context_.host.monotonic_now_ns()));
  }
  return Step::kHeld;
}

Result<std::string> ContainerStart::image_of(Pass& pass, const Container& container) {
  const kube::Pod& pod = pass.pod();
  ORLOP_ASSIGN(const ImageState image, images_.ensure(pass.key, pod, container, settings_of(context_, pod)));
  if (image.phase == ImageState::Phase::kPresent) return image.reference;
  if (image.phase == ImageState::Phase::kFailed) pass.waiting[container.name()] = image.waiting;
  if (image.again_at_ns != 0) pass.again_at(image.again_at_ns);
  return std::string();
}

Result<std::string> ContainerStart::create(Pass& pass, const Container& container, uint32_t attempt,
                                           const std::string& image_reference, const std::string& target) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pass.runtime.sandboxes.front().id());
  ORLOP_ASSIGN(*request.mutable_config(), settings_.make(pass, container, attempt, image_reference));
  *request.mutable_sandbox_config() = settings_of(context_, pass.pod());
  if (!target.empty()) {
    const cri::ContainerStatus* found = pass.runtime.find(target);
    if (found == nullptr || found->state() != cri::CONTAINER_RUNNING) {
      return Status(Code::kInvalid, "unable to find target container " + target);
    }
    auto& security = *request.mutable_config()->mutable_linux()->mutable_security_context();
    security.mutable_namespace_options()->set_pid(cri::TARGET);
    security.mutable_namespace_options()->set_target_id(found->id());
  }
  ORLOP_ASSIGN(const auto created,
               context_.runtime.invoke<cri::CreateContainerResponse>("RuntimeService/CreateContainer", request));
  return created.container_id();
}

Status ContainerStart::collect_old(Pass& pass, const Container& container) {
  for (int skip = 1;; ++skip) {
    const cri::ContainerStatus* old = pass.runtime.find(container.name(), skip);
    if (old == nullptr) return Status::ok();
    if (old->state() == cri::CONTAINER_RUNNING) continue;
    cri::RemoveContainerRequest request;
    request.set_container_id(old->id());
    ORLOP_TRY(
        context_.runtime.invoke<cri::RemoveContainerResponse>("RuntimeService/RemoveContainer", request).status());
  }
}

}  // namespace orlop::agent
