// What fits where and what is best: the pure part.
#include "plugins/sched-default/engine.hpp"

#include "plugins/sched-default/filters.hpp"
#include "plugins/sched-default/neighbours.hpp"
#include "plugins/sched-default/test_objects.hpp"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::sched {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

Strings reasons(const kube::Pod& pod, const core::Node& node) {
  return why_not(read_pod(pod, true), read_node(node));
}
void taint(core::Node& node, const std::string& key, const std::string& value, const std::string& effect) {
  auto& out = *node.mutable_spec()->add_taints();
  out.set_key(key);
  out.set_value(value);
  out.set_effect(effect);
}
core::Toleration& tolerate(kube::Pod& pod, const std::string& key, const std::string& op, const std::string& value = "",
                           const std::string& effect = "") {
  auto& out = *pod.mutable_spec()->add_tolerations();
  out.set_key(key);
  out.set_operator_(op);
  out.set_value(value);
  out.set_effect(effect);
  return out;
}

TEST(Filters, APodFitsWhereThereIsRoom) {
  EXPECT_THAT(reasons(make_pod("a", "4", "8Gi"), make_node("n")), IsEmpty());
  EXPECT_THAT(reasons(make_pod("a", "4001m", "8Gi"), make_node("n")), ElementsAre("Insufficient cpu"));
  EXPECT_THAT(reasons(make_pod("a", "5", "9Gi"), make_node("n")),
              ElementsAre("Insufficient cpu", "Insufficient memory"));
  EXPECT_THAT(reasons(make_pod("a"), make_node("n", "4", "8Gi", "0")), ElementsAre("Too many pods"));
  kube::Pod pod = make_pod("a");
  request(*pod.mutable_spec()->mutable_containers(0), "ephemeral-storage", "1Gi");
  request(*pod.mutable_spec()->mutable_containers(0), "example.com/gpu", "2");
  core::Node node = make_node("n");
  EXPECT_THAT(reasons(pod, node), ElementsAre("Insufficient ephemeral-storage", "Insufficient example.com/gpu"));
  (*node.mutable_status()->mutable_allocatable())["ephemeral-storage"].set_string("10Gi");
  (*node.mutable_status()->mutable_allocatable())["example.com/gpu"].set_string("2");
  EXPECT_THAT(reasons(pod, node), IsEmpty());
}

TEST(Filters, WhatANodeAlreadyHasCounts) {
  ClusterState state;
  state.put_node(read_node(make_node("n", "2", "2Gi", "2")));
  kube::Pod there = make_pod("there", "1500m", "1Gi");
  there.mutable_spec()->set_nodename("n");
  state.put_pod(read_pod(there, false));
  const auto check = [&](const kube::Pod& pod) { return why_not(read_pod(pod, true), *state.node("n")); };
  EXPECT_THAT(check(make_pod("a", "500m", "1Gi")), IsEmpty());
  EXPECT_THAT(check(make_pod("a", "501m", "1Gi")), ElementsAre("Insufficient cpu"));
  state.put_node(read_node(make_node("n", "2", "2Gi", "1")));  // a heartbeat keeps what is on it
  EXPECT_THAT(check(make_pod("a")), ElementsAre("Too many pods"));
  state.remove_pod("uid-there");
  EXPECT_THAT(check(make_pod("a", "2", "2Gi")), IsEmpty());
}

TEST(Filters, PodsThatWereThereBeforeTheNodeIsKnownCount) {
  ClusterState state;
  kube::Pod there = make_pod("there", "3");
  there.mutable_spec()->set_nodename("n");
  state.put_pod(read_pod(there, false));
  state.put_node(read_node(make_node("n")));
  EXPECT_THAT(why_not(read_pod(make_pod("a", "2"), true), *state.node("n")), ElementsAre("Insufficient cpu"));
  state.remove_node("n");
  state.put_node(read_node(make_node("n")));
  EXPECT_THAT(why_not(read_pod(make_pod("a", "2"), true), *state.node("n")), ElementsAre("Insufficient cpu"));
}

TEST(Model, InitContainersCountByTheirLargest) {
  kube::Pod pod = make_pod("a", "1", "1Gi");
  auto& first = *pod.mutable_spec()->add_initcontainers();
  request(first, "cpu", "3");
  auto& second = *pod.mutable_spec()->add_initcontainers();
  request(second, "memory", "2Gi");
  Resources wanted = read_pod(pod, false).requests;
  EXPECT_EQ(wanted.cpu_milli, 3000);
  EXPECT_EQ(wanted.memory, 2ll << 30);
  // A sidecar goes on beside what follows it and beside the containers.
  auto& sidecar = *pod.mutable_spec()->add_initcontainers();
  sidecar.set_restartpolicy("Always");
  request(sidecar, "cpu", "500m");
  auto& last = *pod.mutable_spec()->add_initcontainers();
  request(last, "cpu", "2800m");
  wanted = read_pod(pod, false).requests;
  EXPECT_EQ(wanted.cpu_milli, 3300);
  (*pod.mutable_spec()->mutable_overhead())["cpu"].set_string("100m");
  EXPECT_EQ(read_pod(pod, false).requests.cpu_milli, 3400);
}

TEST(Filters, TaintsKeepPodsAway) {
  core::Node node = make_node("n");
  taint(node, "dedicated", "db", "NoSchedule");
  EXPECT_THAT(reasons(make_pod("a"), node), ElementsAre("node(s) had untolerated taint {dedicated: db}"));
  kube::Pod pod = make_pod("a");
  tolerate(pod, "dedicated", "Equal", "web");
  EXPECT_EQ(reasons(pod, node).size(), 1u);
  pod.mutable_spec()->mutable_tolerations(0)->set_value("db");
  EXPECT_THAT(reasons(pod, node), IsEmpty());
  pod.mutable_spec()->mutable_tolerations(0)->set_effect("NoExecute");
  EXPECT_EQ(reasons(pod, node).size(), 1u);
  kube::Pod everything = make_pod("b");
  tolerate(everything, "", "Exists");
  EXPECT_THAT(reasons(everything, node), IsEmpty());
  kube::Pod unnamed = make_pod("c");
  tolerate(unnamed, "dedicated", "", "db");  // no operator means Equal
  EXPECT_THAT(reasons(unnamed, node), IsEmpty());
  core::Node preferring = make_node("n");
  taint(preferring, "a", "b", "PreferNoSchedule");
  EXPECT_THAT(reasons(make_pod("a"), preferring), IsEmpty());
}

TEST(Filters, ACordonedNodeTakesNone) {
  core::Node node = make_node("n");
  node.mutable_spec()->set_unschedulable(true);
  EXPECT_THAT(reasons(make_pod("a"), node), ElementsAre("node(s) were unschedulable"));
  kube::Pod daemon = make_pod("d");
  tolerate(daemon, "node.kubernetes.io/unschedulable", "Exists", "", "NoSchedule");
  EXPECT_THAT(reasons(daemon, node), IsEmpty());
}

TEST(Filters, NodeSelectorAndAffinityOperators) {
  core::Node node = make_node("n");
  auto& labels = *node.mutable_metadata()->mutable_labels();
  labels["disk"] = "ssd";
  labels["cores"] = "16";
  const NodeInfo info = read_node(node);
  struct Case {
    std::string key, op;
    Strings values;
    bool fits;
  };
  const std::vector<Case> cases{
      {"disk", "In", {"hdd", "ssd"}, true}, {"disk", "In", {"hdd"}, false},    {"none", "In", {"x"}, false},
      {"disk", "NotIn", {"hdd"}, true},     {"disk", "NotIn", {"ssd"}, false}, {"none", "NotIn", {"x"}, true},
      {"disk", "Exists", {}, true},         {"none", "Exists", {}, false},     {"none", "DoesNotExist", {}, true},
      {"disk", "DoesNotExist", {}, false},  {"cores", "Gt", {"8"}, true},      {"cores", "Gt", {"16"}, false},
      {"cores", "Lt", {"17"}, true},        {"cores", "Lt", {"16"}, false},    {"disk", "Gt", {"1"}, false},
      {"none", "Lt", {"1"}, false}};
  for (const Case& c : cases) {
    core::NodeSelectorTerm term;
    auto& requirement = *term.add_matchexpressions();
    requirement.set_key(c.key);
    requirement.set_operator_(c.op);
    for (const std::string& value : c.values) requirement.add_values(value);
    EXPECT_EQ(matches_node_selector_term(term, info), c.fits) << c.key << " " << c.op;
  }
  EXPECT_FALSE(matches_node_selector_term({}, info));
  core::NodeSelectorTerm by_name;
  auto& field = *by_name.add_matchfields();
  field.set_key("metadata.name");
  field.set_operator_("In");
  field.add_values("n");
  EXPECT_TRUE(matches_node_selector_term(by_name, info));

  kube::Pod pod = make_pod("a");
  (*pod.mutable_spec()->mutable_nodeselector())["disk"] = "hdd";
  EXPECT_THAT(reasons(pod, node), ElementsAre("node(s) didn't match Pod's node affinity/selector"));
  (*pod.mutable_spec()->mutable_nodeselector())["disk"] = "ssd";
  EXPECT_THAT(reasons(pod, node), IsEmpty());
  // Terms are alternatives.
  auto& required = *pod.mutable_spec()
                        ->mutable_affinity()
                        ->mutable_nodeaffinity()
                        ->mutable_requiredduringschedulingignoredduringexecution();
  required.add_nodeselectorterms();
  EXPECT_EQ(reasons(pod, node).size(), 1u);
  *required.add_nodeselectorterms() = by_name;
  EXPECT_THAT(reasons(pod, node), IsEmpty());
}

TEST(Filters, HostPortsAreTakenOnce) {
  ClusterState state;
  state.put_node(read_node(make_node("n")));
  const auto with_port = [](const std::string& name, int32_t port, const std::string& ip, const std::string& protocol) {
    kube::Pod pod = make_pod(name);
    auto& out = *pod.mutable_spec()->mutable_containers(0)->add_ports();
    out.set_hostport(port);
    out.set_hostip(ip);
    out.set_protocol(protocol);
    return pod;
  };
  kube::Pod there = with_port("there", 80, "10.0.0.1", "TCP");
  there.mutable_spec()->set_nodename("n");
  state.put_pod(read_pod(there, false));
  const auto check = [&](const kube::Pod& pod) { return why_not(read_pod(pod, true), *state.node("n")); };
  const std::string taken = "node(s) didn't have free ports for the requested pod ports";
  EXPECT_THAT(check(with_port("a", 80, "", "TCP")), ElementsAre(taken));
  EXPECT_THAT(check(with_port("a", 80, "0.0.0.0", "")), ElementsAre(taken));
  EXPECT_THAT(check(with_port("a", 80, "10.0.0.1", "TCP")), ElementsAre(taken));
  EXPECT_THAT(check(with_port("a", 80, "10.0.0.2", "TCP")), IsEmpty());
  EXPECT_THAT(check(with_port("a", 80, "", "UDP")), IsEmpty());
  EXPECT_THAT(check(with_port("a", 81, "", "TCP")), IsEmpty());
}

// Three nodes in two zones, with pods of app "web" on them.
class NeighboursTest : public ::testing::Test {
 protected:
  NeighboursTest() {
    for (const auto& [name, zone] : std::map<std::string, std::string>{{"a1", "a"}, {"a2", "a"}, {"b1", "b"}}) {
      core::Node node = make_node(name);
      (*node.mutable_metadata()->mutable_labels())["zone"] = zone;
      state_.put_node(read_node(node));
    }
    state_.put_node(read_node(make_node("nowhere")));
  }
  static kube::Pod labelled(const std::string& name, const std::string& app) {
    kube::Pod pod = make_pod(name);
    (*pod.mutable_metadata()->mutable_labels())["app"] = app;
    return pod;
  }
  void place(kube::Pod pod, const std::string& node) {
    pod.mutable_spec()->set_nodename(node);
    state_.put_pod(read_pod(pod, false));
  }
  static void fill(core::PodAffinityTerm& term, const std::string& app, const std::string& key) {
    (*term.mutable_labelselector()->mutable_matchlabels())["app"] = app;
    term.set_topologykey(key);
  }
  static void want(kube::Pod& pod, const std::string& app, const std::string& key) {
    fill(*pod.mutable_spec()
              ->mutable_affinity()
              ->mutable_podaffinity()
              ->add_requiredduringschedulingignoredduringexecution(),
         app, key);
  }
  static void shun(kube::Pod& pod, const std::string& app, const std::string& key) {
    fill(*pod.mutable_spec()
              ->mutable_affinity()
              ->mutable_podantiaffinity()
              ->add_requiredduringschedulingignoredduringexecution(),
         app, key);
  }
  static core::TopologySpreadConstraint& spread(kube::Pod& pod, const std::string& app, const std::string& key) {
    auto& out = *pod.mutable_spec()->add_topologyspreadconstraints();
    out.set_topologykey(key);
    out.set_maxskew(1);
    out.set_whenunsatisfiable("DoNotSchedule");
    (*out.mutable_labelselector()->mutable_matchlabels())["app"] = app;
    return out;
  }
  std::string why(const kube::Pod& pod, const std::string& node) {
    const PodInfo info = read_pod(pod, true);
    return Neighbours(info, state_).why_not(*state_.node(node));
  }
  ClusterState state_;
};

TEST_F(NeighboursTest, AffinityKeepsTogether) {
  place(labelled("w", "web"), "a1");
  kube::Pod pod = labelled("p", "db");
  want(pod, "web", "zone");
  EXPECT_EQ(why(pod, "a1"), "");
  EXPECT_EQ(why(pod, "a2"), "");
  EXPECT_EQ(why(pod, "b1"), "node(s) didn't match pod affinity rules");
  EXPECT_EQ(why(pod, "nowhere"), "node(s) didn't match pod affinity rules");
}

TEST_F(NeighboursTest, TheFirstOfAGroupMayGoAnywhere) {
  kube::Pod pod = labelled("p", "web");
  want(pod, "web", "zone");
  EXPECT_EQ(why(pod, "b1"), "");
  EXPECT_EQ(why(pod, "nowhere"), "node(s) didn't match pod affinity rules");
  want(pod, "db", "zone");  // that it is not itself, so it is no first of a group
  EXPECT_EQ(why(pod, "b1"), "node(s) didn't match pod affinity rules");
}

TEST_F(NeighboursTest, ANeighbourMustMeetEveryTerm) {
  place(labelled("w", "web"), "a1");
  place(labelled("d", "db"), "a1");
  kube::Pod pod = labelled("p", "x");
  want(pod, "web", "zone");
  want(pod, "db", "zone");
  EXPECT_EQ(why(pod, "a1"), "node(s) didn't match pod affinity rules");
}

TEST_F(NeighboursTest, AntiAffinityWorksBothWays) {
  place(labelled("w", "web"), "a1");
  kube::Pod pod = labelled("p", "web");
  shun(pod, "web", "kubernetes.io/hostname");
  EXPECT_EQ(why(pod, "a1"), "node(s) didn't match pod anti-affinity rules");
  EXPECT_EQ(why(pod, "a2"), "");
  place(pod, "b1");
  kube::Pod innocent = labelled("q", "web");
  EXPECT_EQ(why(innocent, "b1"), "node(s) didn't satisfy existing pods anti-affinity rules");
  EXPECT_EQ(why(innocent, "a1"), "");
  innocent.mutable_metadata()->set_namespace_("other");
  EXPECT_EQ(why(innocent, "b1"), "");
}

TEST_F(NeighboursTest, SpreadKeepsTheSkew) {
  place(labelled("w1", "web"), "a1");
  kube::Pod pod = labelled("p", "web");
  spread(pod, "web", "zone");
  EXPECT_EQ(why(pod, "a2"), "node(s) didn't match pod topology spread constraints");
  EXPECT_EQ(why(pod, "b1"), "");
  EXPECT_EQ(why(pod, "nowhere"), "node(s) didn't match pod topology spread constraints (missing required label)");
  pod.mutable_spec()->mutable_topologyspreadconstraints(0)->set_maxskew(2);
  EXPECT_EQ(why(pod, "a2"), "");
}

TEST_F(NeighboursTest, SpreadCountsOnlyDomainsThatThePodCouldUse) {
  place(labelled("w1", "web"), "a1");
  kube::Pod pod = labelled("p", "web");
  (*pod.mutable_spec()->mutable_nodeselector())["zone"] = "a";
  auto& constraint = spread(pod, "web", "zone");
  EXPECT_EQ(why(pod, "a2"), "");  // zone b is closed to it
  constraint.set_nodeaffinitypolicy("Ignore");
  EXPECT_EQ(why(pod, "a2"), "node(s) didn't match pod topology spread constraints");
}

TEST_F(NeighboursTest, SpreadNarrowsByMatchLabelKeysAndMinDomains) {
  kube::Pod old = labelled("w1", "web");
  (*old.mutable_metadata()->mutable_labels())["pod-template-hash"] = "1";
  place(old, "a1");
  kube::Pod pod = labelled("p", "web");
  (*pod.mutable_metadata()->mutable_labels())["pod-template-hash"] = "2";
  auto& constraint = spread(pod, "web", "zone");
  constraint.add_matchlabelkeys("pod-template-hash");
  EXPECT_EQ(why(pod, "a2"), "");
  constraint.clear_matchlabelkeys();
  EXPECT_NE(why(pod, "a2"), "");
  place(labelled("w2", "web"), "b1");
  EXPECT_EQ(why(pod, "a2"), "");
  constraint.set_mindomains(3);  // there are two: the third counts as empty
  EXPECT_NE(why(pod, "a2"), "");
}

TEST_F(NeighboursTest, ASpreadWithoutASelectorCountsNobody) {
  place(labelled("w1", "web"), "a1");
  kube::Pod pod = labelled("p", "web");
  spread(pod, "web", "zone").clear_labelselector();
  EXPECT_EQ(why(pod, "a2"), "");
}

TEST_F(NeighboursTest, PreferencesAreWeighed) {
  place(labelled("w", "web"), "a1");
  kube::Pod pod = labelled("p", "db");
  auto& near = *pod.mutable_spec()
                    ->mutable_affinity()
                    ->mutable_podaffinity()
                    ->add_preferredduringschedulingignoredduringexecution();
  near.set_weight(10);
  fill(*near.mutable_podaffinityterm(), "web", "zone");
  const PodInfo info = read_pod(pod, true);
  EXPECT_GT(Neighbours(info, state_).score(*state_.node("a2")), Neighbours(info, state_).score(*state_.node("b1")));
  kube::Pod far_pod = labelled("q", "db");
  auto& far = *far_pod.mutable_spec()
                   ->mutable_affinity()
                   ->mutable_podantiaffinity()
                   ->add_preferredduringschedulingignoredduringexecution();
  far.set_weight(10);
  fill(*far.mutable_podaffinityterm(), "web", "zone");
  const PodInfo far_info = read_pod(far_pod, true);
  EXPECT_LT(Neighbours(far_info, state_).score(*state_.node("a2")),
            Neighbours(far_info, state_).score(*state_.node("b1")));
}

TEST(Engine, PodsOfOneControllerSpread) {
  ClusterState state;
  for (int i = 0; i < 5; ++i) state.put_node(read_node(make_node("n" + std::to_string(i))));
  Engine engine(100);
  std::map<std::string, int> placed;
  for (int i = 0; i < 20; ++i) {
    kube::Pod pod = make_pod("p" + std::to_string(i), "100m", "64Mi");
    auto& owner = *pod.mutable_metadata()->add_ownerreferences();
    owner.set_uid("set");
    owner.set_controller(true);
    PodInfo info = read_pod(pod, true);
    const Decision decision = engine.decide(info, state);
    ASSERT_FALSE(decision.node.empty());
    ++placed[decision.node];
    info.node = decision.node;
    state.put_pod(std::move(info));
  }
  EXPECT_EQ(placed.size(), 5u);
  for (const auto& [node, count] : placed) EXPECT_EQ(count, 4) << node;
}

TEST(Engine, PrefersNodesThatThePodPrefers) {
  ClusterState state;
  core::Node good = make_node("good"), bad = make_node("bad");
  (*good.mutable_metadata()->mutable_labels())["disk"] = "ssd";
  state.put_node(read_node(bad));
  state.put_node(read_node(good));
  kube::Pod pod = make_pod("p");
  auto& preferred = *pod.mutable_spec()
                         ->mutable_affinity()
                         ->mutable_nodeaffinity()
                         ->add_preferredduringschedulingignoredduringexecution();
  preferred.set_weight(50);
  auto& requirement = *preferred.mutable_preference()->add_matchexpressions();
  requirement.set_key("disk");
  requirement.set_operator_("Exists");
  Engine engine(100);
  EXPECT_EQ(engine.decide(read_pod(pod, true), state).node, "good");
  taint(good, "a", "b", "PreferNoSchedule");
  state.put_node(read_node(good));
  EXPECT_EQ(engine.decide(read_pod(pod, true), state).node, "bad");
}

TEST(Engine, SaysHowManyNodesForWhichReason) {
  ClusterState state;
  Engine engine(100);
  EXPECT_EQ(engine.decide(read_pod(make_pod("p"), true), state).explain(), "no nodes available to schedule pods");
  core::Node tainted = make_node("t");
  taint(tainted, "a", "b", "NoSchedule");
  state.put_node(read_node(tainted));
  state.put_node(read_node(make_node("s1", "1")));
  state.put_node(read_node(make_node("s2", "1")));
  const Decision decision = engine.decide(read_pod(make_pod("p", "2"), true), state);
  EXPECT_TRUE(decision.node.empty());
  EXPECT_EQ(decision.explain(), "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu.");
}

}  // namespace
}  // namespace orlop::sched
