#include "plugins/controllers-workload/autoscaling/behavior.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

AutoscalerSpec plain_spec(int32_t minimum, int32_t maximum) {
  AutoscalerSpec spec;
  spec.set_minreplicas(minimum);
  spec.set_maxreplicas(maximum);
  return spec;
}

void add_policy(ScalingRules* rules, const char* type, int32_t value, int32_t period_seconds) {
  auto& policy = *rules->add_policies();
  policy.set_type(type);
  policy.set_value(value);
  policy.set_periodseconds(period_seconds);
}

// As the API defaults it, but for the stabilisation windows: none.
AutoscalerSpec spec_with_behavior(int32_t minimum, int32_t maximum) {
  AutoscalerSpec spec = plain_spec(minimum, maximum);
  auto* up = spec.mutable_behavior()->mutable_scaleup();
  up->set_selectpolicy("Max");
  up->set_stabilizationwindowseconds(0);
  auto* down = spec.mutable_behavior()->mutable_scaledown();
  down->set_selectpolicy("Max");
  down->set_stabilizationwindowseconds(0);
  return spec;
}

class BehaviorTest : public ::testing::Test {
 protected:
  // The target follows.
  Limited step(const AutoscalerSpec& spec, int32_t asked, int64_t after_s = 15) {
    now_ns_ += after_s * kSecondNs;
    history_.begin(current_, now_ns_);
    const Limited limited = history_.limit(spec, current_, asked, now_ns_);
    if (limited.replicas != current_) history_.scaled(spec, current_, limited.replicas, now_ns_);
    current_ = limited.replicas;
    return limited;
  }

  ScalingHistory history_;
  int32_t current_ = 1;
  int64_t now_ns_ = 1'000 * kSecondNs;
};

TEST_F(BehaviorTest, WithoutBehaviorAtMostDoublesOrMakesFour) {
  const AutoscalerSpec spec = plain_spec(1, 30);
  const Limited first = step(spec, 30);
  EXPECT_EQ(first.replicas, 4);
  EXPECT_TRUE(first.is_limited);
  EXPECT_EQ(first.limited_reason, "ScaleUpLimit");
  EXPECT_EQ(first.limited_message, "the desired replica count is increasing faster than the maximum scale rate");
  EXPECT_EQ(step(spec, 30).replicas, 8);
  EXPECT_EQ(step(spec, 30).replicas, 16);
  EXPECT_EQ(step(spec, 30).replicas, 30);
  const Limited above = step(spec, 50);
  EXPECT_EQ(above.replicas, 30);
  EXPECT_EQ(above.limited_reason, "TooManyReplicas");
  EXPECT_EQ(above.limited_message, "the desired replica count is more than the maximum replica count");
}

TEST_F(BehaviorTest, WithoutBehaviorShrinksAfterFiveMinutes) {
  const AutoscalerSpec spec = plain_spec(2, 10);
  current_ = 8;
  const Limited held = step(spec, 1);
  EXPECT_EQ(held.replicas, 8);
  EXPECT_EQ(held.able_reason, "ScaleDownStabilized");
  EXPECT_EQ(held.able_message,
            "recent recommendations were higher than current one, applying the highest recent recommendation");
  EXPECT_EQ(held.limited_reason, "DesiredWithinRange");
  EXPECT_EQ(step(spec, 1, 200).replicas, 8);
  const Limited down = step(spec, 1, 101);
  EXPECT_EQ(down.replicas, 2);
  EXPECT_EQ(down.able_reason, "ReadyForNewScale");
  EXPECT_EQ(down.limited_reason, "TooFewReplicas");
  EXPECT_TRUE(down.is_limited);
  const Limited same = step(spec, 2);
  EXPECT_FALSE(same.is_limited);
  EXPECT_EQ(same.limited_message, "the desired count is within the acceptable range");
}

TEST_F(BehaviorTest, DefaultScaleUpTakesTheGreaterOfItsPolicies) {
  AutoscalerSpec spec = spec_with_behavior(1, 100);
  add_policy(spec.mutable_behavior()->mutable_scaleup(), "Pods", 4, 15);
  add_policy(spec.mutable_behavior()->mutable_scaleup(), "Percent", 100, 15);
  EXPECT_EQ(step(spec, 100).replicas, 5);
  EXPECT_EQ(step(spec, 100).replicas, 10);
  EXPECT_EQ(step(spec, 100).replicas, 20);
  spec.mutable_behavior()->mutable_scaleup()->set_selectpolicy("Min");
  EXPECT_EQ(step(spec, 100).replicas, 24);
  spec.mutable_behavior()->mutable_scaleup()->set_selectpolicy("Disabled");
  EXPECT_EQ(step(spec, 100).replicas, 24);
}

TEST_F(BehaviorTest, APolicyCountsWhatItsPeriodHasSeen) {
  AutoscalerSpec spec = spec_with_behavior(1, 100);
  add_policy(spec.mutable_behavior()->mutable_scaleup(), "Pods", 4, 60);
  add_policy(spec.mutable_behavior()->mutable_scaledown(), "Pods", 1, 60);
  EXPECT_EQ(step(spec, 100).replicas, 5);
  EXPECT_EQ(step(spec, 100).replicas, 5);
  EXPECT_EQ(step(spec, 100, 46).replicas, 9);
  // From the five at the start of the period one may go.
  EXPECT_EQ(step(spec, 1).replicas, 4);
}

TEST_F(BehaviorTest, PercentIsRoundedForTheTargetToMove) {
  AutoscalerSpec spec = spec_with_behavior(1, 100);
  add_policy(spec.mutable_behavior()->mutable_scaleup(), "Percent", 10, 15);
  add_policy(spec.mutable_behavior()->mutable_scaledown(), "Percent", 10, 15);
  current_ = 5;
  EXPECT_EQ(step(spec, 50).replicas, 6);  // 5.5
  current_ = 5;
  const Limited down = step(spec, 1, 60);
  EXPECT_EQ(down.replicas, 4);  // 4.5
  EXPECT_EQ(down.limited_reason, "ScaleDownLimit");
  EXPECT_EQ(down.limited_message, "the desired replica count is decreasing faster than the maximum scale rate");
}

TEST_F(BehaviorTest, WindowsHoldBothDirections) {
  AutoscalerSpec spec = spec_with_behavior(1, 100);
  spec.mutable_behavior()->mutable_scaleup()->set_stabilizationwindowseconds(60);
  spec.mutable_behavior()->mutable_scaledown()->set_stabilizationwindowseconds(120);
  add_policy(spec.mutable_behavior()->mutable_scaleup(), "Percent", 1000, 15);
  add_policy(spec.mutable_behavior()->mutable_scaledown(), "Percent", 100, 15);
  current_ = 5;
  const Limited held = step(spec, 10);
  EXPECT_EQ(held.replicas, 5);
  EXPECT_EQ(held.able_reason, "ScaleUpStabilized");
  EXPECT_EQ(held.able_message,
            "recent recommendations were lower than current one, applying the lowest recent recommendation");
  EXPECT_EQ(step(spec, 8, 30).replicas, 5);
  EXPECT_EQ(step(spec, 12, 31).replicas, 8);
  const Limited down = step(spec, 2, 10);
  EXPECT_EQ(down.replicas, 8);
  EXPECT_EQ(step(spec, 2, 121).replicas, 2);
}

TEST_F(BehaviorTest, ADisabledDirectionStays) {
  AutoscalerSpec spec = spec_with_behavior(1, 100);
  add_policy(spec.mutable_behavior()->mutable_scaledown(), "Percent", 100, 15);
  spec.mutable_behavior()->mutable_scaledown()->set_selectpolicy("Disabled");
  current_ = 7;
  EXPECT_EQ(step(spec, 1).replicas, 7);
}

}  // namespace
}  // namespace orlop::workload
