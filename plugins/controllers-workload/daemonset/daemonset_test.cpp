#include "plugins/controllers-workload/daemonset/daemonset.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Event = k8s::io::api::core::v1::Event;

class DaemonSetTest : public ::testing::Test {
 protected:
  DaemonSetTest() { controllers_.add(std::make_unique<DaemonSetController>(kernel_.host(), 1)); }

  static DaemonSet agent() {
    DaemonSet out;
    out.mutable_metadata()->set_name("agent");
    out.mutable_metadata()->set_namespace_("default");
    auto& spec = *out.mutable_spec();
    (*spec.mutable_selector()->mutable_matchlabels())["app"] = "agent";
    (*spec.mutable_template_()->mutable_metadata()->mutable_labels())["app"] = "agent";
    auto& container = *spec.mutable_template_()->mutable_spec()->add_containers();
    container.set_name("c");
    container.set_image("agent:1");
    spec.mutable_updatestrategy()->set_type("RollingUpdate");
    spec.mutable_updatestrategy()->mutable_rollingupdate()->mutable_maxunavailable()->set_intval(1);
    spec.mutable_updatestrategy()->mutable_rollingupdate()->mutable_maxsurge()->set_intval(0);
    spec.set_revisionhistorylimit(2);
    return out;
  }
  void make(const DaemonSet& set) { ASSERT_TRUE(kernel_.create("daemonsets.apps", set)); }
  DaemonSet stored() { return *kernel_.get<DaemonSet>("daemonsets.apps", "default", "agent"); }
  template <typename Change>
  void change(const Change& how) {
    DaemonSet set = stored();
    how(*set.mutable_spec());
    ASSERT_TRUE(kernel_.update("daemonsets.apps", set));
  }
  void set_image(const std::string& image) {
    change([&](auto& spec) { spec.mutable_template_()->mutable_spec()->mutable_containers(0)->set_image(image); });
  }
  void add_node(const std::string& name) {
    Node node;
    node.mutable_metadata()->set_name(name);
    ASSERT_TRUE(kernel_.create("nodes", node));
  }
  void taint(const std::string& name, const std::string& key, const std::string& effect) {
    Node node = *kernel_.get<Node>("nodes", "", name);
    auto& out = *node.mutable_spec()->add_taints();
    out.set_key(key);
    out.set_effect(effect);
    ASSERT_TRUE(kernel_.update("nodes", node));
  }
  std::vector<kube::Pod> pods() { return kernel_.list<kube::Pod>("pods", "default"); }
  // Images by node.
  std::multimap<std::string, std::string> images() {
    std::multimap<std::string, std::string> out;
    for (const auto& pod : pods()) out.emplace(target_node(pod), pod.spec().containers(0).image());
    return out;
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const auto& event : kernel_.list<Event>("events", "default")) {
      out.push_back(event.reason() + ": " + event.message());
    }
    return out;
  }
  void set_phase(kube::Pod pod, const std::string& phase) {
    pod.mutable_status()->clear_conditions();
    pod.mutable_status()->set_phase(phase);
    auto& condition = *pod.mutable_status()->add_conditions();
    condition.set_type("Ready");
    condition.set_status(phase == "Running" ? "True" : "False");
    condition.mutable_lasttransitiontime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000);
    ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  }
  void reconcile() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }
  // Places each pod and lets it get ready. Returns whether there was any.
  bool run_pods() {
    bool changed = false;
    for (kube::Pod pod : pods()) {
      if (pod.spec().nodename().empty()) {
        pod.mutable_spec()->set_nodename(target_node(pod));
        auto placed = kernel_.update("pods", pod);
        EXPECT_TRUE(placed);
        pod = *placed;
      }
      if (kube::is_ready(pod) || kube::is_terminal(pod)) continue;
      set_phase(pod, "Running");
      changed = true;
    }
    return changed;
  }
  void settle() {
    for (int i = 0; i < 100; ++i) {
      reconcile();
      if (!run_pods()) return;
    }
    FAIL() << "never at rest";
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(DaemonSetTest, EveryNodeGetsOne) {
  add_node("n1");
  add_node("n2");
  make(agent());
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:1"), Pair("n2", "agent:1")));
  add_node("n3");
  settle();
  EXPECT_EQ(pods().size(), 3u);
  const DaemonSetStatus status = stored().status();
  EXPECT_EQ(status.desirednumberscheduled(), 3);
  EXPECT_EQ(status.currentnumberscheduled(), 3);
  EXPECT_EQ(status.numberready(), 3);
  EXPECT_EQ(status.numberavailable(), 3);
  EXPECT_EQ(status.updatednumberscheduled(), 3);
  EXPECT_EQ(status.numberunavailable(), 0);
  EXPECT_EQ(status.observedgeneration(), stored().metadata().generation());
  EXPECT_THAT(events(), Contains(HasSubstr("SuccessfulCreate: Created pod: agent-")));
}

TEST_F(DaemonSetTest, FollowsTheNodes) {
  add_node("n1");
  add_node("n2");
  add_node("n3");
  make(agent());
  settle();
  taint("n1", "special", "NoSchedule");
  taint("n2", "special", "NoExecute");
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:1"), Pair("n3", "agent:1")));
  EXPECT_EQ(stored().status().numbermisscheduled(), 1);
  EXPECT_EQ(stored().status().desirednumberscheduled(), 1);
  change([](auto& spec) { (*spec.mutable_template_()->mutable_spec()->mutable_nodeselector())["no"] = "such"; });
  settle();
  EXPECT_THAT(pods(), IsEmpty());
}

TEST_F(DaemonSetTest, AHeartbeatIsNoNews) {
  add_node("n1");
  make(agent());
  settle();
  Node node = *kernel_.get<Node>("nodes", "", "n1");
  node.mutable_status()->add_conditions()->set_type("Ready");
  ASSERT_TRUE(kernel_.update("nodes", node, "status"));
  EXPECT_EQ(controllers_.run_until_idle(), 0u);
}

TEST_F(DaemonSetTest, UpdatesNodeByNodeAndGoesBack) {
  for (const char* name : {"n1", "n2", "n3"}) add_node(name);
  make(agent());
  settle();
  set_image("agent:2");
  reconcile();
  EXPECT_EQ(pods().size(), 3u) << "one is on its way, two serve";
  EXPECT_EQ(stored().status().updatednumberscheduled(), 1);
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:2"), Pair("n2", "agent:2"), Pair("n3", "agent:2")));
  EXPECT_EQ(stored().status().updatednumberscheduled(), 3);
  set_image("agent:1");
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:1"), Pair("n2", "agent:1"), Pair("n3", "agent:1")));
  const auto revisions = kernel_.list<ControllerRevision>("controllerrevisions.apps", "default");
  ASSERT_EQ(revisions.size(), 2u);
  EXPECT_EQ(std::max(revisions[0].revision(), revisions[1].revision()), 3);
  for (const auto& revision : revisions) {
    EXPECT_EQ("agent-" + revision.metadata().labels().at("controller-revision-hash"), revision.metadata().name());
  }
}

TEST_F(DaemonSetTest, SurgesNodeByNode) {
  for (const char* name : {"n1", "n2"}) add_node(name);
  DaemonSet set = agent();
  auto& rolling = *set.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate();
  rolling.mutable_maxunavailable()->set_intval(0);
  rolling.mutable_maxsurge()->set_intval(1);
  make(set);
  settle();
  set_image("agent:2");
  reconcile();
  EXPECT_THAT(images(), UnorderedElementsAre(Pair("n1", "agent:1"), Pair("n1", "agent:2"), Pair("n2", "agent:1")));
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:2"), Pair("n2", "agent:2")));
}

TEST_F(DaemonSetTest, OnDeleteWaits) {
  add_node("n1");
  DaemonSet set = agent();
  set.mutable_spec()->mutable_updatestrategy()->set_type("OnDelete");
  make(set);
  settle();
  set_image("agent:2");
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:1")));
  ASSERT_TRUE(kernel_.remove("pods", "default", pods().front().metadata().name()));
  settle();
  EXPECT_THAT(images(), ElementsAre(Pair("n1", "agent:2")));
}

TEST_F(DaemonSetTest, HistoryIsKeptToItsLimit) {
  add_node("n1");
  make(agent());
  settle();
  for (int i = 2; i < 7; ++i) {
    set_image("agent:" + std::to_string(i));
    settle();
  }
  EXPECT_EQ(kernel_.list<ControllerRevision>("controllerrevisions.apps").size(), 3u);
}

TEST_F(DaemonSetTest, AFailedPodIsReplacedMoreAndMoreSlowly) {
  add_node("n1");
  make(agent());
  settle();
  const std::string first = pods().front().metadata().name();
  set_phase(pods().front(), "Failed");
  settle();
  ASSERT_EQ(pods().size(), 1u);
  const std::string second = pods().front().metadata().name();
  EXPECT_NE(second, first);
  EXPECT_THAT(events(), Contains("FailedDaemonPod: Found failed daemon pod default/" + first +
                                 " on node n1, will try to kill it"));
  set_phase(pods().front(), "Failed");
  reconcile();
  EXPECT_EQ(pods().front().metadata().name(), second);
  kernel_.advance(2s);
  settle();
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_NE(pods().front().metadata().name(), second);
}

TEST_F(DaemonSetTest, EqualRevisionsBecomeOne) {
  add_node("n1");
  make(agent());
  settle();
  ControllerRevision twin = kernel_.list<ControllerRevision>("controllerrevisions.apps").front();
  twin.mutable_metadata()->set_name("twin");
  (*twin.mutable_metadata()->mutable_labels())["controller-revision-hash"] = "twin";
  twin.mutable_metadata()->clear_ownerreferences();
  twin.mutable_metadata()->clear_uid();
  twin.set_revision(0);
  ASSERT_TRUE(kernel_.create("controllerrevisions.apps", twin));
  kube::Pod pod = pods().front();
  (*pod.mutable_metadata()->mutable_labels())["controller-revision-hash"] = "twin";
  ASSERT_TRUE(kernel_.update("pods", pod));
  settle();
  const auto revisions = kernel_.list<ControllerRevision>("controllerrevisions.apps");
  ASSERT_EQ(revisions.size(), 1u);
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_EQ(pods().front().metadata().uid(), pod.metadata().uid()) << "relabelled, not replaced";
  EXPECT_EQ(pods().front().metadata().labels().at("controller-revision-hash"),
            revisions.front().metadata().labels().at("controller-revision-hash"));
}

TEST_F(DaemonSetTest, ANodeThatGoesBeforeItsPodIsPlaced) {
  add_node("n1");
  make(agent());
  reconcile();
  ASSERT_EQ(pods().size(), 1u);
  ASSERT_TRUE(kernel_.remove("nodes", "", "n1"));
  reconcile();
  EXPECT_THAT(pods(), IsEmpty());
}

}  // namespace
}  // namespace orlop::workload
