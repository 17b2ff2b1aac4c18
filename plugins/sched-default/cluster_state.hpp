// All nodes, and all pods that stand on one: what the engine decides by. Assumed pods count as if they were bound.
//
// Threads: none of its own; one at a time.
#pragma once

#include "plugins/sched-default/model.hpp"

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace orlop::sched {

class ClusterState {
 public:
  void put_node(NodeInfo node);
  void remove_node(const std::string& name);
  // A pod that is on a node (bound or assumed): replaces what was known of that uid.
  void put_pod(PodInfo pod);
  void remove_pod(const std::string& uid);
  void clear();

  [[nodiscard]] const std::vector<NodeInfo*>& nodes() const { return order_; }
  [[nodiscard]] const NodeInfo* node(const std::string& name) const;
  [[nodiscard]] const std::unordered_map<std::string, PodInfo>& pods() const { return pods_; }
  // Uids of the pods that repel others (required anti-affinity), and of those that have any preference of neighbours.
  [[nodiscard]] const std::unordered_set<std::string>& repelling() const { return repelling_; }

 private:
  void account(const PodInfo& pod, int sign);

  std::unordered_map<std::string, std::unique_ptr<NodeInfo>> nodes_;
  std::vector<NodeInfo*> order_;
  std::unordered_map<std::string, PodInfo> pods_;
  std::unordered_map<std::string, std::unordered_set<std::string>>
      on_node_;  // uids, also of nodes that are not known yet
  std::unordered_set<std::string> repelling_;
};

}  // namespace orlop::sched
