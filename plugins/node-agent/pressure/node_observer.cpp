#include "plugins/node-agent/pressure/node_observer.hpp"

#include "plugins/node-agent/stats/machine_usage.hpp"

#include <algorithm>
#include <sstream>
#include <tuple>
#include <vector>

namespace orlop::agent {
namespace {

// A runtime that is away must not hold up the agent's end.
constexpr uint32_t kDeadlineMs = 1000;

void add_disk(const std::string& folder, Signal bytes, Signal inodes, Observations& out) {
  const DiskSpace disk = disk_space(folder);
  if (disk.capacity_bytes != 0)
    out[bytes] = {static_cast<int64_t>(disk.available_bytes), static_cast<int64_t>(disk.capacity_bytes)};
  // Some file systems have as many inodes as they have room for, and say 0.
  if (disk.inodes != 0) out[inodes] = {static_cast<int64_t>(disk.inodes_free), static_cast<int64_t>(disk.inodes)};
}

// "0.1 0.2 0.3 2/345 6789": there are 345 now.
int64_t processes_now() {
  const std::string load = read_small_file("/proc/loadavg");
  const size_t slash = load.find('/');
  return slash == std::string::npos ? 0 : std::atoll(load.c_str() + slash + 1);
}

}  // namespace

Observations NodeObserver::observe() {
  Observations out;
  const std::string meminfo = read_small_file("/proc/meminfo");
  const CgroupUsage memory = memory_of_machine(meminfo);
  const auto available = static_cast<int64_t>(memory_available(meminfo));
  out[Signal::kMemoryAvailable] = {available, available + static_cast<int64_t>(memory.memory_working_set_bytes)};
  add_disk(config_.pods_folder, Signal::kNodeFsAvailable, Signal::kNodeFsInodesFree, out);
  if (image_folder_.empty()) {
    const auto info =
        runtime_.invoke<cri::ImageFsInfoResponse>("ImageService/ImageFsInfo", cri::ImageFsInfoRequest(), kDeadlineMs);
    if (info && info->image_filesystems_size() > 0) image_folder_ = info->image_filesystems(0).fs_id().mountpoint();
  }
  if (!image_folder_.empty()) add_disk(image_folder_, Signal::kImageFsAvailable, Signal::kImageFsInodesFree, out);
  const auto pids = read_number("/proc/sys/kernel/pid_max");
  const auto threads = read_number("/proc/sys/kernel/threads-max");
  if (pids && threads) {
    const auto most = static_cast<int64_t>(std::min(*pids, *threads));
    out[Signal::kPidAvailable] = {most - processes_now(), most};
  }
  return out;
}

std::map<std::string, PodMeasure> NodeObserver::measure() {
  std::map<std::string, PodMeasure> out;
  const auto reading = source_->take();
  if (!reading) return out;
  for (const auto& [uid, pod] : reading->pods) {
    PodMeasure& measure = out[uid];
    measure.measured = true;
    measure.memory_bytes = pod.usage.memory_working_set_bytes;
    measure.processes = pod.usage.processes;
    for (const auto& [id, container] : pod.containers)
      measure.container_memory[container.name] = container.usage.memory_working_set_bytes;
  }
  for (auto& [uid, disk] : read_disk_usage(config_, runtime_)) {
    const auto found = out.find(uid);
    if (found != out.end()) found->second.disk = std::move(disk);
  }
  return out;
}

std::map<std::string, PodDisk> NodeObserver::measure_disk(const std::set<std::string>& uids) {
  return read_disk_usage(config_, runtime_, &uids);
}

void NodeObserver::remove_dead_containers(const std::set<std::string>& ended_uids) {
  const auto list = runtime_.invoke<cri::ListContainersResponse>("RuntimeService/ListContainers",
                                                                 cri::ListContainersRequest(), kDeadlineMs);
  if (!list) return;
  std::vector<const cri::Container*> newest_first;
  for (const cri::Container& container : list->containers()) newest_first.push_back(&container);
  std::sort(newest_first.begin(), newest_first.end(),
            [](const auto* a, const auto* b) { return a->created_at() > b->created_at(); });
  std::set<std::pair<std::string, std::string>> seen;
  for (const cri::Container* container : newest_first) {
    const auto uid = container->labels().find(kPodUidLabel);
    if (uid == container->labels().end()) continue;
    const bool is_newest = seen.emplace(uid->second, container->metadata().name()).second;
    if (container->state() != cri::CONTAINER_EXITED || (is_newest && !ended_uids.contains(uid->second))) continue;
    cri::RemoveContainerRequest request;
    request.set_container_id(container->id());
    // One that would not go is there at the next attempt.
    static_cast<void>(
        runtime_.invoke<cri::RemoveContainerResponse>("RuntimeService/RemoveContainer", request, kDeadlineMs));
  }
}

}  // namespace orlop::agent
