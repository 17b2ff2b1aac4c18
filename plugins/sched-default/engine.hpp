// Decides where one pod goes. Pure but for the place from which the next search starts.
//
// Nodes are looked at in turn from where the last search ended, until enough that fit are found (as upstream's sampling
// does); the best of them by score is taken. Score, higher is better: free share of cpu and memory after placing, their
// balance, fewer pods of the same controller, preferred node affinity, preferred neighbours, fewer PreferNoSchedule
// taints.
#pragma once

#include "plugins/sched-default/cluster_state.hpp"
#include "plugins/sched-default/volumes.hpp"

#include <map>
#include <string>

namespace orlop::sched {

struct Decision {
  std::string node;                    // empty: none fits
  std::map<std::string, int> reasons;  // when none fits: how many nodes for each reason
  int nodes = 0;                       // of how many
  std::string refusal;                 // what keeps the pod from every node alike, beside any node's own reasons
  // "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}."
  [[nodiscard]] std::string explain() const;
};

class Engine {
 public:
  explicit Engine(size_t nodes_to_score_min) : nodes_to_score_min_(nodes_to_score_min) {}
  // `pod.pod` must be set.
  // `volumes`: what the pod's claims ask of a node; may be null.
  Decision decide(const PodInfo& pod, const ClusterState& state, const VolumeWishes* volumes = nullptr);

 private:
  size_t nodes_to_score_min_;
  size_t next_ = 0;
};

}  // namespace orlop::sched
