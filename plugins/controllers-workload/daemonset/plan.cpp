#include "plugins/controllers-workload/daemonset/plan.hpp"

#include "plugins/controllers-workload/deployment/plan.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace orlop::workload {
namespace {

using Pods = std::vector<const kube::Pod*>;

bool is_available(const Daemons& daemons, const kube::Pod& pod) {
  const auto from = kube::available_from_s(pod, daemons.set.spec().minreadyseconds());
  return from && *from <= daemons.now_s;
}

// How many nodes may lack a pod, or have two, while an update goes on.
struct UpdateLimits {
  int32_t unavailable = 0;
  int32_t surge = 0;
};
UpdateLimits limits_of(const DaemonSet& set, int32_t wanted) {
  UpdateLimits limits;
  if (set.spec().updatestrategy().type() != "RollingUpdate") return limits;
  const auto& rolling = set.spec().updatestrategy().rollingupdate();
  if (rolling.has_maxunavailable()) limits.unavailable = resolve(rolling.maxunavailable(), wanted, true, 1);
  if (rolling.has_maxsurge()) limits.surge = resolve(rolling.maxsurge(), wanted, true, 0);
  if (wanted > 0 && limits.unavailable == 0 && limits.surge == 0) limits.unavailable = 1;
  return limits;
}
bool allows_surge(const DaemonSet& set) {
  return limits_of(set, 1).surge > 0;
}

// On a node before pinned to it, then the older; of those made in the same second the one that is ready.
void sort_oldest_first(Pods& pods) {
  const auto rank = [](const kube::Pod* pod) {
    return std::make_tuple(pod->spec().nodename().empty(), pod->metadata().creationtimestamp().seconds(),
                           !kube::is_ready(*pod), pod->metadata().name());
  };
  std::sort(pods.begin(), pods.end(), [&](const kube::Pod* a, const kube::Pod* b) { return rank(a) < rank(b); });
}

// With surge two may stand on a node: one of the present template that is not available yet beside an older one that is
// ready. All others go.
void prune_surging(const Daemons& daemons, const Pods& running, DaemonPlan& plan) {
  const kube::Pod* newest = nullptr;
  const kube::Pod* old = nullptr;
  for (const kube::Pod* pod : running) {
    const auto label = pod->metadata().labels().find(kPodRevisionLabel);
    const bool present = label != pod->metadata().labels().end() && label->second == daemons.hash;
    const kube::Pod*& kept = present ? newest : old;
    if (kept == nullptr) {
      kept = pod;
    } else {
      plan.remove.push_back(pod);
    }
  }
  if (newest == nullptr || old == nullptr) return;
  if (!kube::is_ready(*old) || is_available(daemons, *newest)) plan.remove.push_back(old);
}

void plan_node(const Daemons& daemons, const std::string& node, const Fit& fit, bool surges, DaemonPlan& plan) {
  const auto found = daemons.pods.find(node);
  if (found == daemons.pods.end()) {
    if (fit.should_run) plan.create_on.push_back(node);
    return;
  }
  Pods running;
  for (const kube::Pod* pod : found->second) {
    if (kube::is_terminating(*pod)) continue;
    if (!fit.may_stay) {
      plan.remove.push_back(pod);
    } else if (pod->status().phase() == "Failed") {
      plan.failed.push_back({pod, node});
    } else if (pod->status().phase() == "Succeeded") {
      plan.succeeded.push_back({pod, node});
    } else {
      running.push_back(pod);
    }
  }
  if (!fit.may_stay) return;
  sort_oldest_first(running);
  // Upstream the oldest stays whatever it does; one that serves is not given up for one that does not yet.
  std::stable_partition(running.begin(), running.end(),
                        [&](const kube::Pod* pod) { return is_available(daemons, *pod); });
  if (!surges) {
    for (size_t i = 1; i < running.size(); ++i) plan.remove.push_back(running[i]);
  } else if (running.empty()) {
    // One that is on its way out is not waited for.
    if (fit.should_run) plan.create_on.push_back(node);
  } else {
    prune_surging(daemons, running, plan);
  }
}

// The pods of a node that are not on their way out. `mixed`: more than one of a kind, which placement cleans up first.
struct OnNode {
  const kube::Pod* updated = nullptr;
  const kube::Pod* old = nullptr;
  bool mixed = false;
};
OnNode look_at(const Daemons& daemons, const Pods& pods) {
  OnNode out;
  for (const kube::Pod* pod : pods) {
    if (kube::is_terminating(*pod)) continue;
    const kube::Pod*& slot = is_updated(daemons.set, *pod, daemons.hash) ? out.updated : out.old;
    out.mixed = out.mixed || slot != nullptr;
    slot = pod;
  }
  return out;
}

// Old pods that serve nobody go at once; of the others so many as leave no more nodes without one than are allowed.
DaemonPlan replace_in_place(const Daemons& daemons, const std::map<std::string, Pods>& by_node, int32_t allowed) {
  DaemonPlan plan;
  Pods candidates;
  int32_t unavailable = 0;
  for (const auto& [node, pods] : by_node) {
    const OnNode here = look_at(daemons, pods);
    const bool one = (here.updated == nullptr) != (here.old == nullptr);
    if (here.mixed || !one) {
      ++unavailable;  // placement is about to put it right
    } else if (here.updated != nullptr) {
      unavailable += is_available(daemons, *here.updated) ? 0 : 1;
    } else if (!is_available(daemons, *here.old)) {
      plan.remove.push_back(here.old);
      ++unavailable;
    } else {
      candidates.push_back(here.old);
    }
  }
  const auto room = static_cast<size_t>(std::max(0, allowed - unavailable));
  plan.remove.insert(plan.remove.end(), candidates.begin(),
                     candidates.begin() + static_cast<std::ptrdiff_t>(std::min(room, candidates.size())));
  return plan;
}

// Where an old pod serves nobody a new one comes at once; elsewhere so many as are allowed. An old one goes when the
// new one serves. Where none is wanted any more the old one goes when enough others serve.
DaemonPlan replace_beside(const Daemons& daemons, const std::map<std::string, Pods>& by_node, int32_t allowed,
                          int32_t wanted) {
  DaemonPlan plan;
  Pods unwanted;
  std::vector<std::string> candidates;
  int32_t surging = 0, available = 0;
  for (const auto& [node, pods] : by_node) {
    const OnNode here = look_at(daemons, pods);
    if (here.mixed) {
      ++surging;
      continue;
    }
    const kube::Pod* first = here.old != nullptr ? here.old : here.updated;
    const bool serves = first != nullptr && is_available(daemons, *first);
    available += serves ? 1 : 0;
    if (here.old == nullptr) continue;
    if (here.updated != nullptr) {
      if (is_available(daemons, *here.updated)) {
        plan.remove.push_back(here.old);
      } else {
        ++surging;
      }
      continue;
    }
    const auto fit = daemons.nodes.find(node);
    const bool should_run = fit != daemons.nodes.end() && fit->second.should_run;
    if (serves) {
      if (should_run) {
        candidates.push_back(node);
      } else {
        unwanted.push_back(here.old);
      }
    } else if (should_run) {
      plan.create_on.push_back(node);
    } else if (fit != daemons.nodes.end()) {
      plan.remove.push_back(here.old);
    }
  }
  const auto spare = static_cast<size_t>(std::max(0, available - wanted));
  plan.remove.insert(plan.remove.end(), unwanted.begin(),
                     unwanted.begin() + static_cast<std::ptrdiff_t>(std::min(spare, unwanted.size())));
  const auto room = static_cast<size_t>(std::max(0, allowed - surging));
  plan.create_on.insert(plan.create_on.end(), candidates.begin(),
                        candidates.begin() + static_cast<std::ptrdiff_t>(std::min(room, candidates.size())));
  return plan;
}

}  // namespace

Daemons::Daemons(const DaemonSet& daemon_set, const std::vector<NodeView>& all_nodes,
                 std::vector<const kube::Pod*> all_pods, std::string revision_hash, int64_t now)
    : set(daemon_set), hash(std::move(revision_hash)), now_s(now) {
  const Eligibility eligibility(daemon_set);
  for (const NodeView& node : all_nodes) nodes[node.name] = eligibility.on(node);
  for (const kube::Pod* pod : all_pods) {
    if (kube::is_terminal(*pod) && kube::is_terminating(*pod)) continue;
    const std::string node = target_node(*pod);
    if (!node.empty()) pods[node].push_back(pod);
  }
}

DaemonPlan plan_placement(const Daemons& daemons) {
  DaemonPlan plan;
  const bool surges = allows_surge(daemons.set);
  for (const auto& [node, fit] : daemons.nodes) plan_node(daemons, node, fit, surges, plan);
  // Pinned to a node that is gone, a pod is never placed; those that were on it are the node controller's affair.
  for (const auto& [node, pods] : daemons.pods) {
    if (daemons.nodes.contains(node)) continue;
    for (const kube::Pod* pod : pods) {
      if (pod->spec().nodename().empty() && !kube::is_terminating(*pod)) plan.remove.push_back(pod);
    }
  }
  return plan;
}

DaemonPlan plan_update(const Daemons& daemons) {
  if (daemons.set.spec().updatestrategy().type() != "RollingUpdate") return {};
  std::map<std::string, Pods> by_node = daemons.pods;
  int32_t wanted = 0;
  for (const auto& [node, fit] : daemons.nodes) {
    if (!fit.should_run) continue;
    ++wanted;
    by_node.try_emplace(node);
  }
  const UpdateLimits limits = limits_of(daemons.set, wanted);
  return limits.surge == 0 ? replace_in_place(daemons, by_node, limits.unavailable)
                           : replace_beside(daemons, by_node, limits.surge, wanted);
}

DaemonSetStatus status_of(const Daemons& daemons) {
  DaemonSetStatus status = daemons.set.status();
  int32_t desired = 0, current = 0, misscheduled = 0, ready = 0, updated = 0, available = 0;
  for (const auto& [node, fit] : daemons.nodes) {
    const auto found = daemons.pods.find(node);
    const bool scheduled = found != daemons.pods.end();
    if (!fit.should_run) {
      misscheduled += scheduled ? 1 : 0;
      continue;
    }
    ++desired;
    if (!scheduled) continue;
    ++current;
    Pods pods = found->second;
    sort_oldest_first(pods);
    const kube::Pod& first = *pods.front();
    if (kube::is_ready(first)) {
      ++ready;
      available += is_available(daemons, first) ? 1 : 0;
    }
    updated += is_updated(daemons.set, first, daemons.hash) ? 1 : 0;
  }
  status.set_observedgeneration(daemons.set.metadata().generation());
  status.set_desirednumberscheduled(desired);
  status.set_currentnumberscheduled(current);
  status.set_numbermisscheduled(misscheduled);
  status.set_numberready(ready);
  status.set_updatednumberscheduled(updated);
  status.set_numberavailable(available);
  status.set_numberunavailable(desired - available);
  return status;
}

int64_t next_look_s(const Daemons& daemons) {
  int64_t next = 0;
  for (const auto& [node, pods] : daemons.pods) {
    for (const kube::Pod* pod : pods) {
      const auto from = kube::available_from_s(*pod, daemons.set.spec().minreadyseconds());
      if (!from || *from <= daemons.now_s) continue;
      next = next == 0 ? *from : std::min(next, *from);
    }
  }
  return next;
}

}  // namespace orlop::workload
