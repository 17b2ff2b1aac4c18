#include "plugins/node-agent/stats/reading.hpp"

#include <utility>

namespace orlop::agent {
namespace {

// `before` is null when this one was not there then.
void fill_usage(const Reading& now, const CgroupUsage& usage, const Reading* then, const CgroupUsage* before,
                v1::Usage& out) {
  out.set_at_unix_ns(now.unix_ns);
  out.set_cpu_usage_core_ns(usage.cpu_ns);
  out.set_memory_working_set_bytes(usage.memory_working_set_bytes);
  out.set_memory_usage_bytes(usage.memory_usage_bytes);
  out.set_memory_rss_bytes(usage.memory_rss_bytes);
  if (then == nullptr || before == nullptr || usage.cpu_ns < before->cpu_ns) return;
  const int64_t window_ns = now.monotonic_ns - then->monotonic_ns;
  if (window_ns <= 0) return;
  out.set_window_ns(window_ns);
  out.set_cpu_nano_cores(
      static_cast<uint64_t>(static_cast<double>(usage.cpu_ns - before->cpu_ns) / static_cast<double>(window_ns) * 1e9));
}

bool is_wanted(const v1::StatsRequest& request, const v1::PodReference& pod) {
  if (request.pods_size() == 0) return true;
  for (const v1::PodReference& wanted : request.pods()) {
    if (wanted.namespace_() == pod.namespace_() && wanted.name() == pod.name() &&
        (wanted.uid().empty() || wanted.uid() == pod.uid())) {
      return true;
    }
  }
  return false;
}

}  // namespace

void ReadingHistory::add(Reading reading) {
  const int64_t now = reading.monotonic_ns;
  while (!readings_.empty() && now - readings_.front().monotonic_ns > kKeepNs) readings_.pop_front();
  // Of those that are older than a window one is enough.
  while (readings_.size() >= 2 && now - readings_[1].monotonic_ns >= kWindowNs) readings_.pop_front();
  readings_.push_back(std::move(reading));
}

const Reading* ReadingHistory::baseline() const {
  return readings_.size() < 2 ? nullptr : &readings_.front();
}

v1::StatsResponse make_stats(const ReadingHistory& history, const v1::StatsRequest& request) {
  v1::StatsResponse out;
  const Reading* now = history.newest();
  if (now == nullptr) return out;
  const Reading* then = history.baseline();
  fill_usage(*now, now->machine, then, then != nullptr ? &then->machine : nullptr, *out.mutable_usage());
  for (const auto& [uid, pod] : now->pods) {
    if (!is_wanted(request, pod.reference)) continue;
    const PodReading* before = nullptr;
    if (then != nullptr) {
      const auto found = then->pods.find(uid);
      if (found != then->pods.end()) before = &found->second;
    }
    v1::PodStats& stats = *out.add_pods();
    *stats.mutable_pod() = pod.reference;
    stats.set_started_unix_ns(pod.started_unix_ns);
    fill_usage(*now, pod.usage, then, before != nullptr ? &before->usage : nullptr, *stats.mutable_usage());
    for (const auto& [id, container] : pod.containers) {
      const CgroupUsage* earlier = nullptr;
      if (before != nullptr) {
        const auto found = before->containers.find(id);
        if (found != before->containers.end()) earlier = &found->second.usage;
      }
      v1::ContainerStats& entry = *stats.add_containers();
      entry.set_name(container.name);
      fill_usage(*now, container.usage, then, earlier, *entry.mutable_usage());
    }
  }
  return out;
}

}  // namespace orlop::agent
