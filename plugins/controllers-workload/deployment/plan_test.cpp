#include "plugins/controllers-workload/deployment/plan.hpp"

#include "plugins/controllers-workload/deployment/status.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

IntOrString number(int32_t value) {
  IntOrString out;
  out.set_type(0);
  out.set_intval(value);
  return out;
}
IntOrString percent(const std::string& text) {
  IntOrString out;
  out.set_type(1);
  out.set_strval(text);
  return out;
}
Deployment rolling(int32_t replicas, const IntOrString& surge, const IntOrString& unavailable) {
  Deployment out;
  out.mutable_metadata()->set_name("web");
  out.mutable_spec()->set_replicas(replicas);
  out.mutable_spec()->set_progressdeadlineseconds(600);
  auto& strategy = *out.mutable_spec()->mutable_strategy();
  strategy.set_type("RollingUpdate");
  *strategy.mutable_rollingupdate()->mutable_maxsurge() = surge;
  *strategy.mutable_rollingupdate()->mutable_maxunavailable() = unavailable;
  return out;
}
int32_t replicas_of(const std::vector<SetSize>& sets) {
  int32_t out = 0;
  for (const SetSize& set : sets) out += set.replicas;
  return out;
}

TEST(Limits, RoundSurgeUpAndUnavailableDown) {
  const Limits limits = limits_of(rolling(10, percent("25%"), percent("25%")));
  EXPECT_EQ(limits.max_surge, 3);
  EXPECT_EQ(limits.max_unavailable, 2);
  EXPECT_EQ(limits_of(rolling(1, percent("25%"), percent("25%"))).max_surge, 1);
  EXPECT_EQ(limits_of(rolling(1, percent("25%"), percent("25%"))).max_unavailable, 0);
}

TEST(Limits, BothZeroLeavesOneUnavailable) {
  const Limits limits = limits_of(rolling(3, number(0), percent("10%")));
  EXPECT_EQ(limits.max_surge, 0);
  EXPECT_EQ(limits.max_unavailable, 1);
}

TEST(Limits, NoMoreCanBeMissingThanThereAre) {
  EXPECT_EQ(limits_of(rolling(2, number(1), number(5))).max_unavailable, 2);
  EXPECT_EQ(limits_of(rolling(0, number(1), number(5))).max_unavailable, 0);
}

TEST(Limits, RecreateHasNone) {
  Deployment deployment = rolling(3, percent("25%"), percent("25%"));
  deployment.mutable_spec()->mutable_strategy()->set_type("Recreate");
  EXPECT_TRUE(limits_of(deployment).recreate);
  EXPECT_EQ(limits_of(deployment).max_surge, 0);
}

TEST(Limits, WhatIsNoPercentageIsTheFallback) {
  EXPECT_EQ(resolve(percent("x%"), 10, true, 7), 7);
  EXPECT_EQ(resolve(percent("5"), 10, true, 7), 7);
  EXPECT_EQ(resolve(percent(""), 10, true, 7), 7);
  EXPECT_EQ(resolve(percent("0%"), 10, true, 7), 0);
  EXPECT_EQ(resolve(percent("100%"), 10, false, 7), 10);
}

TEST(ShareOut, TheOnlySetTakesAll) {
  SetSize newest{"new", 3, 3, 4, 1};
  std::vector<SetSize> old{{"old", 0, 0, 4, 0}};
  share_out({.replicas = 7, .max_surge = 1, .max_unavailable = 0, .recreate = false}, &newest, old);
  EXPECT_EQ(newest.replicas, 7);
  EXPECT_EQ(old[0].replicas, 0);
}

TEST(ShareOut, WithNothingRunningTheYoungestSetTakesAll) {
  std::vector<SetSize> old{{"older", 0, 0, 4, 1}, {"younger", 0, 0, 4, 2}};
  share_out({.replicas = 3, .max_surge = 1, .max_unavailable = 0, .recreate = false}, nullptr, old);
  EXPECT_EQ(old[0].replicas, 0);
  EXPECT_EQ(old[1].replicas, 3);
}

TEST(ShareOut, GrowthGoesByShare) {
  // 10 replicas with surge 3 in the middle of a rollout: 8 old, 5 new; now 15 are wanted.
  SetSize newest{"new", 5, 3, 13, 2};
  std::vector<SetSize> old{{"old", 8, 8, 13, 1}};
  share_out({.replicas = 15, .max_surge = 3, .max_unavailable = 0, .recreate = false}, &newest, old);
  EXPECT_EQ(old[0].replicas, 11);
  EXPECT_EQ(newest.replicas, 7);
}

TEST(ShareOut, ToNothingLeavesNothing) {
  SetSize newest{"new", 5, 3, 13, 2};
  std::vector<SetSize> old{{"old", 8, 8, 13, 1}};
  share_out({.replicas = 0, .max_surge = 2, .max_unavailable = 0, .recreate = false}, &newest, old);
  EXPECT_EQ(old[0].replicas, 0);
  EXPECT_EQ(newest.replicas, 0);
}

TEST(ShareOut, TheSumIsWhatIsAllowedWhateverTheShares) {
  std::mt19937 random(7);
  const auto pick = [&](int most) { return static_cast<int32_t>(random() % static_cast<unsigned>(most + 1)); };
  for (int round = 0; round < 2000; ++round) {
    const int32_t surge = pick(5);
    SetSize newest{"new", 1 + pick(10), 0, 0, 9};
    std::vector<SetSize> old;
    for (int i = 0; i < 1 + pick(3); ++i) old.push_back({"o" + std::to_string(i), 1 + pick(10), 0, 0, i});
    const int32_t most_before = newest.replicas + replicas_of(old);
    newest.max_replicas_annotation = most_before;
    for (SetSize& set : old) set.max_replicas_annotation = most_before;
    const Limits limits{.replicas = 1 + pick(40), .max_surge = surge, .max_unavailable = 0, .recreate = false};
    share_out(limits, &newest, old);
    ASSERT_EQ(newest.replicas + replicas_of(old), limits.replicas + limits.max_surge) << "round " << round;
    ASSERT_GE(newest.replicas, 0);
    for (const SetSize& set : old) ASSERT_GE(set.replicas, 0);
  }
}

// A world in which pods come and break as they like: at no step are there too many, nor is what is available taken away
// below the bound, and once pods hold still it ends with the newest alone.
TEST(StepRolling, KeepsItsBoundsAndEnds) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int32_t most) {
      return static_cast<int32_t>(random() % (static_cast<unsigned>(std::max(0, most)) + 1));
    };
    Limits limits{.replicas = pick(12), .max_surge = pick(4), .max_unavailable = pick(4), .recreate = false};
    if (limits.max_surge == 0 && limits.max_unavailable == 0) limits.max_unavailable = 1;
    limits.max_unavailable = std::min(limits.max_unavailable, limits.replicas);
    SetSize newest{"new", 0, 0, 0, 99};
    std::vector<SetSize> old;
    int32_t left = limits.replicas;
    for (int i = 0; left > 0; ++i) {
      const int32_t part = 1 + pick(left - 1);
      old.push_back({"o" + std::to_string(i), part, pick(part), 0, i});
      left -= part;
    }
    const int32_t most = limits.replicas + limits.max_surge;
    const int32_t least = limits.replicas - limits.max_unavailable;
    int step = 0;
    for (; step < 500; ++step) {
      const auto available = [&] {
        int32_t out = std::min(newest.available, newest.replicas);
        for (const SetSize& set : old) out += std::min(set.available, set.replicas);
        return out;
      };
      const int32_t before = available();
      step_rolling(limits, newest, old, std::max(0, newest.replicas - newest.available));
      ASSERT_LE(newest.replicas + replicas_of(old), std::max(most, limits.replicas)) << "seed " << seed;
      // Which of a set's pods go is the ReplicaSet's affair, and it takes the broken ones first.
      ASSERT_GE(available(), std::min(before, least)) << "seed " << seed;
      for (SetSize& set : old) set.available = std::min(set.available, set.replicas);
      newest.available = std::min(newest.replicas, newest.available + (step < 100 ? pick(2) : 2));
      for (SetSize& set : old) {
        if (step < 100 && pick(6) == 0) set.available = pick(set.replicas);
      }
      if (newest.available == limits.replicas && replicas_of(old) == 0) break;
    }
    ASSERT_LT(step, 500) << "seed " << seed << " does not end";
  }
}

TEST(StepRolling, BrokenOldPodsGoFirst) {
  SetSize newest{"new", 1, 0, 0, 9};
  std::vector<SetSize> old{{"good", 2, 2, 0, 1}, {"broken", 1, 0, 0, 2}};
  EXPECT_TRUE(step_rolling({.replicas = 3, .max_surge = 1, .max_unavailable = 1, .recreate = false}, newest, old, 1));
  const auto of = [&](const char* name) {
    return std::find_if(old.begin(), old.end(), [&](const SetSize& set) { return set.name == name; })->replicas;
  };
  EXPECT_EQ(of("broken"), 0);
  EXPECT_EQ(of("good"), 2);
}

TEST(TemplateHash, WhatSaysNothingDoesNotCount) {
  k8s::io::api::core::v1::PodTemplateSpec a;
  a.mutable_spec()->add_containers()->set_image("web");
  k8s::io::api::core::v1::PodTemplateSpec b = a;
  b.mutable_spec()->mutable_containers(0)->mutable_resources();
  b.mutable_spec()->mutable_securitycontext();
  EXPECT_TRUE(same_template(a, b));
  EXPECT_EQ(template_hash(a, 0), template_hash(b, 0));
  b.mutable_spec()->mutable_securitycontext()->set_runasnonroot(false);
  EXPECT_FALSE(same_template(a, b));
}

TEST(TemplateHash, IsOfTheTemplateAlone) {
  k8s::io::api::core::v1::PodTemplateSpec a;
  for (int i = 0; i < 20; ++i) (*a.mutable_metadata()->mutable_labels())["k" + std::to_string(i)] = "v";
  k8s::io::api::core::v1::PodTemplateSpec b;
  for (int i = 19; i >= 0; --i) (*b.mutable_metadata()->mutable_labels())["k" + std::to_string(i)] = "v";
  EXPECT_TRUE(same_template(a, b));
  EXPECT_EQ(template_hash(a, 0), template_hash(b, 0));
  (*b.mutable_metadata()->mutable_labels())[kHashLabel] = "x";
  EXPECT_TRUE(same_template(a, b));
  EXPECT_EQ(template_hash(a, 0), template_hash(b, 0));
  EXPECT_NE(template_hash(a, 0), template_hash(a, 1));
  b.mutable_spec()->add_containers()->set_image("nginx");
  EXPECT_FALSE(same_template(a, b));
  EXPECT_NE(template_hash(a, 0), template_hash(b, 0));
}

const k8s::io::api::apps::v1::DeploymentCondition* condition(const Deployment& deployment, const std::string& type) {
  for (const auto& candidate : deployment.status().conditions()) {
    if (candidate.type() == type) return &candidate;
  }
  return nullptr;
}
ReplicaSet set_of(const std::string& name, int32_t replicas, int32_t available) {
  ReplicaSet out;
  out.mutable_metadata()->set_name(name);
  out.mutable_spec()->set_replicas(replicas);
  out.mutable_status()->set_replicas(replicas);
  out.mutable_status()->set_readyreplicas(available);
  out.mutable_status()->set_availablereplicas(available);
  return out;
}

TEST(FillStatus, CountsAllSets) {
  Deployment deployment = rolling(3, number(1), number(0));
  const ReplicaSet old = set_of("old", 2, 2), newest = set_of("new", 2, 1);
  EXPECT_EQ(fill_status(deployment, &newest, {&old, &newest}, 1000), 600);
  const auto& status = deployment.status();
  EXPECT_EQ(status.replicas(), 4);
  EXPECT_EQ(status.updatedreplicas(), 2);
  EXPECT_EQ(status.availablereplicas(), 3);
  EXPECT_EQ(status.unavailablereplicas(), 1);
  EXPECT_EQ(condition(deployment, "Available")->reason(), "MinimumReplicasAvailable");
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "NewReplicaSetCreated");
}

TEST(FillStatus, FromCreatedToComplete) {
  Deployment deployment = rolling(1, number(1), number(0));
  ReplicaSet newest = set_of("new", 1, 0);
  fill_status(deployment, &newest, {&newest}, 1000);
  EXPECT_EQ(condition(deployment, "Available")->status(), "False");
  EXPECT_EQ(condition(deployment, "Available")->reason(), "MinimumReplicasUnavailable");
  newest = set_of("new", 1, 1);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 1010), 0);
  EXPECT_EQ(condition(deployment, "Available")->status(), "True");
  EXPECT_EQ(condition(deployment, "Available")->lasttransitiontime().seconds(), 1010);
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "NewReplicaSetAvailable");
  EXPECT_EQ(condition(deployment, "Progressing")->message(), "ReplicaSet \"new\" has successfully progressed.");
  EXPECT_EQ(condition(deployment, "Progressing")->lasttransitiontime().seconds(), 1000);
  // A pod that breaks later is no failed rollout.
  newest = set_of("new", 1, 0);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 5000), 0);
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "NewReplicaSetAvailable");
}

TEST(FillStatus, TheDeadlineCountsFromTheLastProgress) {
  Deployment deployment = rolling(2, number(1), number(0));
  ReplicaSet newest = set_of("new", 2, 0);
  fill_status(deployment, &newest, {&newest}, 1000);
  newest = set_of("new", 2, 1);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 1500), 600);
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "ReplicaSetUpdated");
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 2099), 1);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 2100), 0);
  EXPECT_EQ(condition(deployment, "Progressing")->status(), "False");
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "ProgressDeadlineExceeded");
  EXPECT_EQ(condition(deployment, "Progressing")->message(), "ReplicaSet \"new\" has timed out progressing.");
}

TEST(FillStatus, PauseStopsTheClock) {
  Deployment deployment = rolling(1, number(1), number(0));
  const ReplicaSet newest = set_of("new", 1, 0);
  fill_status(deployment, &newest, {&newest}, 1000);
  deployment.mutable_spec()->set_paused(true);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 2000), 0);
  EXPECT_EQ(condition(deployment, "Progressing")->status(), "Unknown");
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "DeploymentPaused");
  deployment.mutable_spec()->set_paused(false);
  EXPECT_EQ(fill_status(deployment, &newest, {&newest}, 9000), 600);
  EXPECT_EQ(condition(deployment, "Progressing")->reason(), "DeploymentResumed");
}

TEST(FillStatus, AFailureOfTheSetIsTheDeploymentsToo) {
  Deployment deployment = rolling(1, number(1), number(0));
  ReplicaSet newest = set_of("new", 1, 0);
  auto& failure = *newest.mutable_status()->add_conditions();
  failure.set_type("ReplicaFailure");
  failure.set_status("True");
  failure.set_reason("FailedCreate");
  failure.set_message("pods \"web\" is forbidden");
  fill_status(deployment, &newest, {&newest}, 1000);
  ASSERT_NE(condition(deployment, "ReplicaFailure"), nullptr);
  EXPECT_EQ(condition(deployment, "ReplicaFailure")->reason(), "FailedCreate");
  EXPECT_EQ(condition(deployment, "ReplicaFailure")->message(), "pods \"web\" is forbidden");
  newest.mutable_status()->clear_conditions();
  fill_status(deployment, &newest, {&newest}, 1001);
  EXPECT_EQ(condition(deployment, "ReplicaFailure"), nullptr);
}

}  // namespace
}  // namespace orlop::workload
