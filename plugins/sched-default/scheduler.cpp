#include "plugins/sched-default/scheduler.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/storage.hpp"

#include <algorithm>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

namespace orlop::sched {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kRetryFirstNs = kSecondNs;
constexpr int64_t kRetryMaxNs = 60 * kSecondNs;
constexpr int64_t kVolumeRetryNs = 10 * kSecondNs;
constexpr size_t kPodsPerRound = 512;
constexpr size_t kCommitsInFlight = 16;

void set_scheduled(kube::Pod& pod, bool scheduled, const std::string& message, int64_t now_s) {
  kube::PodCondition* found = nullptr;
  for (auto& condition : *pod.mutable_status()->mutable_conditions()) {
    if (condition.type() == "PodScheduled") found = &condition;
  }
  if (found == nullptr) {
    found = pod.mutable_status()->add_conditions();
    found->set_type("PodScheduled");
  }
  const std::string truth = scheduled ? "True" : "False";
  if (found->status() != truth) found->mutable_lasttransitiontime()->set_seconds(now_s);
  found->set_status(truth);
  found->set_reason(scheduled ? "" : "Unschedulable");
  found->set_message(message);
}

bool same_taints(const std::vector<core::Taint>& a, const std::vector<core::Taint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const core::Taint& left, const core::Taint& right) {
    return left.key() == right.key() && left.value() == right.value() && left.effect() == right.effect();
  });
}

// Whether a change of the pod can change where it fits.
bool wants_the_same(const PodInfo& a, const PodInfo& b) {
  return a.labels == b.labels && a.priority == b.priority &&
         google::protobuf::util::MessageDifferencer::Equals(a.pod->spec(), b.pod->spec());
}

bool was_told(const kube::Pod& pod, const std::string& reason) {
  const auto* condition = kube::find_condition(pod, "PodScheduled");
  return condition != nullptr && condition->status() == "False" && condition->message() == reason;
}

}  // namespace

Scheduler::Scheduler(Host host, SchedulerSettings settings)
    : host_(host),
      settings_(std::move(settings)),
      events_(host, settings_.scheduler_name),
      engine_(settings_.nodes_to_score_min),
      watch_(
          host,
          WatchOptions{
              {"nodes", "pods", "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"}},
          [this](const ChangeView& change) { observe(change); },
          [this] {
            state_.clear();
            waiting_.clear();
            queue_.clear();
            for (const auto& [uid, binding] : assumed_) {
              PodInfo info = read_pod(*binding.pod, false);
              info.node = binding.node;
              state_.put_pod(std::move(info));
            }
          }) {}

Status Scheduler::start() {
  ORLOP_TRY(host_.subscribe(watch_.kinds()));
  running_ = true;
  thread_ = std::thread([this] { loop(); });
  return Status::ok();
}

void Scheduler::stop() {
  std::unique_lock lock(mutex_);
  running_ = false;
  changed_.notify_all();
  lock.unlock();
  if (thread_.joinable()) thread_.join();
  lock.lock();
  changed_.wait(lock, [this] { return in_flight_ == 0; });  // their completions refer to this
}

void Scheduler::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Scheduler::loop() {
  std::unique_lock lock(mutex_);
  while (running_) {
    woken_ = false;
    lock.unlock();
    run_once();
    const bool more = !queue_.empty();
    if (const auto at = next_retry()) host_.wake_at(*at);
    lock.lock();
    if (more && in_flight_ < kCommitsInFlight) continue;
    changed_.wait(lock, [this] { return woken_ || !running_; });
  }
}

size_t Scheduler::run_once() {
  auto drained = watch_.drain();
  if (!drained) host_.log_warn("cannot follow the store: " + drained.message());
  take_results();
  const bool volumes_changed = std::exchange(volumes_changed_, false);
  if (std::exchange(room_changed_, false)) {
    unpark(false);
  } else if (volumes_changed) {
    unpark(true);
  }
  const int64_t now = host_.monotonic_now_ns();
  for (auto& [uid, waiting] : waiting_) {
    if (waiting.parked && waiting.retry_at_ns <= now) {
      waiting.parked = false;
      enqueue(waiting);
    }
  }
  return schedule_some();
}

void Scheduler::observe(const ChangeView& change) {
  if (change.record.kind == "pods") {
    observe_pod(change);
    return;
  }
  if (change.record.kind != "nodes") {
    volumes_changed_ = true;
    return;
  }
  const std::string name(change.record.name);
  if (change.type == ChangeType::kDeleted) {
    state_.remove_node(name);
    return;
  }
  core::Node node;
  if (!node.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) return;
  const NodeInfo* before = state_.node(name);
  NodeInfo after = read_node(node);
  // A heartbeat changes nothing that a waiting pod could hope for.
  const bool helps = before == nullptr || before->labels != after.labels ||
                     before->unschedulable != after.unschedulable || !same_taints(before->taints, after.taints) ||
                     before->pods_max != after.pods_max || before->allocatable != after.allocatable;
  state_.put_node(std::move(after));
  room_changed_ = room_changed_ || helps;
}

void Scheduler::observe_pod(const ChangeView& change) {
  kube::Pod pod;
  if (!pod.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) return;
  const std::string uid = pod.metadata().uid();
  const bool gone = change.type == ChangeType::kDeleted;
  if (gone || !pod.spec().nodename().empty()) {
    drop(uid);
    assumed_.erase(uid);
    PodInfo info = read_pod(std::move(pod), false);
    const bool frees = gone || info.ended;
    if (frees) {
      state_.remove_pod(uid);
      room_changed_ = true;
    } else {
      state_.put_pod(std::move(info));
    }
    return;
  }
  if (pod.spec().schedulername() != settings_.scheduler_name || kube::is_terminating(pod) || kube::is_terminal(pod) ||
      pod.spec().schedulinggates_size() > 0) {
    drop(uid);
    return;
  }
  if (assumed_.contains(uid)) return;  // bound by us: its binding is on the way
  auto [entry, is_new] = waiting_.try_emplace(uid);
  Waiting& waiting = entry->second;
  PodInfo info = read_pod(std::move(pod), true);
  // Our own note of the reason is no news.
  if (!is_new && waiting.parked && !wants_the_same(waiting.info, info)) waiting.parked = false;
  waiting.revision = change.record.revision;
  waiting.info = std::move(info);
  if (!waiting.parked) enqueue(waiting);
}

void Scheduler::enqueue(const Waiting& waiting) {
  queue_.emplace(-waiting.info.priority, waiting.info.pod->metadata().creationtimestamp().seconds(), waiting.info.uid);
}

void Scheduler::drop(const std::string& uid) {
  waiting_.erase(uid);
}

void Scheduler::unpark(bool only_with_claims) {
  const int64_t now = host_.monotonic_now_ns();
  for (auto& [uid, waiting] : waiting_) {
    if (!waiting.parked || (only_with_claims && waiting.info.claims.empty())) continue;
    if (waiting.not_before_ns > now) {
      waiting.retry_at_ns = std::min(waiting.retry_at_ns, waiting.not_before_ns);
      continue;
    }
    waiting.parked = false;
    enqueue(waiting);
  }
}

std::optional<int64_t> Scheduler::next_retry() const {
  std::optional<int64_t> next;
  for (const auto& [uid, waiting] : waiting_) {
    if (waiting.parked) next = next ? std::min(*next, waiting.retry_at_ns) : waiting.retry_at_ns;
  }
  return next;
}

size_t Scheduler::schedule_some() {
  std::vector<Binding> bindings;
  size_t handled = 0;
  for (; handled < kPodsPerRound && !queue_.empty(); ++handled) {
    {
      const std::lock_guard lock(mutex_);
      if (in_flight_ >= kCommitsInFlight) break;
    }
    const std::string uid = std::get<2>(*queue_.begin());
    queue_.erase(queue_.begin());
    const auto found = waiting_.find(uid);
    if (found == waiting_.end() || found->second.parked) continue;
    if (schedule_one(found->second, bindings)) waiting_.erase(found);
    if (bindings.size() >= settings_.binds_per_commit) commit(std::exchange(bindings, {}));
  }
  if (!bindings.empty()) commit(std::move(bindings));
  return handled;
}

bool Scheduler::schedule_one(Waiting& waiting, std::vector<Binding>& bindings) {
  VolumeWishes wishes;
  if (!waiting.info.claims.empty() && !look_at_volumes(waiting, wishes)) return false;
  Decision decision = engine_.decide(waiting.info, state_, &wishes);
  if (decision.node.empty()) {
    refuse(waiting, decision);
    return false;
  }
  if (!wishes.unplaced.empty()) {
    note_node(waiting, wishes, decision.node);
    return false;
  }
  Binding binding{waiting.info.uid, decision.node, waiting.revision, waiting.info.pod};
  assumed_[binding.uid] = binding;
  PodInfo placed = waiting.info;
  placed.node = decision.node;
  state_.put_pod(std::move(placed));
  bindings.push_back(std::move(binding));
  return true;
}

bool Scheduler::look_at_volumes(Waiting& waiting, VolumeWishes& wishes) {
  auto read = read_volume_wishes(host_, waiting.info, state_);
  if (!read) {
    host_.log_warn("the volumes of " + waiting.info.name_space + "/" + waiting.info.name +
                   " cannot be read: " + read.message());
    park(waiting, kRetryFirstNs);
    return false;
  }
  wishes = std::move(*read);
  if (wishes.refusal.empty() && wishes.each_node.empty()) {
    if (!wishes.waits) return true;
    park(waiting, kVolumeRetryNs);
    return false;
  }
  Decision decision;
  decision.nodes = static_cast<int>(state_.nodes().size());
  decision.refusal = wishes.refusal;
  if (!wishes.each_node.empty()) decision.reasons[wishes.each_node] = decision.nodes;
  refuse(waiting, decision);
  waiting.not_before_ns = 0;  // at once when the claim is bound
  return false;
}

void Scheduler::note_node(Waiting& waiting, const VolumeWishes& wishes, const std::string& node) {
  v1::CommitRequest request;
  for (const UnplacedClaim& unplaced : wishes.unplaced) {
    storage::Claim claim = unplaced.claim.object;
    storage::annotate(claim, storage::kSelectedNode, node);
    auto write = make_write<storage::Claim>(v1::UPDATE, claim.metadata().namespace_(), claim.metadata().name());
    write.set_if_revision(unplaced.claim.revision);
    write.set_value(serialize(claim));
    *request.add_writes() = std::move(write);
  }
  const std::string who = waiting.info.name_space + "/" + waiting.info.name;
  host_.commit(request, [host = host_, who](const Result<v1::CommitResult>& result) {
    // One that has changed meanwhile comes as a change of its own.
    if (result || result.code() == Code::kConflict) return;
    host.log_warn("the node of " + who + " cannot be noted on its claims: " + result.message());
  });
  park(waiting, kVolumeRetryNs);
}

void Scheduler::park(Waiting& waiting, int64_t retry_after_ns) {
  waiting.parked = true;
  waiting.not_before_ns = 0;
  waiting.retry_at_ns = host_.monotonic_now_ns() + retry_after_ns;
}

void Scheduler::commit(std::vector<Binding> bindings) {
  v1::CommitRequest request;
  const int64_t now_s = host_.wall_now_ns() / kSecondNs;
  for (const Binding& binding : bindings) {
    kube::Pod pod = *binding.pod;
    pod.mutable_spec()->set_nodename(binding.node);
    set_scheduled(pod, true, "", now_s);
    auto write = make_write<kube::Pod>(v1::UPDATE, pod.metadata().namespace_(), pod.metadata().name());
    write.set_subresource("binding");
    write.set_if_revision(binding.revision);
    pod.SerializeToString(write.mutable_value());
    *request.add_writes() = std::move(write);
  }
  {
    const std::lock_guard lock(mutex_);
    ++in_flight_;
  }
  auto shared = std::make_shared<std::vector<Binding>>(std::move(bindings));
  host_.commit(request, [this, shared](const Result<v1::CommitResult>& result) {
    const std::lock_guard lock(mutex_);
    results_.emplace_back(std::move(*shared), result.status());
    --in_flight_;
    woken_ = true;
    changed_.notify_all();
  });
}

void Scheduler::take_results() {
  std::vector<std::pair<std::vector<Binding>, Status>> results;
  {
    const std::lock_guard lock(mutex_);
    results.swap(results_);
  }
  for (auto& [bindings, status] : results) {
    if (!status && bindings.size() > 1) {
      // One of them stands in the way of all: each by itself.
      for (Binding& binding : bindings) commit({std::move(binding)});
      continue;
    }
    finished(bindings, status);
  }
}

void Scheduler::finished(const std::vector<Binding>& bindings, const Status& status) {
  for (const Binding& binding : bindings) {
    if (status) {
      const auto& metadata = binding.pod->metadata();
      events_.about(*binding.pod, EventType::kNormal, "Scheduled",
                    "Successfully assigned " + metadata.namespace_() + "/" + metadata.name() + " to " + binding.node);
      continue;
    }
    // Changed or gone since it was read: what the log says of it comes, or has come, as a change of its own.
    if (assumed_.erase(binding.uid) == 0) continue;
    state_.remove_pod(binding.uid);
    auto stored = Objects<kube::Pod>(host_).get(binding.pod->metadata().namespace_(), binding.pod->metadata().name());
    if (!stored || stored->object.metadata().uid() != binding.uid || !stored->object.spec().nodename().empty())
      continue;
    if (status.code() != Code::kConflict) {
      host_.log_warn("cannot bind " + binding.pod->metadata().namespace_() + "/" + binding.pod->metadata().name() +
                     " to " + binding.node + ": " + status.message());
    }
    Waiting& waiting = waiting_[binding.uid];
    waiting.info = read_pod(std::move(stored->object), true);
    waiting.revision = stored->revision;
    waiting.parked = status.code() != Code::kConflict;
    waiting.retry_at_ns = host_.monotonic_now_ns() + kRetryFirstNs;
    if (!waiting.parked) enqueue(waiting);
  }
}

void Scheduler::refuse(Waiting& waiting, const Decision& decision) {
  const int64_t now = host_.monotonic_now_ns();
  waiting.parked = true;
  waiting.not_before_ns = now + kRetryFirstNs;
  waiting.retry_at_ns = now + std::min(kRetryFirstNs << std::min(waiting.attempts + 3, 6), kRetryMaxNs);
  ++waiting.attempts;
  const std::string reason = decision.explain();
  events_.about(*waiting.info.pod, EventType::kWarning, "FailedScheduling", reason);
  if (was_told(*waiting.info.pod, reason)) return;
  Stored<kube::Pod> stored{*waiting.info.pod, waiting.revision};
  set_scheduled(stored.object, false, reason, host_.wall_now_ns() / kSecondNs);
  v1::CommitRequest request;
  auto write = make_write<kube::Pod>(v1::UPDATE, waiting.info.name_space, waiting.info.name);
  write.set_subresource("status");
  write.set_if_revision(waiting.revision);
  stored.object.SerializeToString(write.mutable_value());
  *request.add_writes() = std::move(write);
  host_.commit(request, [](const Result<v1::CommitResult>&) {});
}

}  // namespace orlop::sched
