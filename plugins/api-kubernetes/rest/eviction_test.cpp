#include "plugins/api-kubernetes/rest/eviction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::rest {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'700'000'000;

kube::Pod pod_of(const std::string& phase, bool ready) {
  kube::Pod pod;
  pod.mutable_metadata()->set_name("web-1");
  (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
  pod.mutable_status()->set_phase(phase);
  auto& condition = *pod.mutable_status()->add_conditions();
  condition.set_type("Ready");
  condition.set_status(ready ? "True" : "False");
  return pod;
}

StoredBudget budget_of(int32_t allowed, int32_t healthy, int32_t desired) {
  StoredBudget budget;
  auto& object = budget.object;
  budget.revision = 7;
  object.mutable_metadata()->set_name("pdb");
  object.mutable_metadata()->set_generation(2);
  (*object.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
  object.mutable_status()->set_observedgeneration(2);
  object.mutable_status()->set_disruptionsallowed(allowed);
  object.mutable_status()->set_currenthealthy(healthy);
  object.mutable_status()->set_desiredhealthy(desired);
  return budget;
}

TEST(Eviction, OfAPodWithoutBudgetIsFree) {
  auto plan = plan_eviction(pod_of("Running", true), {}, kNow);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->budget || plan->pod_unchanged);
  StoredBudget other = budget_of(0, 1, 1);
  (*other.object.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "db";
  EXPECT_TRUE(plan_eviction(pod_of("Running", true), {other}, kNow));
  other.object.mutable_spec()->clear_selector();
  EXPECT_TRUE(plan_eviction(pod_of("Running", true), {other}, kNow));
}

TEST(Eviction, TakesOneDisruptionFromTheBudget) {
  auto plan = plan_eviction(pod_of("Running", true), {budget_of(2, 3, 1)}, kNow);
  ASSERT_TRUE(plan && plan->budget);
  EXPECT_EQ(plan->budget->revision, 7u);
  const auto& status = plan->budget->object.status();
  EXPECT_EQ(status.disruptionsallowed(), 1);
  EXPECT_EQ(status.disruptedpods().at("web-1").seconds(), kNow);
  EXPECT_TRUE(status.conditions().empty());

  auto last = plan_eviction(pod_of("Running", true), {budget_of(1, 2, 1)}, kNow);
  ASSERT_TRUE(last && last->budget);
  ASSERT_EQ(last->budget->object.status().conditions_size(), 1);
  EXPECT_EQ(last->budget->object.status().conditions(0).reason(), "InsufficientPods");
  EXPECT_EQ(last->budget->object.status().conditions(0).status(), "False");
}

TEST(Eviction, IsRefusedWhenTheBudgetAllowsNone) {
  auto refused = plan_eviction(pod_of("Running", true), {budget_of(0, 1, 1)}, kNow);
  ASSERT_EQ(refused.code(), Code::kTooManyRequests);
  EXPECT_EQ(refused.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
  ASSERT_EQ(refused.status().causes().size(), 1u);
  EXPECT_EQ(refused.status().causes()[0].reason, "DisruptionBudget");
  EXPECT_EQ(refused.status().causes()[0].message, "The disruption budget pdb needs 1 healthy pods and has 1 currently");
  // Without a moment to come again at: clients have their own patience.
  EXPECT_EQ(refused.status().retry_after_s(), 0);

  StoredBudget failed = budget_of(0, 1, 1);
  kube::set_disruption_allowed(failed.object, false, "SyncFailed", "found no controllers for pod \"x\"", kNow);
  EXPECT_EQ(plan_eviction(pod_of("Running", true), {failed}, kNow).status().causes()[0].message,
            "The disruption budget pdb does not allow evicting pods currently because it failed sync: "
            "found no controllers for pod \"x\"");
}

TEST(Eviction, WaitsForAControllerThatHasNotSeenTheBudget) {
  StoredBudget stale = budget_of(5, 6, 1);
  stale.object.mutable_metadata()->set_generation(3);
  auto refused = plan_eviction(pod_of("Running", true), {stale}, kNow);
  ASSERT_EQ(refused.code(), Code::kTooManyRequests);
  EXPECT_EQ(refused.status().retry_after_s(), 10);
  EXPECT_EQ(refused.status().causes()[0].message, "The disruption budget pdb is still being processed by the server.");

  StoredBudget negative = budget_of(-1, 0, 1);
  EXPECT_EQ(plan_eviction(pod_of("Running", true), {negative}, kNow).message(),
            "poddisruptionbudget.policy \"pdb\" is forbidden: pdb disruptions allowed is negative");
  StoredBudget full = budget_of(1, 2, 1);
  for (int i = 0; i <= 2000; ++i) (*full.object.mutable_status()->mutable_disruptedpods())["p" + std::to_string(i)];
  EXPECT_THAT(plan_eviction(pod_of("Running", true), {full}, kNow).message(), HasSubstr("DisruptedPods map too big"));
}

TEST(Eviction, AsksNoBudgetForPodsThatServeNothing) {
  for (const char* phase : {"Succeeded", "Failed", "Pending"}) {
    auto plan = plan_eviction(pod_of(phase, false), {budget_of(0, 1, 1), budget_of(0, 1, 1)}, kNow);
    ASSERT_TRUE(plan) << phase;
    EXPECT_FALSE(plan->budget);
  }
  kube::Pod going = pod_of("Running", true);
  going.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(kNow);
  EXPECT_TRUE(plan_eviction(going, {budget_of(0, 1, 1)}, kNow));
}

TEST(Eviction, OfAnUnhealthyPodGoesByTheBudgetsPolicy) {
  const kube::Pod unready = pod_of("Running", false);
  auto enough = plan_eviction(unready, {budget_of(0, 2, 2)}, kNow);
  ASSERT_TRUE(enough);
  EXPECT_TRUE(enough->pod_unchanged);
  EXPECT_FALSE(enough->budget);
  EXPECT_EQ(plan_eviction(unready, {budget_of(0, 1, 2)}, kNow).code(), Code::kTooManyRequests);
  EXPECT_EQ(plan_eviction(unready, {budget_of(0, 0, 0)}, kNow).code(), Code::kTooManyRequests);
  StoredBudget always = budget_of(0, 0, 2);
  always.object.mutable_spec()->set_unhealthypodevictionpolicy("AlwaysAllow");
  auto allowed = plan_eviction(unready, {always}, kNow);
  ASSERT_TRUE(allowed);
  EXPECT_TRUE(allowed->pod_unchanged);
  EXPECT_EQ(plan_eviction(pod_of("Running", true), {always}, kNow).code(), Code::kTooManyRequests);
}

TEST(Eviction, KnowsOneBudgetForAPod) {
  auto refused = plan_eviction(pod_of("Running", true), {budget_of(1, 2, 1), budget_of(1, 2, 1)}, kNow);
  ASSERT_EQ(refused.code(), Code::kInternal);
  EXPECT_EQ(refused.message(),
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
}

TEST(Eviction, MarksThePodThatItLeavesBehind) {
  kube::Pod pod = pod_of("Running", true);
  mark_evicted(pod, kNow);
  mark_evicted(pod, kNow + 5);
  ASSERT_EQ(pod.status().conditions_size(), 2);
  const auto& condition = pod.status().conditions(1);
  EXPECT_EQ(condition.type(), "DisruptionTarget");
  EXPECT_EQ(condition.status(), "True");
  EXPECT_EQ(condition.reason(), "EvictionByEvictionAPI");
  EXPECT_EQ(condition.message(), "Eviction API: evicting");
  EXPECT_EQ(condition.lasttransitiontime().seconds(), kNow);
}

}  // namespace
}  // namespace orlop::rest
