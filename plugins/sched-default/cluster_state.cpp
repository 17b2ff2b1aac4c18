#include "plugins/sched-default/cluster_state.hpp"

#include <algorithm>
#include <utility>

namespace orlop::sched {

void ClusterState::clear() {
  nodes_.clear();
  order_.clear();
  pods_.clear();
  on_node_.clear();
  repelling_.clear();
}

const NodeInfo* ClusterState::node(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : found->second.get();
}

void ClusterState::put_node(NodeInfo node) {
  auto& slot = nodes_[node.name];
  if (slot == nullptr) {
    slot = std::make_unique<NodeInfo>();
    order_.push_back(slot.get());
    *slot = std::move(node);
    for (const std::string& uid : on_node_[slot->name]) account(pods_.at(uid), 1);
    return;
  }
  node.used = std::move(slot->used);
  node.pods = slot->pods;
  node.host_ports = std::move(slot->host_ports);
  node.by_controller = std::move(slot->by_controller);
  *slot = std::move(node);
}

void ClusterState::remove_node(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  order_.erase(std::find(order_.begin(), order_.end(), found->second.get()));
  nodes_.erase(found);
}

void ClusterState::put_pod(PodInfo pod) {
  remove_pod(pod.uid);
  if (pod.node.empty() || pod.ended) return;
  pod.pod.reset();
  on_node_[pod.node].insert(pod.uid);
  if (!pod.anti_affinity.empty()) repelling_.insert(pod.uid);
  const auto [entry, is_new] = pods_.emplace(pod.uid, std::move(pod));
  account(entry->second, 1);
}

void ClusterState::remove_pod(const std::string& uid) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return;
  account(found->second, -1);
  on_node_[found->second.node].erase(uid);
  repelling_.erase(uid);
  pods_.erase(found);
}

void ClusterState::account(const PodInfo& pod, int sign) {
  const auto found = nodes_.find(pod.node);
  if (found == nodes_.end()) return;
  NodeInfo& node = *found->second;
  node.used.add(pod.requests, sign);
  node.pods += sign;
  for (const HostPort& port : pod.host_ports) {
    if ((node.host_ports[port] += sign) <= 0) node.host_ports.erase(port);
  }
  if (pod.controller_uid.empty()) return;
  if ((node.by_controller[pod.controller_uid] += sign) <= 0) node.by_controller.erase(pod.controller_uid);
}

}  // namespace orlop::sched
