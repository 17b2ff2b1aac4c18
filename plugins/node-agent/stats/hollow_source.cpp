#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/node-agent/stats/usage_source.hpp"

#include <set>
#include <utility>

namespace orlop::agent {
namespace {

constexpr uint32_t kDeadlineMs = 5000;
constexpr char kLoadAnnotation[] = "hollow.orlop.dev/";

// What the pod's annotations say of its load, as one text; empty when they say nothing.
template <typename Annotations>
std::string load_of(const Annotations& annotations, google::protobuf::Map<std::string, std::string>& out) {
  std::string text;
  const std::map<std::string, std::string> sorted(annotations.begin(), annotations.end());
  for (const auto& [key, value] : sorted) {
    const size_t at = key.find(kLoadAnnotation);
    if (at == std::string::npos) continue;
    out[key] = value;
    text += key + "=" + value + "\n";
  }
  return text;
}

}  // namespace

Status HollowSource::tell_loads(const cri::ListContainerStatsResponse& stats, bool& changed) {
  std::map<std::string, std::vector<std::string>> ids;  // by pod uid
  std::set<std::string> running;
  for (const cri::ContainerStats& container : stats.stats()) {
    const auto uid = container.attributes().labels().find(kPodUidLabel);
    if (uid != container.attributes().labels().end()) ids[uid->second].push_back(container.attributes().id());
    running.insert(container.attributes().id());
  }
  std::erase_if(told_, [&](const auto& entry) { return !running.contains(entry.first); });
  std::vector<cri::UpdateContainerResourcesRequest> updates;
  for (const std::string& node : config_.node_names) {
    ORLOP_TRY(Objects<kube::Pod>(host_).each("", "node/" + node, [&](const RecordView&, kube::Pod& pod) {
      const auto found = ids.find(pod.metadata().uid());
      if (found == ids.end()) return true;
      cri::UpdateContainerResourcesRequest update;
      const std::string load = load_of(pod.metadata().annotations(), *update.mutable_annotations());
      for (const std::string& id : found->second) {
        std::string& told = told_[id];
        if (told == load) continue;
        told = load;
        update.set_container_id(id);
        updates.push_back(update);
      }
      return true;
    }));
  }
  for (const auto& update : updates) {
    changed = true;
    const auto done = runtime_.invoke<cri::UpdateContainerResourcesResponse>("RuntimeService/UpdateContainerResources",
                                                                             update, kDeadlineMs);
    if (!done) told_.erase(update.container_id());
  }
  return Status::ok();
}

Result<Reading> HollowSource::take() {
  const cri::ListContainerStatsRequest ask;
  constexpr char kList[] = "RuntimeService/ListContainerStats";
  ORLOP_ASSIGN(auto stats, runtime_.invoke<cri::ListContainerStatsResponse>(kList, ask, kDeadlineMs));
  bool changed = false;
  ORLOP_TRY(tell_loads(stats, changed));
  if (changed) {
    ORLOP_ASSIGN(stats, runtime_.invoke<cri::ListContainerStatsResponse>(kList, ask, kDeadlineMs));
  }
  Reading out;
  out.monotonic_ns = host_.monotonic_now_ns();
  out.unix_ns = host_.wall_now_ns();
  for (const cri::ContainerStats& container : stats.stats()) {
    const auto& labels = container.attributes().labels();
    const auto uid = labels.find(kPodUidLabel);
    const auto name_space = labels.find(kPodNamespaceLabel);
    const auto name = labels.find(kPodNameLabel);
    if (uid == labels.end() || name_space == labels.end() || name == labels.end()) continue;
    CgroupUsage usage;
    usage.cpu_ns = container.cpu().usage_core_nano_seconds().value();
    usage.memory_usage_bytes = usage.memory_working_set_bytes = usage.memory_rss_bytes =
        container.memory().working_set_bytes().value();
    PodReading& pod = out.pods[uid->second];
    pod.reference.set_uid(uid->second);
    pod.reference.set_namespace_(name_space->second);
    pod.reference.set_name(name->second);
    for (CgroupUsage* sum : {&pod.usage, &out.machine}) {
      sum->cpu_ns += usage.cpu_ns;
      sum->memory_usage_bytes += usage.memory_usage_bytes;
      sum->memory_working_set_bytes += usage.memory_working_set_bytes;
      sum->memory_rss_bytes += usage.memory_rss_bytes;
    }
    pod.containers[container.attributes().id()] = {container.attributes().metadata().name(), usage};
  }
  return out;
}

}  // namespace orlop::agent
