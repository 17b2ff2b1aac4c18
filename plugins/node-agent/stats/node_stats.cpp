#include "plugins/node-agent/stats/node_stats.hpp"

#include "plugins/node-agent/stats/machine_usage.hpp"

#include <chrono>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kInterestNs = 60'000'000'000;  // for so long after a question the next one is expected
constexpr int64_t kDiskNs = 30'000'000'000;
constexpr auto kPause = std::chrono::seconds(10);

}  // namespace

NodeStats::NodeStats(Host host, const AgentConfig& config, const RuntimeClient& runtime,
                     std::unique_ptr<UsageSource> source)
    : host_(host), config_(config), runtime_(runtime), source_(std::move(source)) {}

void NodeStats::start() {
  running_ = true;
  thread_ = std::thread([this] { loop(); });
}

void NodeStats::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    woken_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void NodeStats::loop() {
  std::unique_lock lock(mutex_);
  while (running_) {
    if (asked_at_ns_ == 0 || host_.monotonic_now_ns() - asked_at_ns_ > kInterestNs) {
      asked_at_ns_ = 0;
      woken_.wait(lock, [this] { return !running_ || asked_at_ns_ != 0; });
    }
    woken_.wait_for(lock, kPause, [this] { return !running_; });
    if (!running_) return;
    lock.unlock();
    {
      const std::lock_guard taking(taking_);
      // Whoever asks next is told if it fails again.
      if (!history_.is_fresh(host_.monotonic_now_ns())) static_cast<void>(take());
      if (host_.monotonic_now_ns() - disk_at_ns_ >= kDiskNs) take_disk();
    }
    lock.lock();
  }
}

Status NodeStats::take() {
  ORLOP_ASSIGN(Reading reading, source_->take());
  history_.add(std::move(reading));
  return Status::ok();
}

void NodeStats::take_disk() {
  disk_at_ns_ = host_.monotonic_now_ns();
  disk_known_ = true;
  if (!config_.hollow) disk_ = read_disk_usage(config_, runtime_);
}

void NodeStats::fill_disk(v1::StatsResponse& response) const {
  for (v1::PodStats& pod : *response.mutable_pods()) {
    const auto found = disk_.find(pod.pod().uid());
    if (found == disk_.end()) continue;
    pod.set_ephemeral_storage_used_bytes(found->second.total().bytes);
    for (v1::ContainerStats& container : *pod.mutable_containers()) {
      const auto used = found->second.containers.find(container.name());
      if (used == found->second.containers.end()) continue;
      container.set_root_fs_used_bytes(used->second.layer.bytes);
      container.set_logs_used_bytes(used->second.logs.bytes);
    }
  }
}

Result<v1::StatsResponse> NodeStats::read(const v1::StatsRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    asked_at_ns_ = host_.monotonic_now_ns();
    woken_.notify_all();
  }
  v1::StatsResponse response;
  {
    const std::lock_guard taking(taking_);
    if (!history_.is_fresh(host_.monotonic_now_ns())) ORLOP_TRY(take());
    if (!disk_known_) take_disk();
    response = make_stats(history_, request);
    fill_disk(response);
  }
  response.set_node(config_.node_names.front());
  response.set_memory_available_bytes(machine_memory_available());
  const DiskSpace disk = disk_space(config_.pods_folder);
  response.set_fs_available_bytes(disk.available_bytes);
  response.set_fs_capacity_bytes(disk.capacity_bytes);
  response.set_fs_inodes_free(disk.inodes_free);
  return response;
}

}  // namespace orlop::agent
