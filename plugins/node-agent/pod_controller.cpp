#include "plugins/node-agent/pod_controller.hpp"

#include "plugins/node-agent/cgroups/node_resources.hpp"
#include "plugins/node-agent/files.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kMirrorAgainNs = 30 * kSecondNs;  // its namespace may come

constexpr char kDeadlineMessage[] = "Pod was active on the node longer than the specified deadline";

}  // namespace

PodController::PodController(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine,
                             NetworkChecks* network)
    : context_(host, config, runtime, machine),
      node_names_(config.node_names.begin(), config.node_names.end()),
      volumes_(host, config, machine, mounter_),
      images_(host, runtime, context_.events, config.image_pulls_max,
              [this](const std::set<ObjectKey>& keys) { context_.registry.wake(keys); }),
      admission_(context_),
      checks_(runtime, config.hollow ? nullptr : network),
      prober_(host, checks_, context_.events,
              {[this](const ObjectKey& key) { context_.registry.wake(key); },
               [network](int64_t at_ns) {
                 if (network != nullptr) network->wake_at(at_ns);
               }}),
      hooks_(context_, checks_),
      backoff_(context_),
      termination_(context_, hooks_),
      sandboxes_(context_, volumes_),
      container_start_(context_, images_, volumes_, backoff_, hooks_),
      containers_(context_, container_start_, backoff_, termination_, hooks_, prober_),
      mirrors_(host) {}

bool PodController::is_ours(const kube::Pod& pod) const {
  return node_names_.contains(pod.spec().nodename());
}

void PodController::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.record.kind == "persistentvolumeclaims") {
    const ObjectKey claim{std::string(change.record.name_space), std::string(change.record.name)};
    for (const ObjectKey& pod : volumes_.claim_changed(claim)) queue.add(pod);
    return;
  }
  if (change.record.kind != "pods") {
    context_.registry.wake_waiting(std::string(change.record.name_space),
                                   std::string(change.record.kind) + "/" + std::string(change.record.name));
    const ObjectReference object{change.record.kind == "secrets", std::string(change.record.name_space),
                                 std::string(change.record.name)};
    for (const ObjectKey& pod : volumes_.object_changed(object)) queue.add(pod);
    return;
  }
  kube::Pod pod;
  if (!pod.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size())) || !is_ours(pod))
    return;
  queue.add({pod.metadata().namespace_(), pod.metadata().name()});
}

Status PodController::prepare_node() {
  const ResourcesConfig& resources = context_.config.resources;
  NodeResources capacity;
  capacity.amounts = context_.machine.capacity();
  const NodeResources usable = allocatable_of(capacity, resources.system_reserved, resources.own_reserved, {});
  CgroupLimits all;
  all.cpu_shares = cpu_shares(usable.amounts.cpu_milli);
  all.memory_bytes = usable.amounts.memory;
  ORLOP_TRY(context_.cgroups.prepare_node(all));
  std::set<std::string> uids;
  for (const std::string& node : node_names_) {
    ORLOP_TRY(context_.pods.each("", "node/" + node, [&](const RecordView&, kube::Pod& pod) {
      uids.insert(pod.metadata().uid());
      return true;
    }));
  }
  for (const std::string& uid : context_.cgroups.sweep(uids))
    context_.host.log_info("removed the cgroup that pod " + uid + " had left");
  return Status::ok();
}

void PodController::runtime_changed(const std::string& container_id) {
  if (container_id.empty()) {
    context_.registry.wake_all();
  } else {
    // One that is not known is of a pod whose own pass is making it and reads it again.
    context_.registry.wake_owner(container_id);
  }
}

Status PodController::evict(const ObjectKey& key, const std::string& uid, const std::string& reason,
                            const std::string& message, std::optional<int64_t> grace_s) {
  const std::shared_ptr<PodMemory> memory = context_.registry.find(key);
  if (memory == nullptr || memory->uid != uid) {
    return {Code::kNotFound, "pod " + key.text() + " (" + uid + ") is not on this node"};
  }
  context_.registry.with([&] {
    if (!memory->ending) memory->ending = PodEnding{reason, message, grace_s, true};
  });
  context_.registry.wake(key);
  return Status::ok();
}

Result<Outcome> PodController::reconcile(const ObjectKey& key) {
  if (static_pods_ != nullptr) {
    if (const auto leaving = static_pods_->leaving(key)) return end_static(key, *leaving);
    if (const auto pod = static_pods_->find(key)) return reconcile_static(key, *pod);
  }
  auto stored = context_.pods.get(key.name_space, key.name);
  if (!stored && stored.code() != Code::kNotFound) return stored.status();
  if (!stored || !is_ours(stored->object)) {
    const std::shared_ptr<PodMemory> memory = context_.registry.find(key);
    return memory == nullptr ? Result<Outcome>(Outcome{}) : clean_up(key, memory->uid);
  }
  if (static_pods_ != nullptr && is_mirror(stored->object)) {
    // Nothing stands behind it any more.
    ORLOP_TRY(mirrors_.remove(stored->object));
    const std::shared_ptr<PodMemory> memory = context_.registry.find(key);
    return memory == nullptr ? Result<Outcome>(Outcome{}) : clean_up(key, memory->uid);
  }
  std::string other_uid;
  Pass pass{key, std::move(*stored), {}, nullptr, {}, {}, 0};
  pass.memory = context_.registry.remember(key, pass.pod().metadata().uid(), other_uid);
  if (!other_uid.empty()) {
    // Another pod of this name was here before: first it goes.
    ORLOP_ASSIGN(const Outcome outcome, clean_up(key, other_uid));
    return outcome.again_after_ns != 0 ? outcome : Outcome{1};
  }
  ORLOP_TRY(pass.look_again(context_));
  return kube::is_terminating(pass.pod()) ? terminate(pass) : live(pass);
}

Result<Outcome> PodController::live(Pass& pass) {
  if (kube::is_terminal(pass.pod())) {
    prober_.forget(pass.key);
    if (termination_.stop_all(pass, 0, false)) ORLOP_TRY(sandboxes_.stop(pass.runtime));
    return again(pass);
  }
  auto ending = context_.registry.with([&] { return pass.memory->ending; });
  if (!ending && is_past_deadline(pass)) {
    ending = PodEnding{"DeadlineExceeded", kDeadlineMessage, std::nullopt, false};
    context_.registry.with([&] { pass.memory->ending = ending; });
    context_.events.about(pass.pod(), EventType::kNormal, ending->reason, ending->message);
  }
  return ending ? end(pass, *ending) : run(pass);
}

Outcome PodController::again(const Pass& pass) const {
  if (pass.again_at_ns == 0) return Outcome{};
  return Outcome{std::max<int64_t>(1, pass.again_at_ns - context_.host.monotonic_now_ns())};
}

bool PodController::is_past_deadline(Pass& pass) {
  const kube::Pod& pod = pass.pod();
  if (!pod.spec().has_activedeadlineseconds() || !pod.status().has_starttime()) return false;
  const int64_t until_s = pod.status().starttime().seconds() + pod.spec().activedeadlineseconds();
  const int64_t left_ns = until_s * kSecondNs - context_.host.wall_now_ns();
  if (left_ns > 0) pass.again_at(context_.host.monotonic_now_ns() + left_ns);
  return left_ns <= 0;
}

Result<Outcome> PodController::reconcile_static(const ObjectKey& key, const kube::Pod& pod) {
  std::string why_no_mirror;
  ORLOP_ASSIGN(auto mirror, mirrors_.ensure(pod, why_no_mirror));
  std::string other_uid;
  Pass pass{key, {pod, 0}, {}, nullptr, {}, {}, 0};
  pass.is_static = true;
  pass.mirror = std::move(mirror);
  if (pass.mirror && pass.mirror->object.has_status()) {
    *pass.stored.object.mutable_status() = pass.mirror->object.status();
    if (pass.pod().status().phase().empty()) *pass.stored.object.mutable_status() = pod.status();
  }
  pass.memory = context_.registry.remember(key, pod.metadata().uid(), other_uid);
  if (!other_uid.empty()) {
    ORLOP_ASSIGN(const Outcome outcome, clean_up(key, other_uid));
    return outcome.again_after_ns != 0 ? outcome : Outcome{1};
  }
  if (!pass.mirror && pass.memory->told.insert("mirror " + why_no_mirror).second) {
    context_.host.log_warn("static pod " + key.text() + " has no mirror in the API: " + why_no_mirror);
  }
  ORLOP_TRY(pass.look_again(context_));
  ORLOP_ASSIGN(const Outcome outcome, live(pass));
  if (pass.mirror || outcome.again_after_ns != 0) return outcome;
  return Outcome{kMirrorAgainNs};
}

Result<Outcome> PodController::end_static(const ObjectKey& key, const kube::Pod& pod) {
  const std::string& uid = pod.metadata().uid();
  std::string other_uid;
  Pass pass{key, {pod, 0}, {}, nullptr, {}, {}, 0};
  pass.memory = context_.registry.remember(key, uid, other_uid);
  if (other_uid.empty()) {
    ORLOP_TRY(pass.look_again(context_));
    if (!termination_.stop_all(pass, pod.spec().terminationgraceperiodseconds(), true)) return again(pass);
    ORLOP_TRY(clean_up(key, uid).status());
  }
  static_pods_->has_left(uid);
  return Outcome{1};  // its successor, or its mirror
}

Result<Outcome> PodController::run(Pass& pass) {
  ORLOP_ASSIGN(const Refused refused, admission_.admit(pass));
  if (!refused.reason.empty()) return refuse(pass, refused);
  // What a container could not start for may be there now.
  if (volumes_.take_retry(pass.pod().metadata().uid())) pass.memory->refused.clear();
  Status worked;
  if (is_finished(pass.pod(), pass.runtime)) {
    // Sidecars end with the work that they were beside.
    termination_.stop_all(pass, pass.pod().spec().terminationgraceperiodseconds(), true);
  } else {
    worked = sandboxes_.ensure(pass);
    if (worked && pass.runtime.sandbox_ready()) worked = containers_.advance(pass);
    if (worked) worked = sandboxes_.collect_old(pass.runtime);
  }
  const bool has_deadline = pass.pod().spec().has_activedeadlineseconds() && !pass.pod().status().has_starttime();
  const Status written = write_status(pass, Stage::kRunning);
  if (!worked) return worked;
  if (!written) return written;
  if (has_deadline) is_past_deadline(pass);
  return again(pass);
}

Result<Outcome> PodController::refuse(Pass& pass, const Refused& refused) {
  context_.events.about(pass.pod(), EventType::kWarning, refused.reason, refused.message);
  PodStatus& status = *pass.stored.object.mutable_status();
  status.set_phase("Failed");
  status.set_reason(refused.reason);
  status.set_message("Pod was rejected: " + refused.message);
  status.set_qosclass(name_of(qos_of(pass.pod())));
  auto written = context_.pods.update_status(pass.stored);
  if (!written) return written.status();
  return Outcome{};
}

Result<Outcome> PodController::end(Pass& pass, const PodEnding& ending) {
  const int64_t grace_s = ending.grace_s.value_or(pass.pod().spec().terminationgraceperiodseconds());
  if (!termination_.stop_all(pass, grace_s, true)) {
    ORLOP_TRY(write_status(pass, Stage::kEnding));
    return again(pass);
  }
  ORLOP_TRY(sandboxes_.stop(pass.runtime));
  ORLOP_TRY(pass.look_again(context_));
  ORLOP_TRY(write_status(pass, Stage::kOver, &ending));
  return Outcome{};
}

Result<Outcome> PodController::terminate(Pass& pass) {
  // A copy: write_status() replaces the object.
  const std::string uid = pass.pod().metadata().uid();
  const int64_t grace_s = std::max<int64_t>(0, pass.pod().metadata().deletiongraceperiodseconds());
  if (!termination_.stop_all(pass, grace_s, true)) {
    const Status written = write_status(pass, Stage::kEnding);
    if (!written && written.code() != Code::kNotFound) return written;
    return again(pass);
  }
  ORLOP_TRY(sandboxes_.stop(pass.runtime));
  ORLOP_TRY(pass.look_again(context_));
  const Status written = write_status(pass, Stage::kOver);
  if (!written && written.code() != Code::kNotFound) return written;
  ORLOP_ASSIGN(const Outcome cleaned, clean_up(pass.key, uid));
  if (cleaned.again_after_ns != 0) return cleaned;
  v1::DeleteOptions now;
  now.set_grace_period_seconds(0);
  const Status removed = context_.pods.remove(pass.key.name_space, pass.key.name, now, uid);
  if (!removed && removed.code() != Code::kNotFound && removed.code() != Code::kConflict) return removed;
  return Outcome{};
}

Result<std::set<std::string>> PodController::uids() const {
  std::set<std::string> out;
  if (static_pods_ != nullptr) {
    ORLOP_ASSIGN(out, static_pods_->uids());
  }
  for (const std::string& node : node_names_) {
    ORLOP_TRY(context_.pods.each("", "node/" + node, [&](const RecordView&, const kube::Pod& pod) {
      out.insert(pod.metadata().uid());
      return true;
    }));
  }
  return out;
}

Status PodController::remove_leftovers(const std::string& uid) {
  ORLOP_TRY(volumes_.remove(uid));
  return context_.cgroups.remove_pod(uid);
}

Result<Outcome> PodController::clean_up(const ObjectKey& key, const std::string& uid) {
  ORLOP_TRY(sandboxes_.remove_all(uid));
  if (!context_.config.hollow) {
    ORLOP_TRY(volumes_.remove(uid));
    const Status removed = context_.cgroups.remove_pod(uid);
    if (!removed) context_.host.log_warn("pod " + key.text() + ": " + removed.message());
    ORLOP_TRY(remove_tree(context_.config.logs_folder + "/" + key.name_space + "_" + key.name + "_" + uid));
  }
  prober_.forget(key);
  context_.registry.forget(key);
  return Outcome{};
}

Status PodController::write_status(Pass& pass, Stage stage, const PodEnding* ending) {
  if (stage == Stage::kOver) {
    prober_.forget(pass.key);
  } else {
    containers_.look(pass, stage == Stage::kEnding);
  }
  StatusInputs inputs;
  inputs.pod = &pass.pod();
  inputs.runtime = &pass.runtime;
  inputs.waiting = pass.waiting;
  inputs.running = pass.running;
  inputs.host_ip = context_.machine.ip;
  inputs.now_s = context_.host.wall_now_ns() / kSecondNs;
  inputs.ending = ending;
  inputs.is_over = stage == Stage::kOver;
  *pass.stored.object.mutable_status() = make_status(inputs);
  if (pass.is_static && !pass.mirror) return Status::ok();
  if (pass.mirror) *pass.mirror->object.mutable_status() = pass.pod().status();
  auto written = context_.pods.update_status(pass.mirror ? *pass.mirror : pass.stored);
  if (!written) return written.status();
  (pass.mirror ? *pass.mirror : pass.stored) = std::move(*written);
  return Status::ok();
}

Status PodController::sweep() {
  cri::ListPodSandboxRequest request;
  ORLOP_ASSIGN(const auto list,
               context_.runtime.invoke<cri::ListPodSandboxResponse>("RuntimeService/ListPodSandbox", request));
  std::map<std::string, ObjectKey> found;
  for (const auto& sandbox : list.items()) {
    const auto uid = sandbox.labels().find(kPodUidLabel);
    if (uid != sandbox.labels().end())
      found[uid->second] = {sandbox.metadata().namespace_(), sandbox.metadata().name()};
  }
  std::set<std::string> of_files;
  if (static_pods_ != nullptr) {
    ORLOP_ASSIGN(of_files, static_pods_->uids());
  }
  for (const auto& [uid, key] : found) {
    if (of_files.contains(uid)) continue;
    auto stored = context_.pods.get(key.name_space, key.name);
    if (!stored && stored.code() != Code::kNotFound) return stored.status();
    if (stored && stored->object.metadata().uid() == uid) continue;
    std::string other_uid;
    context_.registry.remember(key, uid, other_uid);
    // Before anything has been observed there is no queue that it could be left to.
    if (!context_.registry.wake(key)) ORLOP_TRY(clean_up(key, uid).status());
  }
  std::set<std::string> wanted = of_files;
  for (const auto& [uid, key] : found) wanted.insert(uid);
  return context_.config.hollow ? Status::ok() : sweep_folders(std::move(wanted));
}

Status PodController::sweep_folders(std::set<std::string> wanted) {
  // Read first: a folder that is made later is of a pod that is here.
  const std::vector<std::string> folders = volumes_.known_pods();
  for (const std::string& node : node_names_) {
    ORLOP_TRY(context_.pods.each("", "node/" + node, [&](const RecordView&, const kube::Pod& pod) {
      wanted.insert(pod.metadata().uid());
      return true;
    }));
  }
  for (const std::string& uid : folders) {
    if (!wanted.contains(uid) && !volumes_.is_in_use(uid)) ORLOP_TRY(volumes_.remove(uid));
  }
  return Status::ok();
}

}  // namespace orlop::agent
