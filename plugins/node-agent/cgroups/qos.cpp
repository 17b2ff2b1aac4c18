#include "plugins/node-agent/cgroups/qos.hpp"

#include "orlop/pod_resources.hpp"

#include <algorithm>
#include <limits>

namespace orlop::agent {
namespace {

using Container = k8s::io::api::core::v1::Container;

constexpr int64_t kSharesMin = 2;
constexpr int64_t kSharesMax = 262'144;
constexpr int kScoreGuaranteed = -997;
constexpr int kScoreBestEffort = 1000;
constexpr int32_t kSystemCriticalPriority = 2'000'000'000;
constexpr char kNodeCriticalClass[] = "system-node-critical";
constexpr char kSourceAnnotation[] = "kubernetes.io/config.source";
constexpr char kHugePagesPrefix[] = "hugepages-";

int64_t memory_request(const Container& container) {
  const auto& resources = container.resources();
  for (const auto* map : {&resources.requests(), &resources.limits()}) {
    const auto found = map->find("memory");
    if (found != map->end()) return kube::quantity_value(found->second.string());
  }
  return 0;
}

Qos work_out(const kube::Pod& pod) {
  bool any = false, guaranteed = true;
  const auto look = [&](const Container& container) {
    const auto& resources = container.resources();
    for (const char* name : {"cpu", "memory"}) {
      const auto limit = resources.limits().find(name);
      const auto request = resources.requests().find(name);
      const bool limited = limit != resources.limits().end() && kube::quantity_milli(limit->second.string()) > 0;
      const bool requested =
          request != resources.requests().end() && kube::quantity_milli(request->second.string()) > 0;
      any = any || limited || requested;
      const bool equal = limited && (!requested || kube::quantity_milli(request->second.string()) ==
                                                       kube::quantity_milli(limit->second.string()));
      guaranteed = guaranteed && equal;
    }
  };
  for (const Container& container : pod.spec().containers()) look(container);
  for (const Container& container : pod.spec().initcontainers()) look(container);
  return !any ? Qos::kBestEffort : guaranteed ? Qos::kGuaranteed : Qos::kBurstable;
}

}  // namespace

Qos qos_of(const kube::Pod& pod) {
  const std::string& told = pod.status().qosclass();
  for (const Qos qos : {Qos::kGuaranteed, Qos::kBurstable, Qos::kBestEffort}) {
    if (told == name_of(qos)) return qos;
  }
  return work_out(pod);
}

const char* name_of(Qos qos) {
  switch (qos) {
    case Qos::kGuaranteed:
      return "Guaranteed";
    case Qos::kBurstable:
      return "Burstable";
    case Qos::kBestEffort:
      return "BestEffort";
  }
  return "BestEffort";
}

bool is_static(const kube::Pod& pod) {
  const auto source = pod.metadata().annotations().find(kSourceAnnotation);
  return source != pod.metadata().annotations().end() && source->second != "api";
}

bool is_critical(const kube::Pod& pod) {
  return is_static(pod) || pod.spec().priority() >= kSystemCriticalPriority;
}

int64_t cpu_shares(int64_t milli) {
  return std::clamp(milli * 1024 / 1000, kSharesMin, kSharesMax);
}

int64_t cpu_weight(int64_t shares) {
  return 1 + (std::clamp(shares, kSharesMin, kSharesMax) - 2) * 9999 / 262'142;
}

int64_t cpu_quota_us(int64_t milli) {
  return std::max<int64_t>(1000, milli * kCpuPeriodUs / 1000);
}

int oom_score_adj(const kube::Pod& pod, const Container& container, int64_t memory_capacity) {
  if (pod.spec().priorityclassname() == kNodeCriticalClass) return kScoreGuaranteed;
  const Qos qos = qos_of(pod);
  if (qos == Qos::kGuaranteed) return kScoreGuaranteed;
  if (qos == Qos::kBestEffort || memory_capacity <= 0) return kScoreBestEffort;
  int64_t counted = memory_request(container);
  const auto& inits = pod.spec().initcontainers();
  const bool sidecar =
      container.restartpolicy() == "Always" &&
      std::any_of(inits.begin(), inits.end(), [&](const Container& init) { return init.name() == container.name(); });
  if (sidecar) {
    // It does not go before the containers that it serves.
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const Container& other : pod.spec().containers()) least = std::min(least, memory_request(other));
    if (least != std::numeric_limits<int64_t>::max()) counted = std::max(counted, least);
  }
  const int64_t score = 1000 - 1000 * counted / memory_capacity;
  // Always after best-effort pods, always before guaranteed ones.
  return static_cast<int>(std::clamp<int64_t>(score, 1000 + kScoreGuaranteed, kScoreBestEffort - 1));
}

CgroupLimits pod_cgroup_limits(const kube::Pod& pod, int64_t pids_max) {
  CgroupLimits out;
  const kube::Resources requests = kube::pod_requests(pod.spec());
  const kube::Resources limits = kube::pod_limits(pod.spec());
  out.cpu_shares = cpu_shares(requests.cpu_milli);
  if (kube::has_limit_everywhere(pod.spec(), "cpu")) out.cpu_quota_us = cpu_quota_us(limits.cpu_milli);
  if (kube::has_limit_everywhere(pod.spec(), "memory")) out.memory_bytes = limits.memory;
  if (pids_max > 0) out.pids = pids_max;
  for (const char* size : {"2Mi", "1Gi"}) {
    const auto found = limits.extended.find(std::string(kHugePagesPrefix) + size);
    out.hugepages[size] = found == limits.extended.end() ? 0 : found->second;
  }
  return out;
}

std::string tier_cgroup(Qos qos) {
  switch (qos) {
    case Qos::kGuaranteed:
      return "/orlop";
    case Qos::kBurstable:
      return "/orlop/burstable";
    case Qos::kBestEffort:
      return "/orlop/besteffort";
  }
  return "/orlop/besteffort";
}

std::string pod_cgroup_name(const kube::Pod& pod) {
  return tier_cgroup(qos_of(pod)) + "/pod" + pod.metadata().uid();
}

}  // namespace orlop::agent
