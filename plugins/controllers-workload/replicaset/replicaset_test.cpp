#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using Event = k8s::io::api::core::v1::Event;

struct PodLook {
  std::string name;
  std::string node = "n1";
  std::string phase = "Running";
  int64_t ready_since_s = 1;  // 0: not ready
  std::string cost = "";
  int32_t restarts = 0;
  int64_t created_s = 0;
};
StoredPod pod_like(const PodLook& look) {
  StoredPod out;
  kube::Pod& pod = out.object;
  pod.mutable_metadata()->set_name(look.name);
  pod.mutable_metadata()->mutable_creationtimestamp()->set_seconds(look.created_s);
  if (!look.cost.empty())
    (*pod.mutable_metadata()->mutable_annotations())["controller.kubernetes.io/pod-deletion-cost"] = look.cost;
  pod.mutable_spec()->set_nodename(look.node);
  pod.mutable_status()->set_phase(look.phase);
  pod.mutable_status()->add_containerstatuses()->set_restartcount(look.restarts);
  if (look.ready_since_s > 0) {
    auto& ready = *pod.mutable_status()->add_conditions();
    ready.set_type("Ready");
    ready.set_status("True");
    ready.mutable_lasttransitiontime()->set_seconds(look.ready_since_s);
  }
  return out;
}
std::vector<std::string> order(const std::vector<PodLook>& looks) {
  std::vector<StoredPod> pods;
  for (const PodLook& look : looks) pods.push_back(pod_like(look));
  rank_for_deletion(pods);
  std::vector<std::string> out;
  for (const StoredPod& pod : pods) out.push_back(pod.object.metadata().name());
  return out;
}

TEST(Ranking, EachRuleBeforeTheNext) {
  EXPECT_THAT(order({{.name = "on-node", .phase = "Pending", .ready_since_s = 0},
                     {.name = "nowhere", .node = "", .phase = "Pending", .ready_since_s = 0}}),
              ElementsAre("nowhere", "on-node"));
  EXPECT_THAT(
      order({{.name = "running"}, {.name = "unknown", .phase = "Unknown"}, {.name = "pending", .phase = "Pending"}}),
      ElementsAre("pending", "unknown", "running"));
  EXPECT_THAT(order({{.name = "ready", .cost = "-5"}, {.name = "not", .ready_since_s = 0, .cost = "9"}}),
              ElementsAre("not", "ready"));
  EXPECT_THAT(order({{.name = "dear", .cost = "10"}, {.name = "usual"}, {.name = "cheap", .cost = "-1"}}),
              ElementsAre("cheap", "usual", "dear"));
  EXPECT_THAT(order({{.name = "alone", .node = "n2", .ready_since_s = 9}, {.name = "a"}, {.name = "b"}}),
              ElementsAre("a", "b", "alone"));
  EXPECT_THAT(order({{.name = "long", .ready_since_s = 5}, {.name = "short", .ready_since_s = 50}}),
              ElementsAre("short", "long"));
  EXPECT_THAT(order({{.name = "calm"}, {.name = "shaky", .restarts = 3}}), ElementsAre("shaky", "calm"));
  EXPECT_THAT(order({{.name = "old", .created_s = 5}, {.name = "young", .created_s = 9}}), ElementsAre("young", "old"));
}

class ReplicaSetTest : public ::testing::Test {
 protected:
  ReplicaSetTest() { controllers_.add(std::make_unique<ReplicaSetController>(kernel_.host(), 1)); }

  ReplicaSet make(int32_t replicas) {
    ReplicaSet out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    out.mutable_spec()->set_replicas(replicas);
    (*out.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
    auto& pod_template = *out.mutable_spec()->mutable_template_();
    (*pod_template.mutable_metadata()->mutable_labels())["app"] = "web";
    pod_template.mutable_spec()->add_containers()->set_name("c");
    return *kernel_.create("replicasets.apps", out);
  }
  ReplicaSet stored() { return *kernel_.get<ReplicaSet>("replicasets.apps", "default", "web"); }
  void scale(int32_t replicas) {
    ReplicaSet set = stored();
    set.mutable_spec()->set_replicas(replicas);
    ASSERT_TRUE(kernel_.update("replicasets.apps", set));
  }
  std::vector<kube::Pod> pods() { return kernel_.list<kube::Pod>("pods", "default"); }
  kube::Pod loose_pod(const std::string& name, const std::string& app) {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("default");
    (*pod.mutable_metadata()->mutable_labels())["app"] = app;
    pod.mutable_spec()->add_containers()->set_name("c");
    return *kernel_.create("pods", pod);
  }
  void set_ready(const std::string& name, bool ready) {
    kube::Pod pod = *kernel_.get<kube::Pod>("pods", "default", name);
    pod.mutable_status()->clear_conditions();
    pod.mutable_status()->set_phase("Running");
    auto& condition = *pod.mutable_status()->add_conditions();
    condition.set_type("Ready");
    condition.set_status(ready ? "True" : "False");
    condition.mutable_lasttransitiontime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000);
    ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  }
  void reconcile() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
  size_t stored_pods_ = 0;
};

TEST(Ranking, OtherVersionsOnItsNodeCountAsWell) {
  std::vector<StoredPod> pods{pod_like({.name = "a", .node = "n1"}), pod_like({.name = "b", .node = "n2"})};
  rank_for_deletion(pods, {{"n1", 1}, {"n2", 3}});
  EXPECT_EQ(pods.front().object.metadata().name(), "b");
  rank_for_deletion(pods, {{"n1", 2}, {"n2", 1}});
  EXPECT_EQ(pods.front().object.metadata().name(), "a");
}

TEST_F(ReplicaSetTest, MakesWhatIsMissingAndRemovesWhatIsTooMuch) {
  make(3);
  reconcile();
  ASSERT_EQ(pods().size(), 3u);
  EXPECT_EQ(stored().status().replicas(), 3);
  EXPECT_EQ(stored().status().fullylabeledreplicas(), 3);
  EXPECT_EQ(stored().status().readyreplicas(), 0);
  EXPECT_EQ(stored().status().observedgeneration(), stored().metadata().generation());
  const std::string kept = pods().at(1).metadata().name();
  set_ready(kept, true);
  reconcile();
  EXPECT_EQ(stored().status().readyreplicas(), 1);
  scale(1);
  reconcile();
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_EQ(pods().front().metadata().name(), kept);
  ASSERT_TRUE(kernel_.remove("pods", "default", kept));
  reconcile();
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_NE(pods().front().metadata().name(), kept);
}

TEST_F(ReplicaSetTest, ReplacesAPodThatEnded) {
  make(1);
  reconcile();
  kube::Pod pod = pods().front();
  pod.mutable_status()->set_phase("Failed");
  ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  reconcile();
  EXPECT_EQ(pods().size(), 2u);
  EXPECT_EQ(stored().status().replicas(), 1);
}

TEST_F(ReplicaSetTest, AdoptsAnOrphanInsteadOfMakingAPod) {
  loose_pod("mine", "web");
  loose_pod("other", "db");
  const ReplicaSet set = make(2);
  reconcile();
  EXPECT_EQ(pods().size(), 3u);
  const kube::Pod adopted = *kernel_.get<kube::Pod>("pods", "default", "mine");
  ASSERT_NE(kube::controller_of(adopted.metadata()), nullptr);
  EXPECT_EQ(kube::controller_of(adopted.metadata())->uid(), set.metadata().uid());
  EXPECT_TRUE(kube::controller_of(adopted.metadata())->blockownerdeletion());
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "other")->metadata().ownerreferences_size(), 0);
}

TEST_F(ReplicaSetTest, AnOrphanThatComesLaterIsOneTooMany) {
  make(1);
  reconcile();
  set_ready(pods().front().metadata().name(), true);
  loose_pod("late", "web");
  reconcile();
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_NE(pods().front().metadata().name(), "late");
}

TEST_F(ReplicaSetTest, ReleasesAPodWhoseLabelsWentAway) {
  make(1);
  reconcile();
  kube::Pod pod = pods().front();
  (*pod.mutable_metadata()->mutable_labels())["app"] = "debug";
  ASSERT_TRUE(kernel_.update("pods", pod));
  reconcile();
  EXPECT_EQ(pods().size(), 2u);
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", pod.metadata().name())->metadata().ownerreferences_size(), 0);
}

TEST_F(ReplicaSetTest, AvailableOnlyAfterMinReadySeconds) {
  ReplicaSet set = make(1);
  set.mutable_spec()->set_minreadyseconds(10);
  ASSERT_TRUE(kernel_.update("replicasets.apps", set));
  reconcile();
  set_ready(pods().front().metadata().name(), true);
  reconcile();
  EXPECT_EQ(stored().status().readyreplicas(), 1);
  EXPECT_EQ(stored().status().availablereplicas(), 0);
  kernel_.advance(11s);
  reconcile();
  EXPECT_EQ(stored().status().availablereplicas(), 1);
}

TEST_F(ReplicaSetTest, AConflictIsTriedAgain) {
  make(2);
  kernel_.conflict_commits(3);
  reconcile();
  EXPECT_EQ(pods().size(), 2u);
  EXPECT_EQ(stored().status().replicas(), 2);
}

TEST_F(ReplicaSetTest, AFailureStandsInItsStatusUntilItIsOver) {
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "pods") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("exceeded quota");
    }
    return verdict;
  });
  make(1);
  reconcile();
  ASSERT_EQ(stored().status().conditions_size(), 1);
  EXPECT_EQ(stored().status().conditions(0).type(), "ReplicaFailure");
  EXPECT_EQ(stored().status().conditions(0).reason(), "FailedCreate");
  const auto events = kernel_.list<Event>("events", "default");
  EXPECT_TRUE(
      std::any_of(events.begin(), events.end(), [](const Event& event) { return event.reason() == "FailedCreate"; }));
  kernel_.on_admit({});
  kernel_.advance(120s);
  reconcile();
  EXPECT_EQ(pods().size(), 1u);
  EXPECT_EQ(stored().status().conditions_size(), 0);
}

TEST_F(ReplicaSetTest, AsManyAreMadeAsAQuotaAllows) {
  // As a quota sees it: each transaction is judged against what is stored, and what it asks for itself.
  std::set<std::string> asked;
  kernel_.before_commit([&] {
    asked.clear();
    stored_pods_ = pods().size();
  });
  kernel_.on_admit([&](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() != "pods" || review.write().verb() != v1::CREATE) return verdict;
    asked.insert(review.write().key().name());
    if (stored_pods_ + asked.size() > 3) {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("exceeded quota");
    }
    return verdict;
  });
  make(5);
  reconcile();
  EXPECT_EQ(pods().size(), 3u);
  EXPECT_EQ(stored().status().conditions(0).message(), "exceeded quota");
}

TEST_F(ReplicaSetTest, ManyAreMadeInTransactions) {
  make(1200);
  const size_t before = kernel_.plugin_commits();
  reconcile();
  EXPECT_EQ(pods().size(), 1200u);
  EXPECT_EQ(stored().status().replicas(), 1200);
  EXPECT_LT(kernel_.plugin_commits() - before, 200u);
}

TEST_F(ReplicaSetTest, OneThatIsBeingDeletedMakesNothing) {
  ReplicaSet set = make(0);
  set.mutable_metadata()->add_finalizers("test/hold");
  set.mutable_spec()->set_replicas(2);
  ASSERT_TRUE(kernel_.update("replicasets.apps", set));
  ASSERT_TRUE(kernel_.remove("replicasets.apps", "default", "web"));
  reconcile();
  EXPECT_TRUE(pods().empty());
}

}  // namespace
}  // namespace orlop::workload
