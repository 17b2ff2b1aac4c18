// What a pod's quality of service means in numbers: its class, shares, quotas, scores. Pure; the formulas are the
// kubelet's (pkg/kubelet/qos, pkg/kubelet/cm) and runc's for version 2.
#pragma once

#include "orlop/pods.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace orlop::agent {

enum class Qos : uint8_t { kGuaranteed, kBurstable, kBestEffort };

// As its status says; worked out from its resources while the status says nothing.
Qos qos_of(const kube::Pod& pod);
const char* name_of(Qos qos);

// Priority system-critical or above, or a static pod: not evicted, admitted under pressure.
bool is_critical(const kube::Pod& pod);
bool is_static(const kube::Pod& pod);

// 2 to 262144.
int64_t cpu_shares(int64_t milli);
// Of version 2, 1 to 10000.
int64_t cpu_weight(int64_t shares);
inline constexpr int64_t kCpuPeriodUs = 100'000;
// Microseconds of each period; at least 1000.
int64_t cpu_quota_us(int64_t milli);

// -997 to 1000: how soon the kernel kills it when memory runs out.
int oom_score_adj(const kube::Pod& pod, const k8s::io::api::core::v1::Container& container, int64_t memory_capacity);

// What a cgroup is given. Unset: left as it is.
struct CgroupLimits {
  std::optional<int64_t> cpu_shares;
  std::optional<int64_t> cpu_quota_us;  // of kCpuPeriodUs
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> pids;
  std::map<std::string, int64_t> hugepages;  // bytes by size, "2Mi" and "1Gi"
};

// For all of the pod's containers together. pids_max: 0 for none.
CgroupLimits pod_cgroup_limits(const kube::Pod& pod, int64_t pids_max);

// "/orlop", "/orlop/burstable", "/orlop/besteffort"
std::string tier_cgroup(Qos qos);
std::string pod_cgroup_name(const kube::Pod& pod);

}  // namespace orlop::agent
