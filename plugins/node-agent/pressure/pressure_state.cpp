#include "plugins/node-agent/pressure/pressure_state.hpp"

#include <algorithm>

namespace orlop::agent {
namespace {

// Within twice the threshold it could be crossed between two slow looks.
bool is_near(const Threshold& threshold, const Observations& observations) {
  const auto observed = observations.find(threshold.signal);
  return observed != observations.end() &&
         observed->second.available < 2 * threshold.value.of(observed->second.capacity);
}

}  // namespace

PressureDecision PressureState::look(const Observations& observations, int64_t now_ns) {
  PressureDecision out;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Threshold& threshold = config_.thresholds[i];
    Entry& entry = entries_[i];
    const bool met = is_met(threshold, observations, false) || (entry.acted && is_met(threshold, observations, true));
    // Disks do not fill within seconds without a sign; memory does.
    if (threshold.signal == Signal::kMemoryAvailable && is_near(threshold, observations)) out.near = true;
    if (!met) {
      entry = {};
      continue;
    }
    if (!entry.first_ns) entry.first_ns = now_ns;
    last_ns_[condition_of(threshold.signal)] = now_ns;
    entry.acted = now_ns - *entry.first_ns >= threshold.grace_ns;
    out.near = true;
    if (entry.acted) out.act.push_back(threshold);
  }
  std::stable_sort(out.act.begin(), out.act.end(), [](const Threshold& a, const Threshold& b) {
    return (a.signal == Signal::kMemoryAvailable) > (b.signal == Signal::kMemoryAvailable);
  });
  for (const auto& [condition, last_ns] : last_ns_) {
    if (last_ns == now_ns || now_ns - last_ns < config_.transition_ns) out.conditions.insert(condition);
  }
  return out;
}

}  // namespace orlop::agent
