#include "plugins/node-agent/pod_controller.hpp"

#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/pod_cgroups.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kCrashFirstNs = 10 * kSecondNs;  // the kubelet's container back-off
constexpr int64_t kCrashMaxNs = 300 * kSecondNs;
constexpr int64_t kCrashForgetNs = 600 * kSecondNs;  // ran for so long: the next crash counts as the first
constexpr uint32_t kSandboxDeadlineMs = 240'000;
constexpr uint32_t kStopSlackMs = 60'000;
constexpr int64_t kRefusedRetryNs = 10 * kSecondNs;

bool is_of_newest_sandbox(const RuntimePod& runtime, const cri::ContainerStatus& container) {
  return !runtime.sandboxes.empty() && container.created_at() >= runtime.sandboxes.front().created_at();
}

std::string short_text(int64_t ms) {
  char text[32];
  if (ms < 1000) {
    std::snprintf(text, sizeof text, "%lldms", static_cast<long long>(ms));
  } else {
    std::snprintf(text, sizeof text, "%.3gs", static_cast<double>(ms) / 1000);
  }
  return text;
}

}  // namespace

PodController::PodController(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine)
    : host_(host),
      config_(config),
      runtime_(runtime),
      machine_(machine),
      node_names_(config.node_names.begin(), config.node_names.end()),
      events_(host, "kubelet", config.node_names.front()),
      pods_(host),
      volumes_(host, config),
      images_(host, runtime, [this](const std::set<ObjectKey>& keys) {
        const std::lock_guard lock(mutex_);
        for (const ObjectKey& key : keys) queue_->add(key);
      }) {}

bool PodController::is_ours(const kube::Pod& pod) const {
  return node_names_.contains(pod.spec().nodename());
}

void PodController::observe(const ChangeView& change, KeyQueue& queue) {
  {
    const std::lock_guard lock(mutex_);
    queue_ = &queue;
  }
  kube::Pod pod;
  if (!pod.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size())) || !is_ours(pod))
    return;
  queue.add({pod.metadata().namespace_(), pod.metadata().name()});
}

std::shared_ptr<PodController::Memory> PodController::remember(const ObjectKey& key, const std::string& uid,
                                                               std::string& other_uid) {
  const std::lock_guard lock(mutex_);
  auto& slot = memory_[key];
  if (slot != nullptr && slot->uid != uid) {
    other_uid = slot->uid;
    return slot;
  }
  if (slot == nullptr) {
    slot = std::make_shared<Memory>();
    slot->uid = uid;
  }
  return slot;
}

void PodController::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  memory_.erase(key);
  std::erase_if(keys_, [&](const auto& entry) { return entry.second == key; });
}

void PodController::note_ids(const ObjectKey& key, const RuntimePod& runtime) {
  const std::lock_guard lock(mutex_);
  for (const auto& sandbox : runtime.sandboxes) keys_[sandbox.id()] = key;
  for (const auto& container : runtime.containers) keys_[container.id()] = key;
}

void PodController::runtime_changed(const std::string& container_id) {
  const std::lock_guard lock(mutex_);
  if (queue_ == nullptr) return;
  const auto found = keys_.find(container_id);
  if (found != keys_.end()) {
    queue_->add(found->second);
    return;
  }
  if (!container_id.empty()) return;  // not one of a pod that is known: the pod's own pass made it and reads it again
  for (const auto& [key, memory] : memory_) queue_->add(key);
}

Result<Outcome> PodController::reconcile(const ObjectKey& key) {
  auto stored = pods_.get(key.name_space, key.name);
  if (!stored && stored.code() != Code::kNotFound) return stored.status();
  if (!stored || !is_ours(stored->object)) {
    std::shared_ptr<Memory> memory;
    {
      const std::lock_guard lock(mutex_);
      const auto found = memory_.find(key);
      if (found != memory_.end()) memory = found->second;
    }
    return memory == nullptr ? Result<Outcome>(Outcome{}) : clean_up(key, memory->uid);
  }
  std::string other_uid;
  Pass pass{key, std::move(*stored), {}, nullptr, {}, 0};
  pass.memory = remember(key, pass.pod().metadata().uid(), other_uid);
  if (!other_uid.empty()) {
    // Another pod of this name was here before: first it goes.
    ORLOP_ASSIGN(const Outcome outcome, clean_up(key, other_uid));
    return outcome.again_after_ns != 0 ? outcome : Outcome{1};
  }
  ORLOP_ASSIGN(pass.runtime, runtime_.pod(pass.pod().metadata().uid()));
  note_ids(key, pass.runtime);
  return kube::is_terminating(pass.pod()) ? terminate(pass) : run(pass);
}

Result<Outcome> PodController::run(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  Status worked;
  if (kube::is_terminal(pod)) {
    if (stop_containers(pass, 0, false)) ORLOP_TRY(remove_sandboxes(pass.runtime));
    return Outcome{};
  }
  const bool finished =
      !pass.runtime.containers.empty() &&
      std::all_of(pod.spec().containers().begin(), pod.spec().containers().end(), [&](const Container& c) {
        const auto* ended = pass.runtime.find(c.name());
        return ended != nullptr && ended->state() == cri::CONTAINER_EXITED && !should_restart(pod, c, false, *ended);
      });
  if (!finished) {
    worked = ensure_sandbox(pass);
    if (worked && pass.runtime.sandbox_ready()) worked = run_containers(pass);
  }
  const Status written = write_status(pass);
  if (!worked) return worked;
  if (!written) return written;
  const int64_t now = host_.monotonic_now_ns();
  return Outcome{pass.again_at_ns == 0 ? 0 : std::max<int64_t>(1, pass.again_at_ns - now)};
}

Status PodController::ensure_sandbox(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  if (!pass.memory->resolved && !config_.hollow) {
    const Status made = volumes_.prepare(pod, machine_.ip);
    if (!made) {
      events_.about(pod, EventType::kWarning, "FailedMount", made.message());
      return made;
    }
    pass.memory->resolved = true;
  }
  if (pass.runtime.sandbox_ready()) return Status::ok();
  uint32_t attempt = 0;
  if (!pass.runtime.sandboxes.empty()) {
    attempt = pass.runtime.sandboxes.front().metadata().attempt() + 1;
    events_.about(pod, EventType::kNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    for (const auto& sandbox : pass.runtime.sandboxes) {
      cri::StopPodSandboxRequest stop;
      stop.set_pod_sandbox_id(sandbox.id());
      ORLOP_TRY(runtime_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop).status());
    }
  }
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = sandbox_config(config_, pod, attempt, machine_.dns_servers, machine_.dns_searches);
  if (!config_.hollow) {
    ORLOP_TRY(make_folder(pod_log_folder(config_, pod), 0755));
    prepare_pod_cgroup(pod);
  }
  auto created =
      runtime_.invoke<cri::RunPodSandboxResponse>("RuntimeService/RunPodSandbox", request, kSandboxDeadlineMs);
  if (!created) {
    events_.about(pod, EventType::kWarning, "FailedCreatePodSandBox",
                  "Failed to create pod sandbox: " + created.message());
    return created.status();
  }
  ORLOP_ASSIGN(pass.runtime, runtime_.pod(pod.metadata().uid()));
  note_ids(pass.key, pass.runtime);
  return Status::ok();
}

Status PodController::run_containers(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  // In this sandbox: after a reboot init containers do their work again.
  const bool regular_started =
      std::any_of(pod.spec().containers().begin(), pod.spec().containers().end(), [&](const Container& c) {
        const auto* found = pass.runtime.find(c.name());
        return found != nullptr && is_of_newest_sandbox(pass.runtime, *found);
      });
  for (const Container& container : pod.spec().initcontainers()) {
    if (regular_started && !is_sidecar(container)) continue;
    ORLOP_ASSIGN(const bool go_on, advance(pass, container, true));
    if (!go_on) return Status::ok();
  }
  for (const Container& container : pod.spec().containers()) {
    ORLOP_TRY(advance(pass, container, false).status());
  }
  ORLOP_ASSIGN(pass.runtime, runtime_.pod(pod.metadata().uid()));
  note_ids(pass.key, pass.runtime);
  return Status::ok();
}

Result<bool> PodController::advance(Pass& pass, const Container& container, bool is_init) {
  const kube::Pod& pod = pass.pod();
  const cri::ContainerStatus* newest = pass.runtime.find(container.name());
  uint32_t attempt = 0;
  if (newest != nullptr) {
    attempt = newest->metadata().attempt() + 1;
    if (newest->state() == cri::CONTAINER_RUNNING) {
      const auto hash = newest->annotations().find(kContainerHashAnnotation);
      if (hash == newest->annotations().end() || hash->second == definition_hash(container))
        return !is_init || is_sidecar(container);
      if (pass.memory->told.insert("changed " + newest->id()).second) {
        events_.about(pod, EventType::kNormal, "Killing",
                      "Container " + container.name() + " definition changed, will be restarted");
      }
      RuntimePod only;
      only.containers.push_back(*newest);
      Pass part{pass.key, pass.stored, std::move(only), pass.memory, {}, 0};
      stop_containers(part, pod.spec().terminationgraceperiodseconds(), false);
      return false;
    }
    if (newest->state() == cri::CONTAINER_EXITED) {
      // A container of an earlier sandbox (a reboot) is started again, whatever its policy says of a crash.
      const bool of_this_sandbox = is_of_newest_sandbox(pass.runtime, *newest);
      if (of_this_sandbox && is_init && !is_sidecar(container) && newest->exit_code() == 0) return true;
      if (of_this_sandbox && !should_restart(pod, container, is_init, *newest)) return !is_init;
      if (!of_this_sandbox && pod.spec().restartpolicy() == "Never" && !is_init) return true;
      if (of_this_sandbox && in_backoff(pass, container, *newest)) return !is_init;
    }
  }
  if (is_refused(pass, container)) return !is_init;
  cri::PodSandboxConfig sandbox_settings = sandbox_config(config_, pod, 0, machine_.dns_servers, machine_.dns_searches);
  ORLOP_ASSIGN(const ImageState image, images_.ensure(pass.key, pod, container, sandbox_settings));
  if (image.started_now) {
    events_.about(pod, EventType::kNormal, "Pulling", "Pulling image \"" + container.image() + "\"");
  }
  if (image.phase != ImageState::Phase::kPresent) {
    if (image.phase != ImageState::Phase::kPulling) {
      pass.waiting[container.name()] = image.waiting;
      const bool back_off = image.waiting.reason == "ImagePullBackOff";
      events_.about(pod, back_off ? EventType::kNormal : EventType::kWarning, back_off ? "BackOff" : "Failed",
                    back_off ? "Back-off pulling image \"" + container.image() + "\""
                             : "Failed to pull image \"" + container.image() + "\": " + image.waiting.message);
      if (image.again_at_ns != 0) pass.again_at(image.again_at_ns);
      if (!back_off) pass.again_at(host_.monotonic_now_ns() + 2 * kSecondNs);
    }
    return !is_init;
  }
  if (image.pulled_now) {
    events_.about(pod, EventType::kNormal, "Pulled",
                  "Successfully pulled image \"" + container.image() + "\" in " + short_text(image.pull_ms) + " (" +
                      short_text(image.pull_ms) +
                      " including waiting). Image size: " + std::to_string(image.size_bytes) + " bytes.");
  } else if (image.without_registry) {
    events_.about(
        pod, EventType::kWarning, "RegistryUnreachable",
        "The registry of image \"" + container.image() + "\" cannot be reached; the image on this machine is used");
  } else {
    events_.about(pod, EventType::kNormal, "Pulled",
                  "Container image \"" + container.image() + "\" already present on machine");
  }
  ORLOP_TRY(collect_old(pass, container));
  auto created = create(pass, container, attempt, image.reference);
  if (!created) {
    const bool settings = created.code() == Code::kNotFound || created.code() == Code::kInvalid;
    refuse(pass, container, settings ? "CreateContainerConfigError" : "CreateContainerError", created.status(),
           "Failed");
    return !is_init;
  }
  events_.about(pod, EventType::kNormal, "Created", "Created container: " + container.name());
  {
    const std::lock_guard lock(mutex_);
    keys_[*created] = pass.key;
  }
  cri::StartContainerRequest start;
  start.set_container_id(*created);
  auto started = runtime_.invoke<cri::StartContainerResponse>("RuntimeService/StartContainer", start);
  if (!started) {
    refuse(pass, container, "RunContainerError", started.status(), "Failed");
    return !is_init;
  }
  pass.memory->refused.erase(container.name());
  events_.about(pod, EventType::kNormal, "Started", "Started container " + container.name());
  return !is_init || is_sidecar(container);
}

void PodController::refuse(Pass& pass, const Container& container, const std::string& reason, const Status& why,
                           const char* event) {
  const int64_t again_at_ns = host_.monotonic_now_ns() + kRefusedRetryNs;
  pass.waiting[container.name()] = {reason, why.message()};
  pass.memory->refused[container.name()] = {{reason, why.message()}, again_at_ns, definition_hash(container)};
  events_.about(pass.pod(), EventType::kWarning, event, "Error: " + why.message());
  pass.again_at(again_at_ns);
}

bool PodController::is_refused(Pass& pass, const Container& container) {
  const auto found = pass.memory->refused.find(container.name());
  if (found == pass.memory->refused.end()) return false;
  const Refusal& refusal = found->second;
  if (host_.monotonic_now_ns() >= refusal.again_at_ns || refusal.definition != definition_hash(container)) return false;
  pass.waiting[container.name()] = refusal.why;
  pass.again_at(refusal.again_at_ns);
  return true;
}

bool PodController::in_backoff(Pass& pass, const Container& container, const cri::ContainerStatus& ended) {
  int& crashes = pass.memory->crashes[container.name()];
  const int restarts = static_cast<int>(ended.metadata().attempt());
  if (ended.finished_at() - ended.started_at() > kCrashForgetNs) crashes = -restarts;
  const int counted = restarts + crashes;  // since it last ran well
  if (counted <= 0) return false;
  const int64_t delay = std::min(kCrashFirstNs << std::min(counted - 1, 6), kCrashMaxNs);
  const int64_t left = ended.finished_at() + delay - host_.wall_now_ns();
  if (left <= 0) return false;
  const std::string who = container.name() + " in pod " + pass.pod().metadata().name() + "_" +
                          pass.pod().metadata().namespace_() + "(" + pass.pod().metadata().uid() + ")";
  const std::string how_long = delay >= 60 * kSecondNs ? std::to_string(delay / (60 * kSecondNs)) + "m" +
                                                             std::to_string(delay / kSecondNs % 60) + "s"
                                                       : std::to_string(delay / kSecondNs) + "s";
  pass.waiting[container.name()] = {
      "CrashLoopBackOff", "back-off " + how_long + " restarting failed container=" + container.name() +
                              " pod=" + pass.pod().metadata().name() + "_" + pass.pod().metadata().namespace_() + "(" +
                              pass.pod().metadata().uid() + ")"};
  events_.about(pass.pod(), EventType::kWarning, "BackOff", "Back-off restarting failed container " + who);
  pass.again_at(host_.monotonic_now_ns() + left);
  return true;
}

Result<std::string> PodController::create(Pass& pass, const Container& container, uint32_t attempt,
                                          const std::string& image_reference) {
  const kube::Pod& pod = pass.pod();
  const auto& network = pass.runtime.newest_sandbox.network();
  const std::string pod_ip = pod.spec().hostnetwork() ? machine_.ip : network.ip();
  EnvironmentInputs inputs{&pod, &container, pod_ip, machine_.ip, machine_.cpus * 1000, machine_.memory_bytes};
  Environment environment;
  std::vector<Mount> mounts;
  if (!config_.hollow) {
    ORLOP_ASSIGN(environment, make_environment(host_, inputs));
    ORLOP_ASSIGN(mounts, volumes_.mounts(pod, container, environment));
    const bool own_hosts =
        std::any_of(mounts.begin(), mounts.end(), [](const Mount& m) { return m.container_path == "/etc/hosts"; });
    if (!own_hosts) {
      ORLOP_ASSIGN(std::string hosts, volumes_.write_hosts_file(pod, pod_ip));
      mounts.push_back({std::move(hosts), "/etc/hosts", false, ""});
    }
    ORLOP_TRY(make_folder(pod_log_folder(config_, pod) + "/" + container.name(), 0755));
  }
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pass.runtime.sandboxes.front().id());
  *request.mutable_config() =
      container_config(pod, container, attempt, image_reference, environment, mounts, machine_.memory_bytes);
  *request.mutable_sandbox_config() = sandbox_config(config_, pod, 0, machine_.dns_servers, machine_.dns_searches);
  ORLOP_ASSIGN(const auto created,
               runtime_.invoke<cri::CreateContainerResponse>("RuntimeService/CreateContainer", request));
  return created.container_id();
}

// Of each container the last ended one is kept, for `kubectl logs --previous` and lastState.
Status PodController::collect_old(Pass& pass, const Container& container) {
  for (int skip = 1;; ++skip) {
    const cri::ContainerStatus* old = pass.runtime.find(container.name(), skip);
    if (old == nullptr) return Status::ok();
    if (old->state() == cri::CONTAINER_RUNNING) continue;
    cri::RemoveContainerRequest request;
    request.set_container_id(old->id());
    ORLOP_TRY(runtime_.invoke<cri::RemoveContainerResponse>("RuntimeService/RemoveContainer", request).status());
  }
}

bool PodController::stop_containers(Pass& pass, int64_t grace_s, bool tell) {
  bool idle = true;
  for (const cri::ContainerStatus& container : pass.runtime.containers) {
    if (container.state() != cri::CONTAINER_RUNNING) continue;
    idle = false;
    const std::string id = container.id();
    {
      const std::lock_guard lock(mutex_);
      if (!pass.memory->stopping.insert(id).second) continue;
    }
    if (tell) {
      events_.about(pass.pod(), EventType::kNormal, "Killing", "Stopping container " + container.metadata().name());
    }
    cri::StopContainerRequest request;
    request.set_container_id(id);
    request.set_timeout(grace_s);
    runtime_.invoke_async<cri::StopContainerResponse>(
        "RuntimeService/StopContainer", request, static_cast<uint32_t>(grace_s * 1000) + kStopSlackMs,
        [this, id, key = pass.key, memory = pass.memory](const Result<cri::StopContainerResponse>&) {
          const std::lock_guard lock(mutex_);
          memory->stopping.erase(id);
          queue_->add(key);
        });
  }
  return idle;
}

Status PodController::remove_sandboxes(const RuntimePod& runtime) {
  for (const auto& sandbox : runtime.sandboxes) {
    if (sandbox.state() != cri::SANDBOX_READY) continue;
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(sandbox.id());
    ORLOP_TRY(
        runtime_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop, kStopSlackMs).status());
  }
  return Status::ok();
}

Result<Outcome> PodController::terminate(Pass& pass) {
  // A copy: write_status() replaces the object.
  const std::string uid = pass.pod().metadata().uid();
  const int64_t grace_s = std::max<int64_t>(0, pass.pod().metadata().deletiongraceperiodseconds());
  if (!stop_containers(pass, grace_s, true)) {
    const Status written = write_status(pass);
    if (!written && written.code() != Code::kNotFound) return written;
    return Outcome{};
  }
  ORLOP_TRY(remove_sandboxes(pass.runtime));
  const Status written = write_status(pass);
  if (!written && written.code() != Code::kNotFound) return written;
  ORLOP_ASSIGN(const Outcome cleaned, clean_up(pass.key, uid));
  if (cleaned.again_after_ns != 0) return cleaned;
  v1::DeleteOptions now;
  now.set_grace_period_seconds(0);
  const Status removed = pods_.remove(pass.key.name_space, pass.key.name, now, uid);
  if (!removed && removed.code() != Code::kNotFound && removed.code() != Code::kConflict) return removed;
  return Outcome{};
}

Result<Outcome> PodController::clean_up(const ObjectKey& key, const std::string& uid) {
  ORLOP_ASSIGN(const RuntimePod runtime, runtime_.pod(uid));
  for (const auto& sandbox : runtime.sandboxes) {
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(sandbox.id());
    ORLOP_TRY(
        runtime_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop, kStopSlackMs).status());
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(sandbox.id());
    ORLOP_TRY(runtime_.invoke<cri::RemovePodSandboxResponse>("RuntimeService/RemovePodSandbox", remove, kStopSlackMs)
                  .status());
  }
  if (!config_.hollow) {
    ORLOP_TRY(volumes_.remove(uid));
    remove_pod_cgroup(uid);
    ORLOP_TRY(remove_tree(config_.logs_folder + "/" + key.name_space + "_" + key.name + "_" + uid));
  }
  forget(key);
  return Outcome{};
}

Status PodController::write_status(Pass& pass) {
  StatusInputs inputs;
  inputs.pod = &pass.pod();
  inputs.runtime = &pass.runtime;
  inputs.waiting = pass.waiting;
  inputs.host_ip = machine_.ip;
  inputs.now_s = host_.wall_now_ns() / kSecondNs;
  *pass.stored.object.mutable_status() = make_status(inputs);
  auto written = pods_.update_status(pass.stored);
  if (!written) return written.status();
  pass.stored = std::move(*written);
  return Status::ok();
}

Status PodController::sweep() {
  cri::ListPodSandboxRequest request;
  ORLOP_ASSIGN(const auto list, runtime_.invoke<cri::ListPodSandboxResponse>("RuntimeService/ListPodSandbox", request));
  std::map<std::string, ObjectKey> found;
  for (const auto& sandbox : list.items()) {
    const auto uid = sandbox.labels().find(kPodUidLabel);
    if (uid != sandbox.labels().end())
      found[uid->second] = {sandbox.metadata().namespace_(), sandbox.metadata().name()};
  }
  for (const auto& [uid, key] : found) {
    auto stored = pods_.get(key.name_space, key.name);
    if (!stored && stored.code() != Code::kNotFound) return stored.status();
    if (stored && stored->object.metadata().uid() == uid) continue;
    std::unique_lock lock(mutex_);
    if (queue_ == nullptr) {
      // Nothing has been observed yet, so there is no queue that it could be left to.
      lock.unlock();
      ORLOP_TRY(clean_up(key, uid).status());
      continue;
    }
    auto& slot = memory_[key];
    if (slot == nullptr) {
      slot = std::make_shared<Memory>();
      slot->uid = uid;
    }
    queue_->add(key);
  }
  return Status::ok();
}

}  // namespace orlop::agent
