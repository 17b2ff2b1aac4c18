#include "plugins/sched-default/engine.hpp"

#include "orlop/placement.hpp"
#include "plugins/sched-default/filters.hpp"
#include "plugins/sched-default/neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace orlop::sched {
namespace {

double free_share(int64_t all, int64_t used) {
  return all <= 0 ? 0 : std::clamp(static_cast<double>(all - used) / static_cast<double>(all), 0.0, 1.0);
}

double score_node(const PodInfo& pod, const NodeInfo& node, const Neighbours& neighbours) {
  // A pod that asks for nothing still uses something: upstream's default of 100m and 200 MB.
  const int64_t cpu = pod.requests.cpu_milli > 0 ? pod.requests.cpu_milli : 100;
  const int64_t memory = pod.requests.memory > 0 ? pod.requests.memory : 200 << 20;
  const double cpu_free = free_share(node.allocatable.cpu_milli, node.used.cpu_milli + cpu);
  const double memory_free = free_share(node.allocatable.memory, node.used.memory + memory);
  double total = 100 * (cpu_free + memory_free) / 2 + 100 * (1 - std::abs(cpu_free - memory_free));
  // Pods that ask for nothing spread by their number.
  total += 100 * free_share(node.pods_max, node.pods + 1);
  const auto siblings = node.by_controller.find(pod.controller_uid);
  if (siblings != node.by_controller.end()) total -= 200.0 * siblings->second;
  int64_t untolerated = 0;
  if (node.preferring_no_schedule > 0) {
    for (const auto& taint : node.taints) {
      untolerated += taint.effect() == "PreferNoSchedule" && !kube::tolerates(pod.pod->spec(), taint) ? 1 : 0;
    }
  }
  total -= 300.0 * static_cast<double>(untolerated);
  const auto& preferred = pod.pod->spec().affinity().nodeaffinity().preferredduringschedulingignoredduringexecution();
  for (const auto& term : preferred) {
    if (matches_node_selector_term(term.preference(), node)) total += 2.0 * term.weight();
  }
  if (neighbours.has_preferences()) total += 2.0 * static_cast<double>(neighbours.score(node));
  return total;
}

}  // namespace

std::string Decision::explain() const {
  std::string out = "0/" + std::to_string(nodes) + " nodes are available";
  if (!refusal.empty()) return out + ": " + refusal + ".";
  if (reasons.empty()) return nodes == 0 ? "no nodes available to schedule pods" : out + ".";
  std::set<std::string> parts;  // in the order of their text, as upstream's
  for (const auto& [reason, count] : reasons) parts.insert(std::to_string(count) + " " + reason);
  std::string list;
  for (const std::string& part : parts) list += (list.empty() ? "" : ", ") + part;
  return out + ": " + list + ".";
}

Decision Engine::decide(const PodInfo& pod, const ClusterState& state, const VolumeWishes* volumes) {
  Decision decision;
  const auto& nodes = state.nodes();
  decision.nodes = static_cast<int>(nodes.size());
  if (nodes.empty()) return decision;
  const Neighbours neighbours(pod, state);
  const size_t enough = std::max(nodes_to_score_min_, nodes.size() / 20);
  const NodeInfo* best = nullptr;
  double best_score = 0;
  size_t fitting = 0, looked = 0;
  for (; looked < nodes.size() && fitting < enough; ++looked) {
    const NodeInfo& node = *nodes[(next_ + looked) % nodes.size()];
    const auto reasons = why_not(pod, node);
    if (!reasons.empty()) {
      for (const std::string& reason : reasons) ++decision.reasons[reason];
      continue;
    }
    const std::string unreachable = volumes == nullptr ? "" : why_not(*volumes, node);
    if (!unreachable.empty()) {
      ++decision.reasons[unreachable];
      continue;
    }
    const std::string unwanted = neighbours.why_not(node);
    if (!unwanted.empty()) {
      ++decision.reasons[unwanted];
      continue;
    }
    ++fitting;
    const double score = score_node(pod, node, neighbours);
    if (best == nullptr || score > best_score) {
      best = &node;
      best_score = score;
    }
  }
  next_ = (next_ + looked) % nodes.size();
  if (best != nullptr) decision.node = best->name;
  return decision;
}

}  // namespace orlop::sched
