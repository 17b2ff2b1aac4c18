#include "plugins/controllers-workload/disruption/counts.hpp"

#include "orlop/kube/intstr.hpp"
#include "plugins/controllers-workload/deployment/plan.hpp"

#include <algorithm>

namespace orlop::workload {

bool needs_scales(const Budget& budget) {
  const auto& spec = budget.spec();
  return spec.has_maxunavailable() || (spec.has_minavailable() && spec.minavailable().type() != 0);
}

Counts count(const Budget& budget, const std::vector<Stored<kube::Pod>>& pods, int32_t scale, int64_t now_s) {
  Counts out;
  const auto& spec = budget.spec();
  if (spec.has_maxunavailable()) {
    out.expected = scale;
    out.desired_healthy = std::max(0, scale - resolve(spec.maxunavailable(), scale, true, 0));
  } else if (needs_scales(budget)) {
    out.expected = scale;
    out.desired_healthy = resolve(spec.minavailable(), scale, true, scale);
  } else if (spec.has_minavailable()) {
    out.expected = static_cast<int32_t>(pods.size());
    out.desired_healthy = spec.minavailable().intval();
  }
  const auto& evicted = budget.status().disruptedpods();
  for (const auto& stored : pods) {
    const kube::Pod& pod = stored.object;
    if (kube::is_terminating(pod)) continue;
    const auto found = evicted.find(pod.metadata().name());
    if (found != evicted.end()) {
      const int64_t given_up_s = found->second.seconds() + kDeletionTimeoutSeconds;
      if (given_up_s >= now_s) {
        out.disrupted.emplace_back(pod.metadata().name(), found->second.seconds());
        out.recheck_s = out.recheck_s == 0 ? given_up_s + 1 : std::min(out.recheck_s, given_up_s + 1);
        continue;
      }
      out.not_deleted.push_back(pod.metadata().name());
    }
    if (kube::is_ready(pod)) ++out.current_healthy;
  }
  return out;
}

void set_status(Budget& budget, const Counts& counts, int64_t now_s) {
  auto& status = *budget.mutable_status();
  // Without expected pods the budget guards those that come first, before their controllers are counted.
  const int32_t allowed = counts.expected <= 0 ? 0 : std::max(0, counts.current_healthy - counts.desired_healthy);
  status.set_currenthealthy(counts.current_healthy);
  status.set_desiredhealthy(counts.desired_healthy);
  status.set_expectedpods(counts.expected);
  status.set_disruptionsallowed(allowed);
  status.clear_disruptedpods();
  for (const auto& [name, at_s] : counts.disrupted) (*status.mutable_disruptedpods())[name].set_seconds(at_s);
  status.set_observedgeneration(budget.metadata().generation());
  kube::set_disruption_allowed(budget, now_s);
}

}  // namespace orlop::workload
