#include "plugins/controllers-workload/daemonset/plan.hpp"

#include "plugins/controllers-workload/daemonset/backoff.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
constexpr int64_t kNow = 1000;

NodeView node(const std::string& name, std::vector<kube::Taint> taints = {}) {
  return {name, {{"kubernetes.io/hostname", name}, {"disk", name == "n1" ? "ssd" : "hdd"}}, std::move(taints)};
}
kube::Taint taint(const std::string& key, const std::string& effect) {
  kube::Taint out;
  out.set_key(key);
  out.set_effect(effect);
  return out;
}
std::string fit_of(const DaemonSet& set, const NodeView& on) {
  const Fit fit = Eligibility(set).on(on);
  return fit.should_run ? "run" : fit.may_stay ? "stay" : "no";
}

TEST(Eligibility, SelectorsAffinityAndNames) {
  DaemonSet set;
  auto& spec = *set.mutable_spec()->mutable_template_()->mutable_spec();
  EXPECT_EQ(fit_of(set, node("n1")), "run");
  (*spec.mutable_nodeselector())["disk"] = "ssd";
  EXPECT_EQ(fit_of(set, node("n1")), "run");
  EXPECT_EQ(fit_of(set, node("n2")), "no");
  spec.clear_nodeselector();
  auto& required =
      *spec.mutable_affinity()->mutable_nodeaffinity()->mutable_requiredduringschedulingignoredduringexecution();
  auto& expression = *required.add_nodeselectorterms()->add_matchexpressions();
  expression.set_key("disk");
  expression.set_operator_("NotIn");
  expression.add_values("ssd");
  EXPECT_EQ(fit_of(set, node("n1")), "no");
  EXPECT_EQ(fit_of(set, node("n2")), "run");
  spec.clear_affinity();
  spec.set_nodename("n2");
  EXPECT_EQ(fit_of(set, node("n1")), "no");
  EXPECT_EQ(fit_of(set, node("n2")), "run");
}

TEST(Eligibility, Taints) {
  DaemonSet set;
  EXPECT_EQ(fit_of(set, node("n", {taint("special", "NoSchedule")})), "stay");
  EXPECT_EQ(fit_of(set, node("n", {taint("special", "NoExecute")})), "no");
  EXPECT_EQ(fit_of(set, node("n", {taint("special", "PreferNoSchedule")})), "run");
  const std::vector<kube::Taint> borne{taint("node.kubernetes.io/not-ready", "NoExecute"),
                                       taint("node.kubernetes.io/unreachable", "NoExecute"),
                                       taint("node.kubernetes.io/disk-pressure", "NoSchedule"),
                                       taint("node.kubernetes.io/memory-pressure", "NoSchedule"),
                                       taint("node.kubernetes.io/pid-pressure", "NoSchedule"),
                                       taint("node.kubernetes.io/unschedulable", "NoSchedule")};
  EXPECT_EQ(fit_of(set, node("n", borne)), "run");
  const NodeView no_network = node("n", {taint("node.kubernetes.io/network-unavailable", "NoSchedule")});
  EXPECT_EQ(fit_of(set, no_network), "stay");
  set.mutable_spec()->mutable_template_()->mutable_spec()->set_hostnetwork(true);
  EXPECT_EQ(fit_of(set, no_network), "run");
  set.mutable_spec()->mutable_template_()->mutable_spec()->add_tolerations()->set_operator_("Exists");
  EXPECT_EQ(fit_of(set, node("n", {taint("special", "NoExecute")})), "run");
}

TEST(Eligibility, APodIsPinnedAndLabelled) {
  DaemonSet set;
  set.mutable_metadata()->set_name("agent");
  set.mutable_metadata()->set_namespace_("default");
  (*set.mutable_metadata()->mutable_annotations())["deprecated.daemonset.template.generation"] = "3";
  auto& pod_template = *set.mutable_spec()->mutable_template_();
  (*pod_template.mutable_metadata()->mutable_labels())["app"] = "agent";
  auto& toleration = *pod_template.mutable_spec()->add_tolerations();
  toleration.set_key("node.kubernetes.io/not-ready");
  toleration.set_operator_("Exists");
  toleration.set_effect("NoExecute");
  toleration.set_tolerationseconds(30);
  const kube::Pod pod = new_daemon(set, "abc", "n7");
  EXPECT_EQ(pod.metadata().labels().at("app"), "agent");
  EXPECT_EQ(pod.metadata().labels().at("controller-revision-hash"), "abc");
  EXPECT_EQ(pod.metadata().labels().at("pod-template-generation"), "3");
  EXPECT_EQ(pod.spec().tolerations_size(), 6);
  EXPECT_FALSE(pod.spec().tolerations(0).has_tolerationseconds());
  EXPECT_EQ(pod.spec().nodename(), "");
  EXPECT_EQ(target_node(pod), "n7");
  const auto& terms = pod.spec().affinity().nodeaffinity().requiredduringschedulingignoredduringexecution();
  EXPECT_EQ(terms.nodeselectorterms(0).matchfields(0).key(), "metadata.name");
  EXPECT_TRUE(is_updated(set, pod, "abc"));
  EXPECT_TRUE(is_updated(set, pod, "xyz")) << "by the template's generation";
  (*set.mutable_metadata()->mutable_annotations())["deprecated.daemonset.template.generation"] = "4";
  EXPECT_FALSE(is_updated(set, pod, "xyz"));
}

TEST(Eligibility, ANodeThatOnlyReportsStaysTheSame) {
  Node before;
  (*before.mutable_metadata()->mutable_labels())["a"] = "b";
  Node after = before;
  after.mutable_status()->add_conditions()->set_type("Ready");
  EXPECT_TRUE(same_view(before, after));
  after.mutable_spec()->add_taints()->set_key("k");
  EXPECT_FALSE(same_view(before, after));
}

TEST(Backoff, DoublesAndStartsAnewAfterALongQuiet) {
  constexpr int64_t kSecond = 1'000'000'000;
  Backoff backoff;
  EXPECT_EQ(backoff.attempt("a", 0), 0);
  EXPECT_EQ(backoff.attempt("a", 0), kSecond);
  EXPECT_EQ(backoff.attempt("b", 0), 0);
  EXPECT_EQ(backoff.attempt("a", kSecond), 0);
  EXPECT_EQ(backoff.attempt("a", 2 * kSecond), kSecond);
  EXPECT_EQ(backoff.attempt("a", 3 * kSecond), 0);
  EXPECT_EQ(backoff.attempt("a", 3 * kSecond), 4 * kSecond);
  EXPECT_EQ(backoff.attempt("a", 3000 * kSecond), 0);
  EXPECT_EQ(backoff.attempt("a", 3000 * kSecond), kSecond);
}

class DaemonPlanTest : public ::testing::Test {
 protected:
  DaemonPlanTest() {
    set_.mutable_metadata()->set_name("agent");
    set_.mutable_metadata()->set_namespace_("default");
    in_place(1);
    for (const char* name : {"n1", "n2", "n3"}) nodes_.push_back(node(name));
  }
  void in_place(int32_t unavailable) {
    set_.mutable_spec()->mutable_updatestrategy()->set_type("RollingUpdate");
    auto& rolling = *set_.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate();
    rolling.mutable_maxunavailable()->set_intval(unavailable);
    rolling.mutable_maxsurge()->set_intval(0);
  }
  void surge(const std::string& percent) {
    auto& rolling = *set_.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate();
    rolling.mutable_maxunavailable()->set_intval(0);
    rolling.mutable_maxsurge()->set_type(1);
    rolling.mutable_maxsurge()->set_strval(percent);
  }
  kube::Pod& pod(const std::string& name, const std::string& on, const std::string& hash = "new", bool ready = true,
                 int64_t created_s = 1) {
    kube::Pod& out = pods_.emplace_back(new_daemon(set_, hash, on));
    out.mutable_metadata()->set_name(name);
    out.mutable_metadata()->mutable_creationtimestamp()->set_seconds(created_s);
    out.mutable_spec()->set_nodename(on);
    out.mutable_status()->set_phase("Running");
    auto& condition = *out.mutable_status()->add_conditions();
    condition.set_type("Ready");
    condition.set_status(ready ? "True" : "False");
    condition.mutable_lasttransitiontime()->set_seconds(5);
    return out;
  }
  Daemons daemons() {
    std::vector<const kube::Pod*> pods;
    for (const kube::Pod& each : pods_) pods.push_back(&each);
    return {set_, nodes_, pods, "new", kNow};
  }
  static std::vector<std::string> words(const DaemonPlan& plan) {
    std::vector<std::string> out;
    for (const auto& on : plan.create_on) out.push_back("+" + on);
    for (const auto* each : plan.remove) out.push_back("-" + each->metadata().name());
    for (const auto& each : plan.failed) out.push_back("failed " + each.pod->metadata().name());
    for (const auto& each : plan.succeeded) out.push_back("succeeded " + each.pod->metadata().name());
    return out;
  }
  std::vector<std::string> placement() { return words(plan_placement(daemons())); }
  std::vector<std::string> update() { return words(plan_update(daemons())); }
  static void end(kube::Pod& pod) { pod.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(kNow); }

  DaemonSet set_;
  std::vector<NodeView> nodes_;
  std::deque<kube::Pod> pods_;
};

TEST_F(DaemonPlanTest, OneOnEachNode) {
  pod("a", "n1");
  EXPECT_THAT(placement(), ElementsAre("+n2", "+n3"));
  end(pod("b", "n2"));
  EXPECT_THAT(placement(), ElementsAre("+n3")) << "one that is on its way out is waited for";
  pod("c", "n3", "new", true, 7);
  pod("d", "n3", "new", true, 6);
  EXPECT_THAT(placement(), ElementsAre("-c")) << "the oldest stays";
}

TEST_F(DaemonPlanTest, NoneWhereNoneMayStay) {
  pod("a", "n1");
  pod("b", "n2");
  nodes_[0].taints.push_back(taint("special", "NoSchedule"));
  nodes_[1].taints.push_back(taint("special", "NoExecute"));
  EXPECT_THAT(placement(), ElementsAre("+n3", "-b"));
}

TEST_F(DaemonPlanTest, WhatEndedIsReplaced) {
  pod("a", "n1").mutable_status()->set_phase("Failed");
  pod("b", "n2").mutable_status()->set_phase("Succeeded");
  kube::Pod& going = pod("c", "n3");
  going.mutable_status()->set_phase("Failed");
  end(going);
  EXPECT_THAT(placement(), UnorderedElementsAre("failed a", "succeeded b", "+n3"));
}

TEST_F(DaemonPlanTest, APodForANodeThatIsGoneIsNoLongerPlaced) {
  for (const char* on : {"n1", "n2", "n3"}) pod(on, on);
  pod("waits", "lost").mutable_spec()->clear_nodename();
  pod("ran", "lost");
  EXPECT_THAT(placement(), ElementsAre("-waits"));
}

TEST_F(DaemonPlanTest, AnUpdateLeavesNoMoreNodesWithoutThanAllowed) {
  pod("a", "n1", "old");
  pod("b", "n2", "old");
  pod("c", "n3", "old");
  EXPECT_THAT(update(), ElementsAre("-a"));
  in_place(2);
  EXPECT_THAT(update(), ElementsAre("-a", "-b"));
  in_place(1);
  pods_[1].mutable_status()->mutable_conditions(0)->set_status("False");
  EXPECT_THAT(update(), ElementsAre("-b")) << "what serves nobody goes first";
  (*pods_[1].mutable_metadata()->mutable_labels())[kPodRevisionLabel] = "new";
  EXPECT_THAT(update(), IsEmpty()) << "its successor is waited for";
  pods_[1].mutable_status()->mutable_conditions(0)->set_status("True");
  EXPECT_THAT(update(), ElementsAre("-a"));
  set_.mutable_spec()->mutable_updatestrategy()->set_type("OnDelete");
  EXPECT_THAT(update(), IsEmpty());
}

TEST_F(DaemonPlanTest, PercentagesAreRoundedUp) {
  pod("a", "n1", "old");
  pod("b", "n2", "old");
  pod("c", "n3", "old");
  auto& most = *set_.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate()->mutable_maxunavailable();
  most.set_type(1);
  most.set_strval("34%");
  EXPECT_THAT(update(), ElementsAre("-a", "-b"));
}

TEST_F(DaemonPlanTest, WithSurgeTheNewComesFirst) {
  surge("40%");
  pod("a", "n1", "old");
  pod("b", "n2", "old");
  pod("c", "n3", "old", false);
  EXPECT_THAT(placement(), IsEmpty());
  EXPECT_THAT(update(), ElementsAre("+n3", "+n1", "+n2"));
  pod("a2", "n1", "new", false);
  EXPECT_THAT(placement(), IsEmpty()) << "both stand until the new one serves";
  EXPECT_THAT(update(), ElementsAre("+n3", "+n2"));
  pods_.back().mutable_status()->mutable_conditions(0)->set_status("True");
  EXPECT_THAT(placement(), ElementsAre("-a"));
  pod("c2", "n3", "new", false);
  EXPECT_THAT(placement(), UnorderedElementsAre("-a", "-c")) << "an old one that does not serve goes at once";
}

TEST_F(DaemonPlanTest, WithSurgeOneOnItsWayOutIsNotWaitedFor) {
  surge("40%");
  end(pod("a", "n1"));
  pod("b", "n2");
  pod("c", "n3");
  EXPECT_THAT(placement(), ElementsAre("+n1"));
}

TEST_F(DaemonPlanTest, WithSurgeAnUnwantedOneGoesWhenOthersServe) {
  surge("1%");
  nodes_[0].taints.push_back(taint("special", "NoSchedule"));
  pod("a", "n1", "old");
  pod("b", "n2", "new");
  EXPECT_THAT(update(), IsEmpty());
  pod("c", "n3", "new");
  EXPECT_THAT(update(), ElementsAre("-a"));
}

TEST_F(DaemonPlanTest, Status) {
  nodes_.push_back(node("n4", {taint("special", "NoSchedule")}));
  pod("a", "n1");
  pod("b", "n2", "old", false);
  pod("d", "n4");
  DaemonSetStatus status = status_of(daemons());
  EXPECT_EQ(status.desirednumberscheduled(), 3);
  EXPECT_EQ(status.currentnumberscheduled(), 2);
  EXPECT_EQ(status.numbermisscheduled(), 1);
  EXPECT_EQ(status.numberready(), 1);
  EXPECT_EQ(status.numberavailable(), 1);
  EXPECT_EQ(status.numberunavailable(), 2);
  EXPECT_EQ(status.updatednumberscheduled(), 1);
  set_.mutable_spec()->set_minreadyseconds(kNow);
  EXPECT_EQ(status_of(daemons()).numberavailable(), 0);
  EXPECT_EQ(next_look_s(daemons()), kNow + 5);
}

}  // namespace
}  // namespace orlop::workload
