#include "plugins/sched-default/neighbours.hpp"

#include "orlop/placement.hpp"
#include "plugins/sched-default/filters.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace orlop::sched {
namespace {

bool selects(const PodTerm& term, const PodInfo& pod) {
  if (term.selects_nothing) return false;
  if (!term.all_namespaces && !term.namespaces.contains(pod.name_space)) return false;
  return kube::matches(term.selector, pod.labels);
}

bool selected_by_all(const std::vector<PodTerm>& terms, const PodInfo& pod) {
  return std::all_of(terms.begin(), terms.end(), [&](const PodTerm& term) { return selects(term, pod); });
}

const std::string* topology_of(const NodeInfo& node, const std::string& key) {
  const auto found = node.labels.find(key);
  return found == node.labels.end() ? nullptr : &found->second;
}

bool bears_taints(const kube::Pod& pod, const NodeInfo& node) {
  return std::all_of(node.taints.begin(), node.taints.end(), [&](const core::Taint& taint) {
    return taint.effect() == "PreferNoSchedule" || kube::tolerates(pod.spec(), taint);
  });
}

// Whether the labels are of the group that the constraint spreads: its selector (none selects nothing), narrowed to the
// values that the pod itself has of matchLabelKeys.
bool alike(const core::TopologySpreadConstraint& constraint, const PodInfo& pod, const Labels& labels) {
  if (!constraint.has_labelselector() || !kube::matches(constraint.labelselector(), labels)) return false;
  for (const std::string& key : constraint.matchlabelkeys()) {
    const auto own = pod.labels.find(key);
    if (own == pod.labels.end()) continue;
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != own->second) return false;
  }
  return true;
}

int64_t count_at(const std::map<std::string, int64_t>& counts, const std::string& value) {
  const auto found = counts.find(value);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

Neighbours::Neighbours(const PodInfo& pod, const ClusterState& state) : pod_(pod), state_(state) {
  count_terms(pod.affinity, true, wanted_);
  count_terms(pod.anti_affinity, false, unwanted_);
  count_terms(pod.preferred_affinity, false, preferred_);
  count_terms(pod.preferred_anti_affinity, false, preferred_);
  first_of_its_kind_ =
      std::all_of(wanted_.begin(), wanted_.end(), [&](const Term& term) { return term.counts.empty(); }) &&
      selected_by_all(pod.affinity, pod);
  for (size_t i = pod.preferred_affinity.size(); i < preferred_.size(); ++i) {
    for (auto& [value, count] : preferred_[i].counts) count = -count;
  }
  if (!state.repelling().empty()) count_repelling();
  if (pod.pod->spec().topologyspreadconstraints_size() > 0) count_spreads();
}

void Neighbours::count_terms(const std::vector<PodTerm>& terms, bool together, std::vector<Term>& out) {
  for (const PodTerm& term : terms) {
    Term counted{&term, {}};
    for (const auto& [uid, other] : state_.pods()) {
      if (together ? !selected_by_all(terms, other) : !selects(term, other)) continue;
      const NodeInfo* node = state_.node(other.node);
      const std::string* value = node == nullptr ? nullptr : topology_of(*node, term.topology_key);
      if (value != nullptr) ++counted.counts[*value];
    }
    out.push_back(std::move(counted));
  }
}

void Neighbours::count_repelling() {
  for (const std::string& uid : state_.repelling()) {
    const PodInfo& other = state_.pods().at(uid);
    const NodeInfo* node = state_.node(other.node);
    if (node == nullptr) continue;
    for (const PodTerm& term : other.anti_affinity) {
      if (!selects(term, pod_)) continue;
      if (const std::string* value = topology_of(*node, term.topology_key)) ++repelled_[term.topology_key][*value];
    }
  }
}

void Neighbours::count_spreads() {
  const auto& constraints = pod_.pod->spec().topologyspreadconstraints();
  // Domains that the pod could never go to do not count, nor do nodes that lack one of the (hard or soft) constraints'
  // labels.
  const auto counts = [&](const core::TopologySpreadConstraint& constraint, const NodeInfo& node) {
    for (const auto& other : constraints) {
      if (other.whenunsatisfiable() == constraint.whenunsatisfiable() && !node.labels.contains(other.topologykey()))
        return false;
    }
    if (constraint.nodeaffinitypolicy() != "Ignore" && !matches_node_affinity(pod_.pod->spec(), node)) return false;
    return constraint.nodetaintspolicy() != "Honor" || bears_taints(*pod_.pod, node);
  };
  for (const auto& constraint : constraints) {
    Spread spread{constraint.topologykey(), constraint.maxskew(), {}, 0, alike(constraint, pod_, pod_.labels)};
    std::set<std::string> counted;
    for (const NodeInfo* node : state_.nodes()) {
      if (!counts(constraint, *node)) continue;
      spread.counts[node->labels.find(spread.topology_key)->second];
      counted.insert(node->name);
    }
    for (const auto& [uid, other] : state_.pods()) {
      if (other.terminating || other.name_space != pod_.name_space || !alike(constraint, pod_, other.labels)) continue;
      if (!counted.contains(other.node)) continue;
      ++spread.counts[*topology_of(*state_.node(other.node), spread.topology_key)];
    }
    spread.least = spread.counts.empty() ? 0 : std::numeric_limits<int64_t>::max();
    for (const auto& [value, count] : spread.counts) spread.least = std::min(spread.least, count);
    if (constraint.has_mindomains() && static_cast<int32_t>(spread.counts.size()) < constraint.mindomains())
      spread.least = 0;
    (constraint.whenunsatisfiable() == "DoNotSchedule" ? spreads_ : soft_spreads_).push_back(std::move(spread));
  }
}

std::string Neighbours::why_not(const NodeInfo& node) const {
  for (const Spread& spread : spreads_) {
    const std::string* value = topology_of(node, spread.topology_key);
    if (value == nullptr) return "node(s) didn't match pod topology spread constraints (missing required label)";
    const int64_t after = count_at(spread.counts, *value) + (spread.counts_itself ? 1 : 0);
    if (after - spread.least > spread.max_skew) return "node(s) didn't match pod topology spread constraints";
  }
  for (const Term& term : wanted_) {
    const std::string* value = topology_of(node, term.term->topology_key);
    // The first of a group that wants to be together may go anywhere.
    if (value == nullptr || (!first_of_its_kind_ && count_at(term.counts, *value) == 0))
      return "node(s) didn't match pod affinity rules";
  }
  for (const Term& term : unwanted_) {
    const std::string* value = topology_of(node, term.term->topology_key);
    if (value != nullptr && count_at(term.counts, *value) > 0) return "node(s) didn't match pod anti-affinity rules";
  }
  for (const auto& [key, counts] : repelled_) {
    const std::string* value = topology_of(node, key);
    if (value != nullptr && count_at(counts, *value) > 0)
      return "node(s) didn't satisfy existing pods anti-affinity rules";
  }
  return {};
}

int64_t Neighbours::score(const NodeInfo& node) const {
  int64_t total = 0;
  for (const Term& term : preferred_) {
    if (const std::string* value = topology_of(node, term.term->topology_key))
      total += term.term->weight * count_at(term.counts, *value);
  }
  for (const Spread& spread : soft_spreads_) {
    if (const std::string* value = topology_of(node, spread.topology_key))
      total -= 10 * (count_at(spread.counts, *value) - spread.least);
  }
  return total;
}

}  // namespace orlop::sched
