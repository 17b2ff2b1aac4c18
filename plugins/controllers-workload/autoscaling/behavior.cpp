#include "plugins/controllers-workload/autoscaling/behavior.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int32_t kUpFactor = 2;
constexpr int32_t kUpMinimum = 4;

constexpr std::string_view kHigher =
    "recent recommendations were higher than current one, applying the highest recent recommendation";
constexpr std::string_view kLower =
    "recent recommendations were lower than current one, applying the lowest recent recommendation";

int32_t longest_period(const ScalingRules& rules) {
  int32_t longest = 0;
  for (const auto& policy : rules.policies()) longest = std::max(longest, policy.periodseconds());
  return longest;
}

void say(Limited& out, bool limited, std::string_view reason, std::string_view message) {
  out.is_limited = limited;
  out.limited_reason = reason;
  out.limited_message = message;
}

void within_range(Limited& out) {
  say(out, false, "DesiredWithinRange", "the desired count is within the acceptable range");
}

// Not more than `most`; says why when it is less than what was recommended.
void bound_above(Limited& out, int32_t most, int32_t rate, int32_t maximum) {
  if (out.replicas <= most) return within_range(out);
  out.replicas = most;
  if (maximum > rate) {
    say(out, true, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
  } else {
    say(out, true, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
  }
}

void bound_below(Limited& out, int32_t least, int32_t rate, int32_t minimum) {
  if (out.replicas >= least) return within_range(out);
  out.replicas = least;
  if (minimum < rate) {
    say(out, true, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
  } else {
    say(out, true, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
  }
}

template <typename Moments>
int32_t sum_since(const Moments& moments, int64_t since_ns) {
  int32_t sum = 0;
  for (const auto& moment : moments) sum += moment.at_ns > since_ns ? moment.value : 0;
  return sum;
}

template <typename Moments>
void forget_before(Moments& moments, int64_t before_ns) {
  std::erase_if(moments, [&](const auto& moment) { return moment.at_ns < before_ns; });
}

int32_t window_of(const ScalingRules& rules, int32_t fallback) {
  return rules.has_stabilizationwindowseconds() ? rules.stabilizationwindowseconds() : fallback;
}

int32_t minimum_of(const AutoscalerSpec& spec) {
  return spec.has_minreplicas() ? spec.minreplicas() : 1;
}

}  // namespace

void ScalingHistory::begin(int32_t current, int64_t now_ns) {
  if (recommendations_.empty()) recommendations_.push_back({now_ns, current});
}

Limited ScalingHistory::limit(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns) {
  if (!spec.has_behavior()) return limit_plainly(spec, current, asked, now_ns);
  Limited out;
  out.replicas = stabilize(spec, current, asked, now_ns);
  if (out.replicas == asked) {
    out.able_reason = "ReadyForNewScale";
    out.able_message = "recommended size matches current size";
  } else {
    out.able_reason = asked >= current ? "ScaleUpStabilized" : "ScaleDownStabilized";
    out.able_message = asked >= current ? kLower : kHigher;
  }
  if (out.replicas > current) {
    const int32_t rate = std::max(current, limit_up(spec.behavior().scaleup(), current, now_ns));
    bound_above(out, std::min(spec.maxreplicas(), rate), rate, spec.maxreplicas());
  } else if (out.replicas < current) {
    const int32_t rate = std::min(current, limit_down(spec.behavior().scaledown(), current, now_ns));
    bound_below(out, std::max(minimum_of(spec), rate), rate, minimum_of(spec));
  } else {
    within_range(out);
  }
  return out;
}

Limited ScalingHistory::limit_plainly(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns) {
  forget_before(recommendations_, now_ns - kDownscaleWindowSeconds * kSecondNs);
  Limited out;
  out.replicas = asked;
  for (const Moment& moment : recommendations_) out.replicas = std::max(out.replicas, moment.value);
  recommendations_.push_back({now_ns, asked});
  const bool as_asked = out.replicas == asked;
  out.able_reason = as_asked ? "ReadyForNewScale" : "ScaleDownStabilized";
  out.able_message = as_asked ? "recommended size matches current size" : kHigher;
  const int32_t minimum = minimum_of(spec);
  if (out.replicas < minimum) {
    bound_below(out, minimum, minimum, minimum);
  } else {
    const int32_t rate = std::max(kUpFactor * current, kUpMinimum);
    bound_above(out, std::min(spec.maxreplicas(), rate), rate, spec.maxreplicas());
  }
  return out;
}

int32_t ScalingHistory::stabilize(const AutoscalerSpec& spec, int32_t current, int32_t asked, int64_t now_ns) {
  const int64_t up_since = now_ns - window_of(spec.behavior().scaleup(), 0) * kSecondNs;
  const int64_t down_since = now_ns - window_of(spec.behavior().scaledown(), kDownscaleWindowSeconds) * kSecondNs;
  int32_t least = asked, most = asked;
  for (const Moment& moment : recommendations_) {
    if (moment.at_ns > up_since) least = std::min(least, moment.value);
    if (moment.at_ns > down_since) most = std::max(most, moment.value);
  }
  forget_before(recommendations_, std::min(up_since, down_since));
  recommendations_.push_back({now_ns, asked});
  return std::min(std::max(current, least), most);
}

int32_t ScalingHistory::at_start_of(int32_t period_seconds, int32_t current, int64_t now_ns) const {
  const int64_t since_ns = now_ns - period_seconds * kSecondNs;
  return current - sum_since(ups_, since_ns) + sum_since(downs_, since_ns);
}

int32_t ScalingHistory::limit_up(const ScalingRules& rules, int32_t current, int64_t now_ns) const {
  if (rules.selectpolicy() == "Disabled") return current;
  const bool smallest = rules.selectpolicy() == "Min";
  int32_t result = smallest ? std::numeric_limits<int32_t>::max() : std::numeric_limits<int32_t>::min();
  for (const auto& policy : rules.policies()) {
    const int32_t start = at_start_of(policy.periodseconds(), current, now_ns);
    const int32_t allowed = policy.type() == "Pods"
                                ? start + policy.value()
                                : static_cast<int32_t>(std::ceil(start * (1 + policy.value() / 100.0)));
    result = smallest ? std::min(result, allowed) : std::max(result, allowed);
  }
  return result;
}

int32_t ScalingHistory::limit_down(const ScalingRules& rules, int32_t current, int64_t now_ns) const {
  if (rules.selectpolicy() == "Disabled") return current;
  const bool smallest = rules.selectpolicy() == "Min";
  int32_t result = smallest ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
  for (const auto& policy : rules.policies()) {
    const int32_t start = at_start_of(policy.periodseconds(), current, now_ns);
    const int32_t allowed =
        policy.type() == "Pods" ? start - policy.value() : static_cast<int32_t>(start * (1 - policy.value() / 100.0));
    result = smallest ? std::max(result, allowed) : std::min(result, allowed);
  }
  return result;
}

void ScalingHistory::scaled(const AutoscalerSpec& spec, int32_t from, int32_t to, int64_t now_ns) {
  if (!spec.has_behavior()) return;
  const bool up = to > from;
  Moments& moments = up ? ups_ : downs_;
  const int32_t longest =
      std::max(longest_period(spec.behavior().scaleup()), longest_period(spec.behavior().scaledown()));
  forget_before(moments, now_ns - longest * kSecondNs);
  moments.push_back({now_ns, up ? to - from : from - to});
}

}  // namespace orlop::workload
