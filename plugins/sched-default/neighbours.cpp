#include "plugins/sched-default/neighbours.hpp"

#include "plugins/sched-default/filters.hpp"

#include <algorithm>
#include <limits>

namespace orlop::sched {
namespace {

bool selects(const PodTerm& term, const PodInfo& pod) {
  if (term.selects_nothing) return false;
  if (!term.all_namespaces && !term.namespaces.contains(pod.name_space)) return false;
  return kube::matches(term.selector, pod.labels);
}

const std::string* topology_of(const NodeInfo& node, const std::string& key) {
  const auto found = node.labels.find(key);
  return found == node.labels.end() ? nullptr : &found->second;
}

int64_t count_at(const std::map<std::string, int64_t>& counts, const std::string& value) {
  const auto found = counts.find(value);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

Neighbours::Neighbours(const PodInfo& pod, const ClusterState& state) : pod_(pod), state_(state) {
  count_terms(pod.affinity, wanted_);
  count_terms(pod.anti_affinity, unwanted_);
  count_terms(pod.preferred_affinity, preferred_);
  count_terms(pod.preferred_anti_affinity, preferred_);
  for (size_t i = pod.preferred_affinity.size(); i < preferred_.size(); ++i) {
    for (auto& [value, count] : preferred_[i].counts) count = -count;
  }
  if (!state.repelling().empty()) count_repelling();
  if (pod.pod->spec().topologyspreadconstraints_size() > 0) count_spreads();
}

void Neighbours::count_terms(const std::vector<PodTerm>& terms, std::vector<Term>& out) {
  for (const PodTerm& term : terms) {
    Term counted{&term, {}, selects(term, pod_), 0};
    for (const auto& [uid, other] : state_.pods()) {
      if (!selects(term, other)) continue;
      const NodeInfo* node = state_.node(other.node);
      const std::string* value = node == nullptr ? nullptr : topology_of(*node, term.topology_key);
      if (value == nullptr) continue;
      ++counted.counts[*value];
      ++counted.total;
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
  for (const auto& constraint : pod_.pod->spec().topologyspreadconstraints()) {
    Spread spread{
        constraint.topologykey(), constraint.maxskew(), {}, 0, kube::matches(constraint.labelselector(), pod_.labels)};
    for (const NodeInfo* node : state_.nodes()) {
      // Domains that the pod could not go to anyway do not count.
      if (!sched::why_not(pod_, *node).empty() && node->labels.find(spread.topology_key) == node->labels.end())
        continue;
      if (const std::string* value = topology_of(*node, spread.topology_key)) spread.counts[*value];
    }
    for (const auto& [uid, other] : state_.pods()) {
      if (other.terminating || other.name_space != pod_.name_space) continue;
      if (!constraint.has_labelselector() || !kube::matches(constraint.labelselector(), other.labels)) continue;
      const NodeInfo* node = state_.node(other.node);
      const std::string* value = node == nullptr ? nullptr : topology_of(*node, spread.topology_key);
      if (value != nullptr) ++spread.counts[*value];
    }
    spread.least = spread.counts.empty() ? 0 : std::numeric_limits<int64_t>::max();
    for (const auto& [value, count] : spread.counts) spread.least = std::min(spread.least, count);
    if (constraint.has_mindomains() && static_cast<int32_t>(spread.counts.size()) < constraint.mindomains())
      spread.least = 0;
    (constraint.whenunsatisfiable() == "DoNotSchedule" ? spreads_ : soft_spreads_).push_back(std::move(spread));
  }
}

std::string Neighbours::why_not(const NodeInfo& node) const {
  for (const auto& [key, counts] : repelled_) {
    const std::string* value = topology_of(node, key);
    if (value != nullptr && count_at(counts, *value) > 0)
      return "node(s) didn't satisfy existing pods anti-affinity rules";
  }
  for (const Term& term : wanted_) {
    const std::string* value = topology_of(node, term.term->topology_key);
    // The first of a group that wants to be together may go anywhere.
    const bool first = term.total == 0 && term.matches_itself;
    if (value == nullptr || (!first && count_at(term.counts, *value) == 0))
      return "node(s) didn't match pod affinity rules";
  }
  for (const Term& term : unwanted_) {
    const std::string* value = topology_of(node, term.term->topology_key);
    if (value != nullptr && count_at(term.counts, *value) > 0) return "node(s) didn't match pod anti-affinity rules";
  }
  for (const Spread& spread : spreads_) {
    const std::string* value = topology_of(node, spread.topology_key);
    if (value == nullptr) return "node(s) didn't match pod topology spread constraints (missing required label)";
    const int64_t after = count_at(spread.counts, *value) + (spread.counts_itself ? 1 : 0);
    if (after - spread.least > spread.max_skew) return "node(s) didn't match pod topology spread constraints";
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
