#include "plugins/node-agent/stats/machine_usage.hpp"
#include "plugins/node-agent/stats/usage_source.hpp"

#include <utility>

namespace orlop::agent {
namespace {

constexpr uint32_t kListDeadlineMs = 5000;
// Guaranteed pods stand at the top, the other classes have a level of their own.
const char* const kTiers[] = {"/orlop", "/orlop/burstable", "/orlop/besteffort"};
constexpr char kPodPrefix[] = "pod";

template <typename Labels>
std::string label(const Labels& labels, const char* name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

}  // namespace

Status CgroupSource::learn() {
  ORLOP_ASSIGN(const auto sandboxes,
               runtime_.invoke<cri::ListPodSandboxResponse>("RuntimeService/ListPodSandbox",
                                                            cri::ListPodSandboxRequest(), kListDeadlineMs));
  ORLOP_ASSIGN(const auto containers,
               runtime_.invoke<cri::ListContainersResponse>("RuntimeService/ListContainers",
                                                            cri::ListContainersRequest(), kListDeadlineMs));
  pods_.clear();
  foreign_.clear();
  for (const cri::PodSandbox& sandbox : sandboxes.items()) {
    const std::string uid = label(sandbox.labels(), kPodUidLabel);
    if (uid.empty()) continue;
    KnownPod& pod = pods_[uid];
    pod.reference.set_namespace_(sandbox.metadata().namespace_());
    pod.reference.set_name(sandbox.metadata().name());
    pod.reference.set_uid(uid);
    if (pod.started_unix_ns == 0 || sandbox.created_at() < pod.started_unix_ns)
      pod.started_unix_ns = sandbox.created_at();
    pod.containers[sandbox.id()] = Known{};
  }
  for (const cri::Container& container : containers.containers()) {
    const auto pod = pods_.find(label(container.labels(), kPodUidLabel));
    if (pod != pods_.end())
      pod->second.containers[container.id()] = Known{container.metadata().name(), container.created_at()};
  }
  return Status::ok();
}

bool CgroupSource::read_pod(const std::string& cgroup, const std::string& uid, Reading& out) const {
  const auto known = pods_.find(uid);
  if (known == pods_.end()) return foreign_.contains(uid);
  auto usage = tree_.usage(cgroup);
  if (!usage) return true;  // it went meanwhile
  PodReading pod;
  pod.reference = known->second.reference;
  pod.started_unix_ns = known->second.started_unix_ns;
  pod.usage = *usage;
  bool complete = true;
  for (const std::string& id : tree_.children(cgroup)) {
    const auto container = known->second.containers.find(id);
    if (container == known->second.containers.end()) {
      complete = complete && foreign_.contains(id);
      continue;
    }
    if (container->second.name.empty()) continue;
    auto used = tree_.usage(cgroup + "/" + id);
    if (used) pod.containers[id] = {container->second.name, *used};
  }
  out.pods[uid] = std::move(pod);
  return complete;
}

bool CgroupSource::read_tiers(Reading& out) const {
  bool complete = true;
  for (const std::string tier : kTiers) {
    for (const std::string& name : tree_.children(tier)) {
      if (!name.starts_with(kPodPrefix)) continue;
      const std::string uid = name.substr(sizeof kPodPrefix - 1);
      complete = read_pod(tier + "/" + name, uid, out) && complete;
    }
  }
  return complete;
}

Result<Reading> CgroupSource::take() {
  Reading out;
  out.monotonic_ns = host_.monotonic_now_ns();
  out.unix_ns = host_.wall_now_ns();
  out.machine = machine_usage(tree_);
  if (read_tiers(out)) return out;
  // The runtime's being away is no reason to tell nothing of those that are known.
  if (!learn()) return out;
  out.pods.clear();
  if (!read_tiers(out)) {
    for (const std::string tier : kTiers) {
      for (const std::string& name : tree_.children(tier)) {
        if (!name.starts_with(kPodPrefix)) continue;
        const std::string uid = name.substr(sizeof kPodPrefix - 1);
        const auto known = pods_.find(uid);
        if (known == pods_.end()) {
          foreign_.insert(uid);
          continue;
        }
        for (const std::string& id : tree_.children(tier + "/" + name)) {
          if (!known->second.containers.contains(id)) foreign_.insert(id);
        }
      }
    }
  }
  return out;
}

}  // namespace orlop::agent
