// What one pod wants of the others: affinity, anti-affinity and topology spread. Counted once for a pod, asked for each
// node. Pure.
#pragma once

#include "plugins/sched-default/cluster_state.hpp"

#include <map>
#include <string>
#include <vector>

namespace orlop::sched {

class Neighbours {
 public:
  Neighbours(const PodInfo& pod, const ClusterState& state);

  // Empty when the node is fine; else upstream's words.
  [[nodiscard]] std::string why_not(const NodeInfo& node) const;
  // Higher is better; 0 when the pod has no preference.
  [[nodiscard]] int64_t score(const NodeInfo& node) const;
  [[nodiscard]] bool has_preferences() const { return !preferred_.empty() || !soft_spreads_.empty(); }

 private:
  using Counts = std::map<std::string, int64_t>;  // by the value of a topology label
  struct Term {
    const PodTerm* term;
    Counts counts;
  };
  struct Spread {
    std::string topology_key;
    int32_t max_skew = 1;
    Counts counts;
    int64_t least = 0;
    bool counts_itself = false;
  };

  // together: only pods that every one of the terms selects are counted.
  void count_terms(const std::vector<PodTerm>& terms, bool together, std::vector<Term>& out);
  void count_repelling();
  void count_spreads();

  const PodInfo& pod_;
  const ClusterState& state_;
  std::vector<Term> wanted_, unwanted_, preferred_;
  bool first_of_its_kind_ = false;          // wants neighbours of its own sort, and there are none yet
  std::map<std::string, Counts> repelled_;  // topology key → value → how many there repel this pod
  std::vector<Spread> spreads_, soft_spreads_;
};

}  // namespace orlop::sched
