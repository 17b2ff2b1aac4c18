// The scheduler against a kernel in memory.
#include "plugins/sched-default/scheduler.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/sched-default/test_objects.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::sched {
namespace {

using namespace std::chrono_literals;
using Event = k8s::io::api::core::v1::Event;

class SchedulerTest : public ::testing::Test {
 protected:
  // Binding is the kind's own rule in a real kernel: here its subresource writes what the scheduler may write.
  SchedulerTest() {
    kernel_.on_admit([](const v1::Review& review) {
      v1::Verdict verdict;
      if (review.write().subresource() == "binding") verdict.set_value(review.write().value());
      return verdict;
    });
  }
  void add_node(const core::Node& node) { ASSERT_TRUE(kernel_.create("nodes", node)); }
  kube::Pod add_pod(const kube::Pod& pod) { return *kernel_.create("pods", pod); }
  kube::Pod pod(const std::string& name) { return *kernel_.get<kube::Pod>("pods", "default", name); }
  void settle() {
    for (int i = 0; i < 20; ++i) {
      if (scheduler_.run_once() == 0 && i > 2) return;
    }
  }
  std::vector<std::string> events(const std::string& reason) {
    std::vector<std::string> out;
    for (const Event& event : kernel_.list<Event>("events", "default")) {
      if (event.reason() == reason) out.push_back(event.message());
    }
    return out;
  }

  testing::FakeKernel kernel_;
  Scheduler scheduler_{kernel_.host(), {}};
};

TEST_F(SchedulerTest, BindsAndTells) {
  add_node(make_node("n"));
  add_pod(make_pod("p"));
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "n");
  const kube::Pod bound = pod("p");
  const auto* scheduled = kube::find_condition(bound, "PodScheduled");
  ASSERT_NE(scheduled, nullptr);
  EXPECT_EQ(scheduled->status(), "True");
  EXPECT_THAT(events("Scheduled"), ::testing::ElementsAre("Successfully assigned default/p to n"));
}

TEST_F(SchedulerTest, LeavesOthersPodsAlone) {
  add_node(make_node("n"));
  kube::Pod other = make_pod("other");
  other.mutable_spec()->set_schedulername("another");
  add_pod(other);
  kube::Pod gated = make_pod("gated");
  gated.mutable_spec()->add_schedulinggates()->set_name("wait");
  add_pod(gated);
  kube::Pod ended = make_pod("ended");
  ended.mutable_status()->set_phase("Failed");
  add_pod(ended);
  settle();
  EXPECT_EQ(pod("other").spec().nodename(), "");
  EXPECT_EQ(pod("gated").spec().nodename(), "");
  EXPECT_EQ(pod("ended").spec().nodename(), "");
  gated = pod("gated");
  gated.mutable_spec()->clear_schedulinggates();
  ASSERT_TRUE(kernel_.update("pods", gated));
  settle();
  EXPECT_EQ(pod("gated").spec().nodename(), "n");
}

TEST_F(SchedulerTest, AConflictIsTriedAgain) {
  add_node(make_node("n"));
  add_pod(make_pod("p"));
  kernel_.conflict_commits(1);
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "n");
}

TEST_F(SchedulerTest, OneThatStandsInTheWayDoesNotHoldUpItsBatch) {
  add_node(make_node("n"));
  for (int i = 0; i < 10; ++i) add_pod(make_pod("p" + std::to_string(i)));
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().subresource() != "binding") return verdict;
    if (review.write().key().name() == "p4") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("not this one");
    }
    verdict.set_value(review.write().value());
    return verdict;
  });
  settle();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pod("p" + std::to_string(i)).spec().nodename(), i == 4 ? "" : "n") << i;
  }
  EXPECT_TRUE(kernel_.logged("not this one"));
}

TEST_F(SchedulerTest, WhatFitsNowhereSaysWhyAndGoesWhenANodeComes) {
  add_node(make_node("small", "1"));
  add_pod(make_pod("p", "2"));
  settle();
  const kube::Pod refused = pod("p");
  const auto* scheduled = kube::find_condition(refused, "PodScheduled");
  ASSERT_NE(scheduled, nullptr);
  EXPECT_EQ(scheduled->status(), "False");
  EXPECT_EQ(scheduled->reason(), "Unschedulable");
  EXPECT_EQ(scheduled->message(), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(events("FailedScheduling").size(), 1u);
  add_node(make_node("large", "8"));
  settle();
  kernel_.advance(2s);
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "large");
  const kube::Pod bound = pod("p");
  EXPECT_EQ(kube::find_condition(bound, "PodScheduled")->status(), "True");
}

TEST_F(SchedulerTest, RoomThatAPodLeavesIsUsed) {
  add_node(make_node("n", "2"));
  add_pod(make_pod("first", "2"));
  settle();
  add_pod(make_pod("second", "2"));
  settle();
  EXPECT_EQ(pod("second").spec().nodename(), "");
  kernel_.advance(2s);
  ASSERT_TRUE(kernel_.remove("pods", "default", "first"));
  settle();
  EXPECT_EQ(pod("second").spec().nodename(), "n");
}

TEST_F(SchedulerTest, APodThatIsChangedIsTriedAgainAtOnce) {
  core::Node node = make_node("n");
  auto& taint = *node.mutable_spec()->add_taints();
  taint.set_key("a");
  taint.set_effect("NoSchedule");
  add_node(node);
  add_pod(make_pod("p"));
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "");
  kube::Pod changed = pod("p");
  auto& toleration = *changed.mutable_spec()->add_tolerations();
  toleration.set_key("a");
  toleration.set_operator_("Exists");
  ASSERT_TRUE(kernel_.update("pods", changed));
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "n");
}

TEST_F(SchedulerTest, ATaintThatIsExchangedIsNews) {
  core::Node node = make_node("n");
  auto& taint = *node.mutable_spec()->add_taints();
  taint.set_key("a");
  taint.set_effect("NoSchedule");
  node = *kernel_.create("nodes", node);
  kube::Pod wanting = make_pod("p");
  auto& toleration = *wanting.mutable_spec()->add_tolerations();
  toleration.set_key("b");
  toleration.set_operator_("Exists");
  add_pod(wanting);
  settle();
  kernel_.advance(2s);
  node.mutable_spec()->mutable_taints(0)->set_key("b");
  ASSERT_TRUE(kernel_.update("nodes", node));
  settle();
  EXPECT_EQ(pod("p").spec().nodename(), "n");
}

TEST_F(SchedulerTest, TheMoreImportantFirst) {
  add_node(make_node("n", "1"));
  add_pod(make_pod("plain", "1"));
  kube::Pod important = make_pod("important", "1");
  important.mutable_spec()->set_priority(1000);
  add_pod(important);
  settle();
  EXPECT_EQ(pod("important").spec().nodename(), "n");
  EXPECT_EQ(pod("plain").spec().nodename(), "");
}

TEST_F(SchedulerTest, ACompactedLogLosesNothing) {
  add_node(make_node("n", "2"));
  add_pod(make_pod("first", "1"));
  settle();
  add_pod(make_pod("second", "1"));
  add_pod(make_pod("third", "1"));
  kernel_.compact();
  settle();
  EXPECT_NE(pod("second").spec().nodename().empty(), pod("third").spec().nodename().empty());
}

TEST_F(SchedulerTest, ManyGoInFewTransactions) {
  for (int i = 0; i < 50; ++i) add_node(make_node("n" + std::to_string(i)));
  for (int i = 0; i < 1000; ++i) add_pod(make_pod("p" + std::to_string(i), "10m"));
  const size_t before = kernel_.plugin_commits();
  settle();
  for (const kube::Pod& bound : kernel_.list<kube::Pod>("pods")) ASSERT_FALSE(bound.spec().nodename().empty());
  EXPECT_GE(kernel_.plugin_commits() - before, 1000u / 64);
}

TEST_F(SchedulerTest, RunsByItsOwnThread) {
  kernel_.on_wake([this](uint32_t) { scheduler_.wake(); });
  ASSERT_TRUE(scheduler_.start());
  add_node(make_node("n"));
  add_pod(make_pod("p"));
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (pod("p").spec().nodename().empty() && std::chrono::steady_clock::now() < deadline) kernel_.run_until_idle();
  EXPECT_EQ(pod("p").spec().nodename(), "n");
  scheduler_.stop();
  kernel_.detach();
}

}  // namespace
}  // namespace orlop::sched
