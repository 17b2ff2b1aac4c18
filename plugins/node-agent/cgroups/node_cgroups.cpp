#include "plugins/node-agent/cgroups/node_cgroups.hpp"

#include "orlop/pod_resources.hpp"

namespace orlop::agent {
namespace {

constexpr char kPodPrefix[] = "pod";
constexpr Qos kClasses[] = {Qos::kGuaranteed, Qos::kBurstable, Qos::kBestEffort};

}  // namespace

Status NodeCgroups::prepare_node(const CgroupLimits& all) {
  ORLOP_TRY(tree_.make(tier_cgroup(Qos::kGuaranteed)));
  // What runs already may use more than it may from now on: then the kernel refuses, and the pressure on the machine's
  // memory has to do.
  static_cast<void>(tree_.set(tier_cgroup(Qos::kGuaranteed), all));
  ORLOP_TRY(tree_.make(tier_cgroup(Qos::kBurstable)));
  ORLOP_TRY(tree_.make(tier_cgroup(Qos::kBestEffort)));
  CgroupLimits least;
  least.cpu_shares = cpu_shares(0);
  ORLOP_TRY(tree_.set(tier_cgroup(Qos::kBestEffort), least));
  const std::lock_guard lock(mutex_);
  weigh_burstable();
  return Status::ok();
}

void NodeCgroups::weigh_burstable() {
  CgroupLimits limits;
  int64_t milli = 0;
  for (const auto& [uid, request] : burstable_milli_) milli += request;
  limits.cpu_shares = cpu_shares(milli);
  static_cast<void>(tree_.set(tier_cgroup(Qos::kBurstable), limits));
}

Status NodeCgroups::prepare_pod(const kube::Pod& pod) {
  const Qos qos = qos_of(pod);
  const std::string cgroup = pod_cgroup_name(pod);
  ORLOP_TRY(tree_.make(cgroup));
  ORLOP_TRY(tree_.set(cgroup, pod_cgroup_limits(pod, pids_max_)));
  if (qos != Qos::kBurstable) return Status::ok();
  const std::lock_guard lock(mutex_);
  burstable_milli_[pod.metadata().uid()] = kube::pod_requests(pod.spec()).cpu_milli;
  weigh_burstable();
  return Status::ok();
}

Status NodeCgroups::remove_pod(const std::string& uid) {
  Status out;
  for (const Qos qos : kClasses) {
    const Status removed = tree_.remove(tier_cgroup(qos) + "/" + kPodPrefix + uid, true);
    if (!removed) out = removed;
  }
  const std::lock_guard lock(mutex_);
  if (burstable_milli_.erase(uid) > 0) weigh_burstable();
  return out;
}

std::vector<std::string> NodeCgroups::sweep(const std::set<std::string>& uids) {
  std::vector<std::string> out;
  for (const Qos qos : kClasses) {
    for (const std::string& name : tree_.children(tier_cgroup(qos))) {
      if (!name.starts_with(kPodPrefix)) continue;
      const std::string uid = name.substr(sizeof kPodPrefix - 1);
      // One with processes is another agent's, or its runtime has yet to be told.
      if (!uids.contains(uid) && tree_.remove(tier_cgroup(qos) + "/" + name, false)) out.push_back(uid);
    }
  }
  return out;
}

}  // namespace orlop::agent
