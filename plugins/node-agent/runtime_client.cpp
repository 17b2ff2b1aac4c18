#include "plugins/node-agent/runtime_client.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {

const cri::ContainerStatus* RuntimePod::find(std::string_view name, int skip) const {
  for (const cri::ContainerStatus& container : containers) {
    if (container.metadata().name() == name && skip-- == 0) return &container;
  }
  return nullptr;
}

bool RuntimePod::any_running() const {
  return std::any_of(containers.begin(), containers.end(),
                     [](const cri::ContainerStatus& container) { return container.state() == cri::CONTAINER_RUNNING; });
}

Result<RuntimePod> RuntimeClient::pod(const std::string& uid) const {
  RuntimePod pod;
  cri::ListPodSandboxRequest sandboxes;
  (*sandboxes.mutable_filter()->mutable_label_selector())[kPodUidLabel] = uid;
  ORLOP_ASSIGN(auto sandbox_list, invoke<cri::ListPodSandboxResponse>("RuntimeService/ListPodSandbox", sandboxes));
  pod.sandboxes.assign(sandbox_list.items().begin(), sandbox_list.items().end());
  std::sort(pod.sandboxes.begin(), pod.sandboxes.end(),
            [](const auto& a, const auto& b) { return a.created_at() > b.created_at(); });
  if (pod.sandboxes.empty()) return pod;

  cri::PodSandboxStatusRequest status;
  status.set_pod_sandbox_id(pod.sandboxes.front().id());
  auto sandbox_status = invoke<cri::PodSandboxStatusResponse>("RuntimeService/PodSandboxStatus", status);
  if (sandbox_status) pod.newest_sandbox = std::move(*sandbox_status->mutable_status());

  cri::ListContainersRequest containers;
  (*containers.mutable_filter()->mutable_label_selector())[kPodUidLabel] = uid;
  ORLOP_ASSIGN(auto container_list, invoke<cri::ListContainersResponse>("RuntimeService/ListContainers", containers));
  for (const cri::Container& container : container_list.containers()) {
    cri::ContainerStatusRequest request;
    request.set_container_id(container.id());
    auto container_status = invoke<cri::ContainerStatusResponse>("RuntimeService/ContainerStatus", request);
    if (container_status) pod.containers.push_back(std::move(*container_status->mutable_status()));
  }
  std::sort(pod.containers.begin(), pod.containers.end(),
            [](const auto& a, const auto& b) { return a.created_at() > b.created_at(); });
  return pod;
}

}  // namespace orlop::agent
