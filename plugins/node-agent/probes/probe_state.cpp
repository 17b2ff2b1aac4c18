#include "plugins/node-agent/probes/probe_state.hpp"

#include <algorithm>

namespace orlop::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

const char* name_of(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return "Startup";
    case ProbeKind::kLiveness:
      return "Liveness";
    case ProbeKind::kReadiness:
      return "Readiness";
  }
  return "";
}

const core::Probe* probe_of(const core::Container& container, ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return container.has_startupprobe() ? &container.startupprobe() : nullptr;
    case ProbeKind::kLiveness:
      return container.has_livenessprobe() ? &container.livenessprobe() : nullptr;
    case ProbeKind::kReadiness:
      return container.has_readinessprobe() ? &container.readinessprobe() : nullptr;
  }
  return nullptr;
}

ProbeState::ProbeState(ProbeKind kind, const core::Probe& spec, bool passed)
    : kind_(kind),
      period_ns_(std::max(1, spec.periodseconds()) * kSecond),
      initial_delay_ns_(std::max(0, spec.initialdelayseconds()) * kSecond),
      success_threshold_(std::max(1, spec.successthreshold())),
      failure_threshold_(std::max(1, spec.failurethreshold())),
      passed_(passed) {}

bool ProbeState::record(CheckOutcome outcome) {
  if (outcome == CheckOutcome::kUnknown || failed_) return false;
  const bool good = outcome != CheckOutcome::kFailure;
  run_ = run_ > 0 && last_ == good ? run_ + 1 : 1;
  last_ = good;
  if (run_ < (good ? success_threshold_ : failure_threshold_)) return false;
  if (!good && kind_ != ProbeKind::kReadiness) {
    passed_ = false;
    failed_ = true;
    return true;
  }
  if (passed_ == good) return false;
  passed_ = good;
  return true;
}

int64_t ProbeState::next_after_ns(int64_t age_ns) const {
  const bool young = kind_ == ProbeKind::kReadiness && !passed_ && age_ns < initial_delay_ns_ + period_ns_;
  return young ? std::min(kSecond, period_ns_) : period_ns_;
}

}  // namespace orlop::agent
