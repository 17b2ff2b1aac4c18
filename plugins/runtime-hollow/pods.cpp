#include "plugins/runtime-hollow/pods.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

namespace orlop::hollow {

using runtime_events::Event;
using runtime_events::EventType;

namespace {

constexpr int32_t kKilled = 137;
constexpr uint64_t kNanoPerMilli = 1'000'000;

Status unknown(std::string_view what, const std::string& id) {
  return Status(Code::kNotFound, fmt::format("no {} \"{}\"", what, id));
}

template <typename Labels, typename Selector>
bool selects(const Selector& selector, const Labels& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

// CRI's filters take an id's beginning too.
bool id_matches(const std::string& wanted, uint64_t id) {
  return wanted.empty() || format_id(id).starts_with(wanted);
}

template <typename Labels>
uint64_t uid_hash_of(const Labels& labels) {
  auto found = labels.find(kPodUidLabel);
  return found == labels.end() ? 0 : std::hash<std::string>()(found->second);
}

}  // namespace

void Pods::unindex(UidIndex& index, uint64_t hash, uint64_t id) {
  auto [from, to] = index.equal_range(hash);
  auto found = std::find_if(from, to, [id](const auto& entry) { return entry.second == id; });
  if (found != to) index.erase(found);
}

template <typename Items, typename Selector, typename Visit>
void Pods::each(const Items& items, const UidIndex& index, const Selector& selector, const Visit& visit) {
  if (!selector.contains(kPodUidLabel)) {
    for (const auto& [id, item] : items) visit(id, item);
    return;
  }
  auto [from, to] = index.equal_range(uid_hash_of(selector));
  for (auto entry = from; entry != to; ++entry) visit(entry->second, items.at(entry->second));
}

std::string format_id(uint64_t id) {
  return fmt::format("{:012x}", id);
}

std::optional<uint64_t> parse_id(std::string_view text) {
  uint64_t id = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (text.size() != 12 || error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return id;
}

const Pods::Sandbox* Pods::find_sandbox(const std::string& id) const {
  auto number = parse_id(id);
  auto found = number ? sandboxes_.find(*number) : sandboxes_.end();
  return found == sandboxes_.end() ? nullptr : &found->second;
}

const Pods::Container* Pods::find_container(const std::string& id) const {
  auto number = parse_id(id);
  auto found = number ? containers_.find(*number) : containers_.end();
  return found == containers_.end() ? nullptr : &found->second;
}

void Pods::tell(EventType type, uint64_t id, int64_t now, int32_t code) {
  events_(Event{type, format_id(id), code, now});
}

Result<cri::RunPodSandboxResponse> Pods::run(const cri::RunPodSandboxRequest& request, int64_t now) {
  const auto& config = request.config();
  const auto& metadata = config.metadata();
  if (metadata.name().empty() || metadata.namespace_().empty()) {
    return Status(Code::kInvalid, "a sandbox needs a name and a namespace");
  }
  uint64_t hash = std::hash<std::string>()(metadata.SerializeAsString());
  if (names_.contains(hash)) {
    return Status(Code::kAlreadyExists, fmt::format("a sandbox of {}/{}, attempt {}, is there already",
                                                    metadata.namespace_(), metadata.name(), metadata.attempt()));
  }
  Sandbox sandbox;
  const auto& options = config.linux().security_context().namespace_options();
  if (options.network() != cri::NODE) {
    ORLOP_ASSIGN(sandbox.address, addresses_.take());
  }
  cri::PodSandbox kept;
  *kept.mutable_metadata() = metadata;
  *kept.mutable_labels() = config.labels();
  *kept.mutable_annotations() = config.annotations();
  sandbox.config = kept.SerializeAsString();
  sandbox.handler = request.runtime_handler();
  sandbox.created_at = now;
  sandbox.name_hash = hash;
  sandbox.uid_hash = uid_hash_of(config.labels());
  uint64_t id = next_id_++;
  sandboxes_by_uid_.emplace(sandbox.uid_hash, id);
  names_.insert(hash);
  sandboxes_.emplace(id, std::move(sandbox));
  tell(EventType::kSandboxReady, id, now);
  cri::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(format_id(id));
  return response;
}

Result<cri::StopPodSandboxResponse> Pods::stop(const cri::StopPodSandboxRequest& request, int64_t now) {
  auto* sandbox = const_cast<Sandbox*>(find_sandbox(request.pod_sandbox_id()));
  if (sandbox == nullptr || !sandbox->ready) return cri::StopPodSandboxResponse();
  for (uint64_t id : sandbox->containers) {
    Container& container = containers_.at(id);
    if (container.state == cri::CONTAINER_RUNNING) end(id, container, kKilled, now);
  }
  sandbox->ready = false;
  if (sandbox->address != 0) addresses_.give_back(sandbox->address);
  sandbox->address = 0;
  tell(EventType::kSandboxStopped, *parse_id(request.pod_sandbox_id()), now);
  return cri::StopPodSandboxResponse();
}

Result<cri::RemovePodSandboxResponse> Pods::remove(const cri::RemovePodSandboxRequest& request, int64_t now) {
  if (find_sandbox(request.pod_sandbox_id()) == nullptr) return cri::RemovePodSandboxResponse();
  cri::StopPodSandboxRequest stop_request;
  stop_request.set_pod_sandbox_id(request.pod_sandbox_id());
  ORLOP_TRY(stop(stop_request, now).status());
  uint64_t id = *parse_id(request.pod_sandbox_id());
  auto containers = sandboxes_.at(id).containers;
  for (uint64_t container : containers) erase_container(container, now);
  names_.erase(sandboxes_.at(id).name_hash);
  unindex(sandboxes_by_uid_, sandboxes_.at(id).uid_hash, id);
  sandboxes_.erase(id);
  return cri::RemovePodSandboxResponse();
}

cri::PodSandbox Pods::describe(uint64_t id, const Sandbox& sandbox) const {
  cri::PodSandbox out;
  out.ParseFromString(sandbox.config);
  out.set_id(format_id(id));
  out.set_state(sandbox.ready ? cri::SANDBOX_READY : cri::SANDBOX_NOTREADY);
  out.set_created_at(sandbox.created_at);
  out.set_runtime_handler(sandbox.handler);
  return out;
}

Result<cri::PodSandboxStatusResponse> Pods::status(const cri::PodSandboxStatusRequest& request) const {
  const Sandbox* sandbox = find_sandbox(request.pod_sandbox_id());
  if (sandbox == nullptr) return unknown("sandbox", request.pod_sandbox_id());
  cri::PodSandbox described = describe(*parse_id(request.pod_sandbox_id()), *sandbox);
  cri::PodSandboxStatusResponse response;
  auto* status = response.mutable_status();
  status->set_id(described.id());
  status->set_state(described.state());
  status->set_created_at(described.created_at());
  status->set_runtime_handler(described.runtime_handler());
  status->mutable_metadata()->Swap(described.mutable_metadata());
  status->mutable_labels()->swap(*described.mutable_labels());
  status->mutable_annotations()->swap(*described.mutable_annotations());
  auto* options = status->mutable_linux()->mutable_namespaces()->mutable_options();
  options->set_network(sandbox->address == 0 && sandbox->ready ? cri::NODE : cri::POD);
  status->mutable_network();
  if (sandbox->address != 0) status->mutable_network()->set_ip(format_ip(sandbox->address));
  return response;
}

cri::ListPodSandboxResponse Pods::list(const cri::ListPodSandboxRequest& request) const {
  cri::ListPodSandboxResponse response;
  const auto& filter = request.filter();
  each(sandboxes_, sandboxes_by_uid_, filter.label_selector(), [&](uint64_t id, const Sandbox& sandbox) {
    if (!id_matches(filter.id(), id)) return;
    if (filter.has_state() && (filter.state().state() == cri::SANDBOX_READY) != sandbox.ready) return;
    cri::PodSandbox described = describe(id, sandbox);
    if (selects(filter.label_selector(), described.labels())) response.add_items()->Swap(&described);
  });
  return response;
}

cri::ListPodSandboxStatsResponse Pods::stats(const cri::ListPodSandboxStatsRequest& request, int64_t now) const {
  cri::ListPodSandboxStatsResponse response;
  const auto& filter = request.filter();
  for (const auto& [id, sandbox] : sandboxes_) {
    if (!sandbox.ready || !id_matches(filter.id(), id)) continue;
    cri::PodSandbox described = describe(id, sandbox);
    if (!selects(filter.label_selector(), described.labels())) continue;
    auto* stats = response.add_stats();
    stats->mutable_attributes()->set_id(described.id());
    stats->mutable_attributes()->mutable_metadata()->Swap(described.mutable_metadata());
    stats->mutable_attributes()->mutable_labels()->swap(*described.mutable_labels());
    for (uint64_t container : sandbox.containers) {
      *stats->mutable_linux()->add_containers() = stats_of(container, containers_.at(container), now);
    }
  }
  return response;
}

Result<cri::CreateContainerResponse> Pods::create(const cri::CreateContainerRequest& request, int64_t now) {
  auto* sandbox = const_cast<Sandbox*>(find_sandbox(request.pod_sandbox_id()));
  if (sandbox == nullptr) return unknown("sandbox", request.pod_sandbox_id());
  if (!sandbox->ready) {
    return Status(Code::kConflict, fmt::format("sandbox {} has been stopped", request.pod_sandbox_id()));
  }
  const auto& config = request.config();
  cri::PodSandbox pod;
  pod.ParseFromString(sandbox->config);
  // What is said at the container counts before what is said at its pod.
  auto lookup = [&](const std::string& key) -> const std::string* {
    for (const auto* map : {&config.annotations(), &config.labels(), &pod.annotations(), &pod.labels()}) {
      auto found = map->find(key);
      if (found != map->end()) return &found->second;
    }
    return nullptr;
  };
  Container container;
  ORLOP_ASSIGN(container.plan, exit_plan(config.metadata().name(), lookup));
  ORLOP_ASSIGN(container.load, load_of(config.metadata().name(), lookup));
  ORLOP_ASSIGN(container.exec_code, exec_code(config.metadata().name(), lookup));
  cri::Container kept;
  *kept.mutable_metadata() = config.metadata();
  *kept.mutable_image() = config.image();
  *kept.mutable_labels() = config.labels();
  *kept.mutable_annotations() = config.annotations();
  container.config = kept.SerializeAsString();
  container.sandbox = *parse_id(request.pod_sandbox_id());
  container.uid_hash = uid_hash_of(config.labels());
  container.created_at = now;
  for (uint64_t other : sandbox->containers) {
    cri::Container described = describe(other, containers_.at(other));
    if (described.metadata().name() == config.metadata().name() &&
        described.metadata().attempt() == config.metadata().attempt()) {
      return Status(Code::kAlreadyExists, fmt::format("container {}, attempt {}, is there already",
                                                      config.metadata().name(), config.metadata().attempt()));
    }
  }
  uint64_t id = next_id_++;
  sandbox->containers.push_back(id);
  containers_by_uid_.emplace(container.uid_hash, id);
  containers_.emplace(id, std::move(container));
  tell(EventType::kContainerCreated, id, now);
  cri::CreateContainerResponse response;
  response.set_container_id(format_id(id));
  return response;
}

Result<cri::StartContainerResponse> Pods::start(const cri::StartContainerRequest& request, int64_t now,
                                                std::optional<PlannedExit>& planned) {
  auto* container = const_cast<Container*>(find_container(request.container_id()));
  if (container == nullptr) return unknown("container", request.container_id());
  if (container->state != cri::CONTAINER_CREATED) {
    return Status(Code::kConflict, fmt::format("container {} has been started before", request.container_id()));
  }
  uint64_t id = *parse_id(request.container_id());
  container->state = cri::CONTAINER_RUNNING;
  container->started_at = now;
  container->load_from = now;
  ++container->starts;
  if (container->plan) planned = PlannedExit{id, container->starts, container->plan->after};
  tell(EventType::kContainerStarted, id, now);
  return cri::StartContainerResponse();
}

void Pods::end(uint64_t id, Container& container, int32_t code, int64_t now) {
  container.state = cri::CONTAINER_EXITED;
  container.finished_at = now;
  container.exit_code = code;
  tell(EventType::kContainerStopped, id, now, code);
}

void Pods::exit(const PlannedExit& planned, int64_t now) {
  auto found = containers_.find(planned.container);
  if (found == containers_.end()) return;
  Container& container = found->second;
  if (container.state != cri::CONTAINER_RUNNING || container.starts != planned.start) return;
  end(planned.container, container, container.plan->code, now);
}

Result<cri::StopContainerResponse> Pods::stop(const cri::StopContainerRequest& request, int64_t now) {
  auto* container = const_cast<Container*>(find_container(request.container_id()));
  if (container == nullptr) return unknown("container", request.container_id());
  // A well-behaved program ends with 0 when it is asked to; without a grace it is killed.
  if (container->state == cri::CONTAINER_RUNNING) {
    end(*parse_id(request.container_id()), *container, request.timeout() > 0 ? 0 : kKilled, now);
  }
  return cri::StopContainerResponse();
}

void Pods::erase_container(uint64_t id, int64_t now) {
  Container& container = containers_.at(id);
  if (container.state == cri::CONTAINER_RUNNING) end(id, container, kKilled, now);
  std::erase(sandboxes_.at(container.sandbox).containers, id);
  unindex(containers_by_uid_, container.uid_hash, id);
  containers_.erase(id);
  tell(EventType::kContainerRemoved, id, now);
}

Result<cri::ExecSyncResponse> Pods::exec(const cri::ExecSyncRequest& request) const {
  const Container* container = find_container(request.container_id());
  if (container == nullptr) return unknown("container", request.container_id());
  if (container->state != cri::CONTAINER_RUNNING) {
    return Status(Code::kConflict, fmt::format("container {} is not running", request.container_id()));
  }
  cri::ExecSyncResponse response;
  response.set_exit_code(container->exec_code);
  return response;
}

Result<cri::RemoveContainerResponse> Pods::remove(const cri::RemoveContainerRequest& request, int64_t now) {
  if (find_container(request.container_id()) != nullptr) erase_container(*parse_id(request.container_id()), now);
  return cri::RemoveContainerResponse();
}

cri::Container Pods::describe(uint64_t id, const Container& container) const {
  cri::Container out;
  out.ParseFromString(container.config);
  out.set_id(format_id(id));
  out.set_pod_sandbox_id(format_id(container.sandbox));
  out.set_image_ref(out.image().image());
  out.set_state(container.state);
  out.set_created_at(container.created_at);
  return out;
}

Result<cri::ContainerStatusResponse> Pods::status(const cri::ContainerStatusRequest& request) const {
  const Container* container = find_container(request.container_id());
  if (container == nullptr) return unknown("container", request.container_id());
  cri::Container described = describe(*parse_id(request.container_id()), *container);
  cri::ContainerStatusResponse response;
  auto* status = response.mutable_status();
  status->set_id(described.id());
  status->set_state(described.state());
  status->set_created_at(container->created_at);
  status->set_started_at(container->started_at);
  status->set_finished_at(container->finished_at);
  status->set_exit_code(container->exit_code);
  status->set_image_ref(described.image_ref());
  if (container->state == cri::CONTAINER_EXITED) status->set_reason(container->exit_code == 0 ? "Completed" : "Error");
  status->mutable_metadata()->Swap(described.mutable_metadata());
  status->mutable_image()->Swap(described.mutable_image());
  status->mutable_labels()->swap(*described.mutable_labels());
  status->mutable_annotations()->swap(*described.mutable_annotations());
  return response;
}

cri::ListContainersResponse Pods::list(const cri::ListContainersRequest& request) const {
  cri::ListContainersResponse response;
  const auto& filter = request.filter();
  auto add = [&](uint64_t id, const Container& container) {
    if (!id_matches(filter.id(), id)) return;
    if (filter.has_state() && filter.state().state() != container.state) return;
    cri::Container described = describe(id, container);
    if (selects(filter.label_selector(), described.labels())) response.add_containers()->Swap(&described);
  };
  if (!filter.pod_sandbox_id().empty()) {
    const Sandbox* sandbox = find_sandbox(filter.pod_sandbox_id());
    if (sandbox == nullptr) return response;
    for (uint64_t id : sandbox->containers) add(id, containers_.at(id));
  } else {
    each(containers_, containers_by_uid_, filter.label_selector(), add);
  }
  return response;
}

cri::ContainerStats Pods::stats_of(uint64_t id, const Container& container, int64_t now) const {
  cri::Container described = describe(id, container);
  cri::ContainerStats stats;
  stats.mutable_attributes()->set_id(described.id());
  stats.mutable_attributes()->mutable_metadata()->Swap(described.mutable_metadata());
  stats.mutable_attributes()->mutable_labels()->swap(*described.mutable_labels());
  stats.mutable_attributes()->mutable_annotations()->swap(*described.mutable_annotations());
  // Nothing runs, so what is used is what the pod says that it uses.
  const auto memory = static_cast<uint64_t>(container.load.memory_bytes);
  auto& cpu = *stats.mutable_cpu();
  cpu.set_timestamp(now);
  cpu.mutable_usage_core_nano_seconds()->set_value(static_cast<uint64_t>(cpu_ns_of(container, now)));
  cpu.mutable_usage_nano_cores()->set_value(static_cast<uint64_t>(container.load.cpu_milli) * kNanoPerMilli);
  stats.mutable_memory()->set_timestamp(now);
  stats.mutable_memory()->mutable_working_set_bytes()->set_value(memory);
  stats.mutable_memory()->mutable_usage_bytes()->set_value(memory);
  stats.mutable_memory()->mutable_rss_bytes()->set_value(memory);
  return stats;
}

int64_t Pods::cpu_ns_of(const Container& container, int64_t now) {
  const int64_t until = container.state == cri::CONTAINER_RUNNING ? now : container.finished_at;
  return container.cpu_ns_until + std::max<int64_t>(until - container.load_from, 0) / 1000 * container.load.cpu_milli;
}

Result<cri::UpdateContainerResourcesResponse> Pods::update(const cri::UpdateContainerResourcesRequest& request,
                                                           int64_t now) {
  auto* container = const_cast<Container*>(find_container(request.container_id()));
  if (container == nullptr) return unknown("container", request.container_id());
  const auto& annotations = request.annotations();
  const auto lookup = [&](const std::string& key) -> const std::string* {
    const auto found = annotations.find(key);
    return found == annotations.end() ? nullptr : &found->second;
  };
  const cri::Container described = describe(*parse_id(request.container_id()), *container);
  ORLOP_ASSIGN(const Load load, load_of(described.metadata().name(), lookup));
  container->cpu_ns_until = cpu_ns_of(*container, now);
  container->load_from = now;
  container->load = load;
  return cri::UpdateContainerResourcesResponse();
}

cri::ListContainerStatsResponse Pods::stats(const cri::ListContainerStatsRequest& request, int64_t now) const {
  cri::ListContainerStatsResponse response;
  const auto& filter = request.filter();
  for (const auto& [id, container] : containers_) {
    if (container.state != cri::CONTAINER_RUNNING || !id_matches(filter.id(), id)) continue;
    if (!filter.pod_sandbox_id().empty() && format_id(container.sandbox) != filter.pod_sandbox_id()) continue;
    cri::ContainerStats stats = stats_of(id, container, now);
    if (selects(filter.label_selector(), stats.attributes().labels())) response.add_stats()->Swap(&stats);
  }
  return response;
}

Result<cri::ContainerStatsResponse> Pods::stats(const cri::ContainerStatsRequest& request, int64_t now) const {
  const Container* container = find_container(request.container_id());
  if (container == nullptr) return unknown("container", request.container_id());
  cri::ContainerStatsResponse response;
  *response.mutable_stats() = stats_of(*parse_id(request.container_id()), *container, now);
  return response;
}

}  // namespace orlop::hollow
