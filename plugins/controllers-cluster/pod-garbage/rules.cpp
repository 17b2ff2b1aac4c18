#include "plugins/controllers-cluster/pod-garbage/rules.hpp"

#include <algorithm>
#include <tuple>

namespace orlop::cluster {

bool is_out_of_service(const k8s::io::api::core::v1::Node& node) {
  const auto& conditions = node.status().conditions();
  const bool ready = std::any_of(conditions.begin(), conditions.end(), [](const auto& condition) {
    return condition.type() == "Ready" && condition.status() == "True";
  });
  const auto& taints = node.spec().taints();
  return !ready && std::any_of(taints.begin(), taints.end(),
                               [](const auto& taint) { return taint.key() == "node.kubernetes.io/out-of-service"; });
}

bool mark_failed(kube::Pod& pod, bool node_is_gone, int64_t now_s) {
  if (kube::is_terminal(pod)) return false;
  pod.mutable_status()->set_phase("Failed");
  if (!node_is_gone) return true;
  auto* conditions = pod.mutable_status()->mutable_conditions();
  const auto found = std::find_if(conditions->begin(), conditions->end(),
                                  [](const auto& condition) { return condition.type() == "DisruptionTarget"; });
  auto& condition = found == conditions->end() ? *conditions->Add() : *found;
  if (condition.status() != "True") condition.mutable_lasttransitiontime()->set_seconds(now_s);
  condition.set_type("DisruptionTarget");
  condition.set_status("True");
  condition.set_reason("DeletionByPodGC");
  condition.set_message("PodGC: node no longer exists");
  return true;
}

std::vector<Stored<kube::Pod>> surplus(std::vector<Stored<kube::Pod>> ended, size_t kept) {
  if (ended.size() <= kept) return {};
  const auto key = [](const Stored<kube::Pod>& pod) {
    const bool evicted = pod.object.status().phase() == "Failed" && pod.object.status().reason() == "Evicted";
    return std::make_tuple(!evicted, pod.object.metadata().creationtimestamp().seconds(), pod.object.metadata().name());
  };
  std::sort(ended.begin(), ended.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  ended.resize(ended.size() - kept);
  return ended;
}

}  // namespace orlop::cluster
