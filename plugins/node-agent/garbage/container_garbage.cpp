#include "plugins/node-agent/garbage/container_garbage.hpp"

#include "plugins/node-agent/files.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kRemoveDeadlineMs = 60'000;

std::string label(const google::protobuf::Map<std::string, std::string>& labels, const char* name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) out.insert(entry.path().filename());
  return out;
}

// "uid/name/attempt" of each container.
std::set<std::string> attempts_of(const google::protobuf::RepeatedPtrField<cri::Container>& containers) {
  std::set<std::string> out;
  for (const cri::Container& container : containers) {
    out.insert(label(container.labels(), kPodUidLabel) + "/" + container.metadata().name() + "/" +
               std::to_string(container.metadata().attempt()));
  }
  return out;
}

bool is_dead(const cri::Container& container, bool is_newest) {
  if (container.state() == cri::CONTAINER_RUNNING) return false;
  return container.state() != cri::CONTAINER_CREATED || !is_newest;
}

}  // namespace

GarbagePlan plan_garbage(const std::vector<cri::Container>& containers, const std::vector<cri::PodSandbox>& sandboxes) {
  GarbagePlan plan;
  std::set<std::string> known;
  for (const cri::PodSandbox& sandbox : sandboxes) known.insert(sandbox.id());
  std::map<std::pair<std::string, std::string>, std::vector<const cri::Container*>> by_name;
  for (const cri::Container& container : containers) {
    if (!known.contains(container.pod_sandbox_id())) {
      plan.containers.push_back(container.id());
      continue;
    }
    const std::string uid = label(container.labels(), kPodUidLabel);
    if (!uid.empty()) by_name[{uid, container.metadata().name()}].push_back(&container);
  }
  std::set<std::string> in_use;  // sandboxes that keep a container
  for (auto& [name, list] : by_name) {
    std::sort(list.begin(), list.end(), [](const auto* a, const auto* b) { return a->created_at() > b->created_at(); });
    bool has_dead = false;
    for (const cri::Container* container : list) {
      const bool dead = is_dead(*container, container == list.front());
      if (dead && std::exchange(has_dead, true)) {
        plan.containers.push_back(container->id());
      } else {
        in_use.insert(container->pod_sandbox_id());
      }
    }
  }
  std::map<std::string, const cri::PodSandbox*> newest;
  for (const cri::PodSandbox& sandbox : sandboxes) {
    const cri::PodSandbox*& slot = newest[label(sandbox.labels(), kPodUidLabel)];
    if (slot == nullptr || slot->created_at() < sandbox.created_at()) slot = &sandbox;
  }
  for (const cri::PodSandbox& sandbox : sandboxes) {
    const std::string uid = label(sandbox.labels(), kPodUidLabel);
    if (uid.empty() || sandbox.state() == cri::SANDBOX_READY || newest[uid] == &sandbox) continue;
    if (!in_use.contains(sandbox.id())) plan.sandboxes.push_back(sandbox.id());
  }
  return plan;
}

std::string uid_of_log_folder(const std::string& name) {
  const size_t first = name.find('_');
  const size_t second = first == std::string::npos ? first : name.find('_', first + 1);
  if (second == std::string::npos || name.find('_', second + 1) != std::string::npos) return {};
  return name.substr(second + 1);
}

ContainerGarbage::ContainerGarbage(Host host, const RuntimeClient& runtime, Folders folders, WantedPods wanted,
                                   RemovePod remove_pod)
    : host_(host),
      runtime_(runtime),
      folders_(std::move(folders)),
      wanted_(std::move(wanted)),
      remove_pod_(std::move(remove_pod)) {}

Status ContainerGarbage::collect() {
  // First what is on the disk, then whose it may be: a pod that comes meanwhile has no folder in these lists. Likewise
  // containers before sandboxes.
  const std::set<std::string> log_folders = names_in(folders_.logs);
  const std::set<std::string> pod_folders = names_in(folders_.pods);
  const std::vector<LogFile> log_files = find_log_files(log_folders);
  ORLOP_ASSIGN(const auto containers, runtime_.invoke<cri::ListContainersResponse>("RuntimeService/ListContainers",
                                                                                   cri::ListContainersRequest()));
  ORLOP_ASSIGN(const auto sandboxes, runtime_.invoke<cri::ListPodSandboxResponse>("RuntimeService/ListPodSandbox",
                                                                                  cri::ListPodSandboxRequest()));
  ORLOP_ASSIGN(std::set<std::string> kept, wanted_());
  for (const auto& sandbox : sandboxes.items()) kept.insert(label(sandbox.labels(), kPodUidLabel));
  for (const auto& container : containers.containers()) kept.insert(label(container.labels(), kPodUidLabel));
  remove(plan_garbage({containers.containers().begin(), containers.containers().end()},
                      {sandboxes.items().begin(), sandboxes.items().end()}));
  remove_folders(log_folders, pod_folders, kept);
  const std::set<std::string> attempts = attempts_of(containers.containers());
  for (const LogFile& file : log_files) {
    if (attempts.contains(file.attempt)) continue;
    std::error_code ignored;
    fs::remove(file.path, ignored);
  }
  return Status::ok();
}

std::vector<ContainerGarbage::LogFile> ContainerGarbage::find_log_files(const std::set<std::string>& folders) const {
  std::vector<LogFile> out;
  for (const std::string& folder : folders) {
    const std::string uid = uid_of_log_folder(folder);
    if (uid.empty()) continue;
    for (const std::string& container : names_in(folders_.logs + "/" + folder)) {
      const std::string inner = folders_.logs + "/" + folder + "/" + container;
      for (const std::string& name : names_in(inner)) {
        const size_t dot = name.find(".log");
        if (dot == std::string::npos || dot == 0) continue;
        out.push_back({inner + "/" + name, uid + "/" + container + "/" + name.substr(0, dot)});
      }
    }
  }
  return out;
}

void ContainerGarbage::remove(const GarbagePlan& plan) {
  for (const std::string& id : plan.containers) {
    cri::RemoveContainerRequest request;
    request.set_container_id(id);
    note("container " + id,
         runtime_.invoke<cri::RemoveContainerResponse>("RuntimeService/RemoveContainer", request, kRemoveDeadlineMs)
             .status());
  }
  for (const std::string& id : plan.sandboxes) {
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(id);
    Status status =
        runtime_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop, kRemoveDeadlineMs).status();
    if (status) {
      cri::RemovePodSandboxRequest request;
      request.set_pod_sandbox_id(id);
      status =
          runtime_.invoke<cri::RemovePodSandboxResponse>("RuntimeService/RemovePodSandbox", request, kRemoveDeadlineMs)
              .status();
    }
    note("sandbox " + id, status);
  }
}

void ContainerGarbage::remove_folders(const std::set<std::string>& log_folders,
                                      const std::set<std::string>& pod_folders, const std::set<std::string>& kept) {
  for (const std::string& name : log_folders) {
    const std::string uid = uid_of_log_folder(name);
    if (uid.empty() || kept.contains(uid)) continue;
    note("the logs " + name, remove_tree(folders_.logs + "/" + name));
  }
  for (const std::string& uid : pod_folders) {
    if (!kept.contains(uid)) note("the folder of pod " + uid, remove_pod_(uid));
  }
}

void ContainerGarbage::note(const std::string& what, const Status& status) {
  if (status || status.code() == Code::kNotFound) {
    host_.log_info(what + " was left behind and is removed");
  } else {
    host_.log_warn(what + " was left behind and cannot be removed: " + status.message());
  }
}

}  // namespace orlop::agent
