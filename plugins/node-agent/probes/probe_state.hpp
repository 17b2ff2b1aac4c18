// What the answers of one probe of one container amount to. Pure.
//
// Follows the kubelet's worker: a value changes after as many equal answers in a row as its threshold asks for; a
// liveness or startup probe that has failed for good asks no more.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <cstdint>

namespace orlop::agent {

enum class ProbeKind { kStartup, kLiveness, kReadiness };
inline constexpr ProbeKind kProbeKinds[] = {ProbeKind::kStartup, ProbeKind::kLiveness, ProbeKind::kReadiness};

// "Startup", "Liveness", "Readiness", as events begin.
const char* name_of(ProbeKind kind);
// Null when the container has none of this kind.
const core::Probe* probe_of(const core::Container& container, ProbeKind kind);

class ProbeState {
 public:
  // `passed`: what it counts as before the first answer.
  ProbeState(ProbeKind kind, const core::Probe& spec, bool passed);

  // Whether the value is another now (or, for liveness and startup, whether it has failed for good). kUnknown says
  // nothing and changes nothing.
  bool record(CheckOutcome outcome);

  [[nodiscard]] bool passed() const { return passed_; }
  // Failed so often that the container is to be killed.
  [[nodiscard]] bool has_failed() const { return failed_; }

  // When to ask next, `now` being the moment of this answer. A container that has just started and is not ready is
  // asked each second until its first period is over: so it is ready within a second, not a period.
  [[nodiscard]] int64_t next_after_ns(int64_t age_ns) const;
  [[nodiscard]] int64_t period_ns() const { return period_ns_; }
  [[nodiscard]] int64_t initial_delay_ns() const { return initial_delay_ns_; }

 private:
  ProbeKind kind_;
  int64_t period_ns_;
  int64_t initial_delay_ns_;
  int success_threshold_;
  int failure_threshold_;
  bool passed_;
  bool failed_ = false;
  bool last_ = false;
  int run_ = 0;  // equal answers in a row
};

}  // namespace orlop::agent
