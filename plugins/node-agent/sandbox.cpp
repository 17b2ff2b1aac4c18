#include "plugins/node-agent/sandbox.hpp"

#include "orlop/kube/node_v1.hpp"
#include "plugins/node-agent/config_refs.hpp"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/volumes/hosts_file.hpp"

#include <algorithm>

namespace orlop::agent {
namespace {

constexpr uint32_t kRunDeadlineMs = 240'000;
constexpr uint32_t kStopDeadlineMs = 60'000;

}  // namespace

bool is_of_newest_sandbox(const RuntimePod& runtime, const cri::ContainerStatus& container) {
  return !runtime.sandboxes.empty() && container.created_at() >= runtime.sandboxes.front().created_at();
}

Status Sandboxes::ensure(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  const AgentConfig& config = context_.config;
  const Machine& machine = context_.machine;
  if (!config.hollow) ORLOP_TRY(prepare_volumes(pass));
  if (pass.runtime.sandbox_ready() && !pass.runtime.has_lost_its_network()) return Status::ok();
  if (const Status possible = can_make(pod); !possible) {
    context_.events.about(pod, EventType::kWarning, "FailedCreatePodSandBox",
                          "Failed to create pod sandbox: " + possible.message());
    return possible;
  }
  uint32_t attempt = 0;
  if (!pass.runtime.sandboxes.empty()) {
    attempt = pass.runtime.sandboxes.front().metadata().attempt() + 1;
    context_.events.about(pod, EventType::kNormal, "SandboxChanged",
                          "Pod sandbox changed, it will be killed and re-created.");
    for (const auto& sandbox : pass.runtime.sandboxes) ORLOP_TRY(stop_one(sandbox.id()));
  }
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = sandbox_config(config, pod, attempt, machine.dns_servers, machine.dns_searches);
  const auto handler = handler_of(pod);
  if (!handler) {
    context_.events.about(pod, EventType::kWarning, "FailedCreatePodSandBox",
                          "Failed to create pod sandbox: " + handler.message());
    return handler.status();
  }
  request.set_runtime_handler(*handler);
  if (!config.hollow) {
    ORLOP_TRY(make_folder(pod_log_folder(config, pod), 0755));
    const Status limited = context_.cgroups.prepare_pod(pod);
    if (!limited) {
      context_.events.about(pod, EventType::kWarning, "FailedCreatePodContainer",
                            "unable to ensure pod container exists: " + limited.message());
      return limited;
    }
  }
  auto created =
      context_.runtime.invoke<cri::RunPodSandboxResponse>("RuntimeService/RunPodSandbox", request, kRunDeadlineMs);
  if (!created) {
    context_.events.about(pod, EventType::kWarning, "FailedCreatePodSandBox",
                          "Failed to create pod sandbox: " + created.message());
    return created.status();
  }
  return pass.look_again(context_);
}

Result<std::string> Sandboxes::handler_of(const kube::Pod& pod) const {
  const std::string& name = pod.spec().runtimeclassname();
  if (name.empty()) return std::string();
  using RuntimeClass = k8s::io::api::node::v1::RuntimeClass;
  const auto found = Objects<RuntimeClass>(context_.host).get("", name);
  if (found) return found->object.handler();
  if (found.code() != Code::kNotFound) return found.status();
  return Status(Code::kNotFound, "runtimeclass.node.k8s.io \"" + name + "\" not found");
}

Status Sandboxes::prepare_volumes(Pass& pass) {
  auto prepared = volumes_.prepare(pass.pod());
  if (!prepared) {
    if (prepared.code() == Code::kNotFound) wait_for_config(context_, pass);
    context_.events.about(pass.pod(), EventType::kWarning, "FailedMount", prepared.message());
    return prepared.status();
  }
  // The pod runs on with what it has.
  for (const std::string& text : prepared->stale) {
    context_.events.about(pass.pod(), EventType::kWarning, "FailedMount", text);
  }
  if (prepared->again_at_ns != 0) pass.again_at(prepared->again_at_ns);
  return Status::ok();
}

Status Sandboxes::can_make(const kube::Pod& pod) const {
  ORLOP_TRY(kernel_host_name(pod, context_.config.cluster_domain).status());
  if (!pod.spec().has_hostusers() || pod.spec().hostusers()) return Status::ok();
  return {Code::kInvalid,
          "RuntimeClass handler \"" + pod.spec().runtimeclassname() + "\" does not support user namespaces"};
}

Status Sandboxes::stop_one(const std::string& id) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return context_.runtime.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", request, kStopDeadlineMs)
      .status();
}

Status Sandboxes::stop(const RuntimePod& runtime) {
  for (const auto& sandbox : runtime.sandboxes) {
    if (sandbox.state() == cri::SANDBOX_READY) ORLOP_TRY(stop_one(sandbox.id()));
  }
  return Status::ok();
}

Status Sandboxes::remove_one(const std::string& id) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return context_.runtime
      .invoke<cri::RemovePodSandboxResponse>("RuntimeService/RemovePodSandbox", request, kStopDeadlineMs)
      .status();
}

Status Sandboxes::collect_old(const RuntimePod& runtime) {
  for (size_t i = 1; i < runtime.sandboxes.size(); ++i) {
    const cri::PodSandbox& old = runtime.sandboxes[i];
    const int64_t until = runtime.sandboxes[i - 1].created_at();
    const bool keeps = std::any_of(runtime.containers.begin(), runtime.containers.end(), [&](const auto& container) {
      return container.created_at() >= old.created_at() && container.created_at() < until;
    });
    if (!keeps && old.state() != cri::SANDBOX_READY) ORLOP_TRY(remove_one(old.id()));
  }
  return Status::ok();
}

Status Sandboxes::remove_all(const std::string& uid) {
  ORLOP_ASSIGN(const RuntimePod runtime, context_.runtime.pod(uid));
  for (const auto& sandbox : runtime.sandboxes) {
    ORLOP_TRY(stop_one(sandbox.id()));
    ORLOP_TRY(remove_one(sandbox.id()));
  }
  return Status::ok();
}

}  // namespace orlop::agent
