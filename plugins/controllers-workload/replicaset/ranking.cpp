#include "plugins/controllers-workload/replicaset/ranking.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace orlop::workload {
namespace {

int phase_rank(const std::string& phase) {
  if (phase == "Running") return 2;
  if (phase == "Unknown") return 1;
  return 0;
}

int32_t deletion_cost(const kube::Pod& pod) {
  const auto& annotations = pod.metadata().annotations();
  const auto found = annotations.find("controller.kubernetes.io/pod-deletion-cost");
  int32_t cost = 0;
  if (found != annotations.end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), cost);
  }
  return cost;
}

int32_t restarts(const kube::Pod& pod) {
  int32_t most = 0;
  for (const auto& status : pod.status().containerstatuses()) most = std::max(most, status.restartcount());
  return most;
}

int64_t ready_since_s(const kube::Pod& pod) {
  const auto* ready = kube::find_condition(pod, "Ready");
  return ready != nullptr && ready->status() == "True" ? ready->lasttransitiontime().seconds() : 0;
}

}  // namespace

DeletionKey deletion_key(const kube::Pod& pod, int32_t cost, int on_node) {
  const bool assigned = !pod.spec().nodename().empty();
  return {assigned ? 1 : 0,
          phase_rank(pod.status().phase()),
          kube::is_ready(pod) ? 1 : 0,
          cost,
          assigned ? -on_node : 0,
          -ready_since_s(pod),
          -restarts(pod),
          -pod.metadata().creationtimestamp().seconds(),
          pod.metadata().name()};
}

void rank_for_deletion(std::vector<StoredPod>& pods) {
  std::map<std::string, int> on_node;
  for (const StoredPod& pod : pods) ++on_node[pod.object.spec().nodename()];
  rank_for_deletion(pods, on_node);
}

void rank_for_deletion(std::vector<StoredPod>& pods, const std::map<std::string, int>& on_node) {
  const auto others_on = [&](const std::string& node) {
    const auto found = on_node.find(node);
    return found == on_node.end() ? 0 : found->second;
  };
  const auto key = [&](const StoredPod& pod) {
    return deletion_key(pod.object, deletion_cost(pod.object), others_on(pod.object.spec().nodename()));
  };
  std::sort(pods.begin(), pods.end(), [&](const StoredPod& a, const StoredPod& b) { return key(a) < key(b); });
}

}  // namespace orlop::workload
