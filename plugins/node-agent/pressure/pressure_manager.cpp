#include "plugins/node-agent/pressure/pressure_manager.hpp"

#include "plugins/node-agent/cgroups/qos.hpp"

#include <algorithm>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSlowNs = 10 * kSecond;
constexpr int64_t kFastNs = 1 * kSecond;
constexpr int64_t kAlarmPauseMs = 100;         // an alarm that goes on and on is heard so often
constexpr int64_t kEvictingNs = 30 * kSecond;  // for so long one pod's end is waited for before the next one goes
constexpr int64_t kWalkShare = 50;             // of the time no more than one part in so many is spent on walks
constexpr int64_t kHardGraceS = 1;
constexpr char kReason[] = "Evicted";

bool is_disk(Signal signal) {
  return signal != Signal::kMemoryAvailable && signal != Signal::kPidAvailable;
}

}  // namespace

PressureManager::PressureManager(Host host, std::string node, const EvictionConfig& config, PressureActions actions,
                                 NodeConditions& conditions)
    : host_(host),
      node_(std::move(node)),
      config_(config),
      actions_(std::move(actions)),
      conditions_(conditions),
      events_(host, "kubelet", node_),
      state_(config) {}

void PressureManager::start(const CgroupTree& tree) {
  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this, &tree] { run(tree); });
}

void PressureManager::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
  thread_.join();
  ::close(wake_fd_);
  wake_fd_ = -1;
}

void PressureManager::run(const CgroupTree& tree) {
  MemoryAlarm alarm(tree, tier_cgroup(Qos::kGuaranteed));
  for (;;) {
    const int64_t pause_ns = look();
    if (memory_left_) alarm.arm(*memory_left_);
    pollfd polled[] = {{wake_fd_, POLLIN, 0}, {alarm.descriptor(), POLLIN | POLLPRI, 0}};
    ::poll(polled, 2, static_cast<int>(pause_ns / 1'000'000));
    if (polled[0].revents != 0) return;
    if (polled[1].revents == 0) continue;
    alarm.clear();
    if (::poll(polled, 1, kAlarmPauseMs) > 0) return;
  }
}

std::vector<kube::Pod> PressureManager::active_pods() const {
  std::vector<kube::Pod> out;
  const auto listed = Objects<kube::Pod>(host_).each("", "node/" + node_, [&](const RecordView&, kube::Pod& pod) {
    if (!kube::is_terminal(pod) && pod.status().has_starttime()) out.push_back(std::move(pod));
    return true;
  });
  if (!listed) host_.log_warn("pressure: cannot list the node's pods: " + listed.message());
  return out;
}

int64_t PressureManager::look() {
  const int64_t now = host_.monotonic_now_ns();
  const Observations observations = actions_.observe();
  const PressureDecision decision = state_.look(observations, now);
  conditions_.set(decision.conditions);
  memory_left_.reset();
  const auto memory = observations.find(Signal::kMemoryAvailable);
  for (const Threshold& threshold : config_.thresholds) {
    if (threshold.signal != Signal::kMemoryAvailable || memory == observations.end()) continue;
    const int64_t left = memory->second.available - threshold.value.of(memory->second.capacity);
    if (left > 0) memory_left_ = std::min(memory_left_.value_or(UINT64_MAX), static_cast<uint64_t>(left));
  }
  const bool disk_due = now >= disk_due_ns_;
  if (!disk_due && decision.act.empty()) return decision.near ? kFastNs : kSlowNs;
  const std::vector<kube::Pod> pods = active_pods();
  std::erase_if(evicting_, [&](const auto& entry) {
    const bool here = std::any_of(pods.begin(), pods.end(),
                                  [&](const kube::Pod& pod) { return pod.metadata().uid() == entry.first; });
    return !here || now - entry.second > kEvictingNs;
  });
  const bool ended_one = disk_due && end_those_above_their_limits(pods);
  if (!ended_one && !decision.act.empty() && evicting_.empty()) relieve(decision.act.front(), observations, pods);
  return decision.near ? kFastNs : kSlowNs;
}

bool PressureManager::end_those_above_their_limits(const std::vector<kube::Pod>& pods) {
  const int64_t began = host_.monotonic_now_ns();
  // Not 10 s exactly: a look that comes a moment early shall not put it off to the one after.
  disk_due_ns_ = began + kSlowNs - kFastNs;
  std::set<std::string> uids;
  for (const kube::Pod& pod : pods) {
    if (has_local_storage_limit(pod) && !evicting_.contains(pod.metadata().uid())) uids.insert(pod.metadata().uid());
  }
  if (uids.empty()) return false;
  const std::map<std::string, PodDisk> disks = actions_.measure_disk(uids);
  const int64_t took = host_.monotonic_now_ns() - began;
  disk_due_ns_ = std::max(disk_due_ns_, began + took * kWalkShare);
  bool any = false;
  for (const kube::Pod& pod : pods) {
    const auto disk = disks.find(pod.metadata().uid());
    if (disk == disks.end() || !uids.contains(pod.metadata().uid())) continue;
    const auto why = local_storage_excess(pod, disk->second);
    if (why) any = evict(pod, *why, kHardGraceS) || any;
  }
  return any;
}

void PressureManager::relieve(const Threshold& threshold, Observations observations,
                              const std::vector<kube::Pod>& pods) {
  tell_node("EvictionThresholdMet", std::string("Attempting to reclaim ") + resource_of(threshold.signal));
  if (is_disk(threshold.signal) && reclaim(threshold, observations)) return;
  std::map<std::string, PodMeasure> uses = actions_.measure();
  std::vector<Candidate> candidates;
  for (const kube::Pod& pod : pods) candidates.push_back({pod, std::move(uses[pod.metadata().uid()])});
  rank(candidates, threshold.signal);
  const std::optional<int64_t> grace_s = threshold.is_hard() ? kHardGraceS : config_.pod_grace_s;
  for (const Candidate& candidate : candidates) {
    if (evict(candidate.pod, eviction_message(candidate, threshold, observations), grace_s)) return;
  }
  host_.log_warn(std::string("pressure: short of ") + resource_of(threshold.signal) + " and no pod can be evicted");
}

bool PressureManager::reclaim(const Threshold& threshold, Observations& observations) {
  const auto observed = observations.find(threshold.signal);
  if (observed == observations.end() || !actions_.reclaim_disk) return false;
  const int64_t wanted =
      threshold.value.of(observed->second.capacity) + threshold.reclaim.of(observed->second.capacity);
  const bool bytes = std::string(resource_of(threshold.signal)) != "inodes";
  actions_.reclaim_disk(bytes ? wanted - observed->second.available : INT64_MAX);
  observations = actions_.observe();
  return std::none_of(config_.thresholds.begin(), config_.thresholds.end(),
                      [&](const Threshold& any) { return is_met(any, observations, true); });
}

bool PressureManager::evict(const kube::Pod& pod, const std::string& message, std::optional<int64_t> grace_s) {
  if (is_critical(pod)) return false;
  const auto& metadata = pod.metadata();
  const Status done =
      actions_.evict({metadata.namespace_(), metadata.name()}, metadata.uid(), kReason, message, grace_s);
  if (!done) {
    host_.log_warn("pressure: pod " + metadata.namespace_() + "/" + metadata.name() + ": " + done.message());
    return false;
  }
  events_.about(pod, EventType::kWarning, kReason, message);
  evicting_[metadata.uid()] = host_.monotonic_now_ns();
  return true;
}

void PressureManager::tell_node(const std::string& reason, const std::string& message) {
  EventRecorder::ObjectReference node;
  node.set_kind("Node");
  node.set_apiversion("v1");
  node.set_name(node_);
  node.set_uid(node_);
  events_.record(std::move(node), EventType::kWarning, reason, message);
}

}  // namespace orlop::agent
