// Deployments and ReplicaSets together, in a kernel in memory whose pods become ready when the test says so.
#include "plugins/controllers-workload/deployment/deployment.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-workload/deployment/history.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using Event = k8s::io::api::core::v1::Event;

class DeploymentTest : public ::testing::Test {
 protected:
  DeploymentTest() {
    controllers_.add(std::make_unique<DeploymentController>(kernel_.host(), 1));
    controllers_.add(std::make_unique<ReplicaSetController>(kernel_.host(), 1));
  }

  static Deployment deployment(int32_t replicas) {
    Deployment out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    auto& spec = *out.mutable_spec();
    spec.set_replicas(replicas);
    spec.set_progressdeadlineseconds(600);
    spec.set_revisionhistorylimit(10);
    (*spec.mutable_selector()->mutable_matchlabels())["app"] = "web";
    (*spec.mutable_template_()->mutable_metadata()->mutable_labels())["app"] = "web";
    auto& container = *spec.mutable_template_()->mutable_spec()->add_containers();
    container.set_name("web");
    container.set_image("nginx:1");
    spec.mutable_strategy()->set_type("RollingUpdate");
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxsurge()->set_intval(1);
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxunavailable()->set_intval(0);
    return out;
  }

  void create(const Deployment& object) { ASSERT_TRUE(kernel_.create("deployments.apps", object)); }
  Deployment stored() { return *kernel_.get<Deployment>("deployments.apps", "default", "web"); }
  void edit(const std::function<void(Deployment&)>& change) {
    Deployment object = stored();
    change(object);
    ASSERT_TRUE(kernel_.update("deployments.apps", object));
  }
  void set_image(const std::string& image) {
    edit([&](Deployment& object) {
      object.mutable_spec()->mutable_template_()->mutable_spec()->mutable_containers(0)->set_image(image);
    });
  }

  std::vector<kube::Pod> pods() {
    std::vector<kube::Pod> out;
    for (kube::Pod& pod : kernel_.list<kube::Pod>("pods", "default")) {
      if (kube::is_active(pod)) out.push_back(std::move(pod));
    }
    return out;
  }
  size_t ready_pods() {
    const auto all = pods();
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& pod) { return kube::is_ready(pod); }));
  }
  // Image → pods that are to stay.
  std::map<std::string, int> by_image() {
    std::map<std::string, int> out;
    for (const kube::Pod& pod : pods()) ++out[pod.spec().containers(0).image()];
    return out;
  }
  // Stands for the node: at most `most` pods become ready. Returns how many did.
  size_t make_ready(size_t most, const std::string& except_image = "") {
    size_t made = 0;
    for (kube::Pod& pod : pods()) {
      if (made == most) break;
      if (kube::is_ready(pod) || pod.spec().containers(0).image() == except_image) continue;
      pod.mutable_status()->set_phase("Running");
      auto& ready = *pod.mutable_status()->add_conditions();
      ready.set_type("Ready");
      ready.set_status("True");
      ready.mutable_lasttransitiontime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000);
      EXPECT_TRUE(kernel_.update("pods", pod, "status"));
      ++made;
    }
    return made;
  }
  void reconcile() {
    for (int i = 0; i < 200; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }
  // Until nothing changes any more, one pod becoming ready at a time.
  void settle(const std::string& except_image = "", const std::function<void()>& check = {}) {
    for (int i = 0; i < 200; ++i) {
      reconcile();
      if (check) check();
      if (make_ready(1, except_image) == 0) return;
    }
    FAIL() << "does not settle";
  }
  std::vector<ReplicaSet> sets() { return kernel_.list<ReplicaSet>("replicasets.apps", "default"); }
  ReplicaSet set_with(const std::string& image) {
    for (const ReplicaSet& set : sets()) {
      if (set.spec().template_().spec().containers(0).image() == image) return set;
    }
    ADD_FAILURE() << "no set of " << image;
    return {};
  }
  std::string reason(const std::string& type) {
    const Deployment object = stored();
    for (const auto& condition : object.status().conditions()) {
      if (condition.type() == type) return condition.reason();
    }
    return "";
  }
  static std::string revision(const auto& object) {
    const auto found = object.metadata().annotations().find(kRevisionAnnotation);
    return found == object.metadata().annotations().end() ? "" : found->second;
  }
  bool told(const std::string& message) {
    const auto events = kernel_.list<Event>("events", "default");
    return std::any_of(events.begin(), events.end(), [&](const Event& event) { return event.message() == message; });
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(DeploymentTest, BecomesASetAndPods) {
  create(deployment(3));
  settle();
  ASSERT_EQ(sets().size(), 1u);
  const ReplicaSet set = sets().front();
  const std::string hash = set.metadata().labels().at(kHashLabel);
  EXPECT_EQ(set.metadata().name(), "web-" + hash);
  EXPECT_EQ(set.spec().selector().matchlabels().at(kHashLabel), hash);
  EXPECT_EQ(revision(set), "1");
  EXPECT_EQ(revision(stored()), "1");
  EXPECT_EQ(pods().size(), 3u);
  for (const kube::Pod& pod : pods()) {
    EXPECT_EQ(pod.metadata().labels().at(kHashLabel), hash);
    EXPECT_EQ(kube::controller_of(pod.metadata())->uid(), set.metadata().uid());
    EXPECT_TRUE(pod.metadata().name().starts_with(set.metadata().name() + "-"));
  }
  EXPECT_EQ(stored().status().availablereplicas(), 3);
  EXPECT_EQ(stored().status().observedgeneration(), stored().metadata().generation());
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  EXPECT_EQ(reason("Available"), "MinimumReplicasAvailable");
  EXPECT_TRUE(told("Scaled up replica set web-" + hash + " from 0 to 3"));
}

TEST_F(DeploymentTest, RollsWithinItsBounds) {
  create(deployment(4));
  settle();
  set_image("nginx:2");
  settle("", [&] {
    EXPECT_LE(pods().size(), 5u);
    EXPECT_GE(ready_pods(), 4u);
  });
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:2", 4}}));
  EXPECT_EQ(revision(stored()), "2");
  EXPECT_EQ(revision(set_with("nginx:2")), "2");
  EXPECT_EQ(set_with("nginx:1").spec().replicas(), 0);
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
}

TEST_F(DeploymentTest, ABrokenImageStopsTheRolloutAndIsTold) {
  create(deployment(3));
  settle();
  set_image("broken");
  settle("broken");
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 3}, {"broken", 1}}));
  EXPECT_EQ(reason("Progressing"), "ReplicaSetUpdated");
  kernel_.advance(601s);
  reconcile();
  EXPECT_EQ(reason("Progressing"), "ProgressDeadlineExceeded");
  EXPECT_EQ(stored().status().availablereplicas(), 3);
}

TEST_F(DeploymentTest, ComingBackIsANewRevisionOfTheOldSet) {
  create(deployment(2));
  settle();
  set_image("nginx:2");
  settle();
  set_image("nginx:1");
  settle();
  EXPECT_EQ(sets().size(), 2u);
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 2}}));
  EXPECT_EQ(revision(set_with("nginx:1")), "3");
  EXPECT_EQ(set_with("nginx:1").metadata().annotations().at(kRevisionHistoryAnnotation), "1");
  EXPECT_EQ(revision(set_with("nginx:2")), "2");
  EXPECT_EQ(revision(stored()), "3");
}

TEST_F(DeploymentTest, RecreateWaitsUntilTheOldPodsAreGone) {
  Deployment object = deployment(2);
  object.mutable_spec()->mutable_strategy()->set_type("Recreate");
  object.mutable_spec()->mutable_template_()->mutable_metadata()->add_finalizers("test/hold");  // pods end slowly
  create(object);
  settle();
  EXPECT_EQ(pods().size(), 2u);
  set_image("nginx:2");
  settle();
  EXPECT_EQ(pods().size(), 0u);
  EXPECT_EQ(sets().size(), 1u);
  for (kube::Pod& pod : kernel_.list<kube::Pod>("pods", "default")) {
    pod.mutable_metadata()->clear_finalizers();
    ASSERT_TRUE(kernel_.update("pods", pod));
  }
  kernel_.advance(200ms);
  settle();
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:2", 2}}));
}

TEST_F(DeploymentTest, PausedScalesButDoesNotRoll) {
  create(deployment(2));
  settle();
  edit([](Deployment& object) { object.mutable_spec()->set_paused(true); });
  set_image("nginx:2");
  settle();
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 2}}));
  EXPECT_EQ(reason("Progressing"), "DeploymentPaused");
  edit([](Deployment& object) { object.mutable_spec()->set_replicas(4); });
  settle();
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 4}}));
  edit([](Deployment& object) { object.mutable_spec()->set_paused(false); });
  settle();
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:2", 4}}));
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
}

TEST_F(DeploymentTest, KeepsNoMoreHistoryThanItsLimit) {
  Deployment object = deployment(1);
  object.mutable_spec()->set_revisionhistorylimit(2);
  create(object);
  settle();
  for (int i = 2; i <= 6; ++i) {
    set_image("nginx:" + std::to_string(i));
    settle();
    kernel_.advance(2s);
  }
  EXPECT_EQ(sets().size(), 3u);
  EXPECT_EQ(revision(set_with("nginx:4")), "4");
  EXPECT_EQ(revision(set_with("nginx:6")), "6");
}

TEST_F(DeploymentTest, ScaledInTheMiddleSharesByProportion) {
  Deployment object = deployment(10);
  object.mutable_spec()->mutable_strategy()->mutable_rollingupdate()->mutable_maxsurge()->set_intval(3);
  create(object);
  settle();
  set_image("broken");
  settle("broken");
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 10}, {"broken", 3}}));
  edit([](Deployment& wanted) { wanted.mutable_spec()->set_replicas(20); });
  settle("broken");
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:1", 18}, {"broken", 5}}));
}

TEST_F(DeploymentTest, ScalesUpAndDownAndToNothing) {
  create(deployment(2));
  settle();
  for (const int32_t replicas : {7, 1, 0, 3}) {
    edit([&](Deployment& object) { object.mutable_spec()->set_replicas(replicas); });
    settle();
    EXPECT_EQ(pods().size(), static_cast<size_t>(replicas));
    EXPECT_EQ(stored().status().replicas(), replicas);
    EXPECT_EQ(stored().status().availablereplicas(), replicas);
  }
  EXPECT_EQ(revision(stored()), "1");
  EXPECT_EQ(sets().size(), 1u);
}

TEST_F(DeploymentTest, TakesInASetOfItsOwnLabels) {
  create(deployment(1));
  settle();
  ReplicaSet orphan = sets().front();
  orphan.mutable_metadata()->clear_ownerreferences();
  ASSERT_TRUE(kernel_.update("replicasets.apps", orphan));
  settle();
  ASSERT_NE(kube::controller_of(sets().front().metadata()), nullptr);
  EXPECT_EQ(kube::controller_of(sets().front().metadata())->uid(), stored().metadata().uid());
  EXPECT_EQ(sets().size(), 1u);
  EXPECT_EQ(pods().size(), 1u);
}

TEST_F(DeploymentTest, ASetOfOtherLabelsGoesItsOwnWay) {
  create(deployment(1));
  settle();
  ReplicaSet set = sets().front();
  (*set.mutable_metadata()->mutable_labels())["app"] = "other";
  ASSERT_TRUE(kernel_.update("replicasets.apps", set));
  settle();
  for (const ReplicaSet& each : sets()) {
    const bool is_ours = kube::controller_of(each.metadata()) != nullptr;
    EXPECT_EQ(is_ours, each.metadata().labels().at("app") == "web") << each.metadata().name();
  }
  EXPECT_EQ(stored().status().collisioncount(), 1);
}

TEST_F(DeploymentTest, ThatItsSetCannotBeMadeIsTold) {
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "replicasets.apps") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("not today");
    }
    return verdict;
  });
  create(deployment(1));
  reconcile();
  EXPECT_EQ(reason("Progressing"), "ReplicaSetCreateError");
  const std::string name = "web-" + template_hash(deployment(1).spec().template_(), 0);
  EXPECT_TRUE(told("Failed to create new replica set \"" + name + "\": not today"));
  kernel_.on_admit({});
  kernel_.advance(120s);
  settle();
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
}

TEST_F(DeploymentTest, AnotherVersionHasItsOwnDeadline) {
  create(deployment(0));
  settle();
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  edit([](Deployment& object) {
    object.mutable_spec()->set_replicas(1);
    object.mutable_spec()->mutable_template_()->mutable_spec()->mutable_containers(0)->set_image("broken");
  });
  settle("broken");
  kernel_.advance(601s);
  settle("broken");
  EXPECT_EQ(reason("Progressing"), "ProgressDeadlineExceeded");
  set_image("nginx:2");
  reconcile();
  EXPECT_EQ(reason("Progressing"), "ReplicaSetUpdated");
  settle();
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
}

TEST_F(DeploymentTest, ManyFormerRevisionsAreCutOff) {
  Deployment object = deployment(1);
  ReplicaSet set = new_replica_set(object, 1, limits_of(object), 1);
  for (int revision = 2; revision < 1000; ++revision) copy_annotations(object, revision, limits_of(object), set);
  const std::string& text = set.metadata().annotations().at(kRevisionHistoryAnnotation);
  EXPECT_LE(text.size(), 2000u);
  EXPECT_TRUE(text.ends_with(",997,998"));
}

TEST_F(DeploymentTest, AHashThatIsTakenCountsACollision) {
  ReplicaSet foreign;
  foreign.mutable_metadata()->set_namespace_("default");
  foreign.mutable_metadata()->set_name("web-" + template_hash(deployment(1).spec().template_(), 0));
  (*foreign.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "other";
  ASSERT_TRUE(kernel_.create("replicasets.apps", foreign));
  create(deployment(1));
  settle();
  EXPECT_EQ(stored().status().collisioncount(), 1);
  EXPECT_EQ(sets().size(), 2u);
  EXPECT_EQ(pods().size(), 1u);
}

TEST_F(DeploymentTest, GoesOnAfterConflictsAndFailures) {
  create(deployment(3));
  kernel_.conflict_commits(2);
  settle();
  kernel_.fail_commits(Status(Code::kUnavailable, "away"), 3);
  set_image("nginx:2");
  kernel_.advance(5s);
  settle();
  kernel_.advance(5s);
  settle();
  EXPECT_EQ(by_image(), (std::map<std::string, int>{{"nginx:2", 3}}));
}

TEST_F(DeploymentTest, CopiesItsAnnotationsButNotKubectlsNotes) {
  Deployment object = deployment(1);
  (*object.mutable_metadata()->mutable_annotations())["kubernetes.io/change-cause"] = "first";
  (*object.mutable_metadata()->mutable_annotations())["kubectl.kubernetes.io/last-applied-configuration"] = "{}";
  create(object);
  settle();
  const ReplicaSet set = sets().front();
  const auto& annotations = set.metadata().annotations();
  EXPECT_EQ(annotations.at("kubernetes.io/change-cause"), "first");
  EXPECT_EQ(annotations.count("kubectl.kubernetes.io/last-applied-configuration"), 0u);
  EXPECT_EQ(annotations.at(kDesiredReplicasAnnotation), "1");
  EXPECT_EQ(annotations.at(kMaxReplicasAnnotation), "2");
}

TEST_F(DeploymentTest, NoSetIsMadeOfATemplateThatHasChangedMeanwhile) {
  create(deployment(1));
  bool changed = false;
  kernel_.before_commit([&] {
    if (!changed) set_image("nginx:2");
    changed = true;
  });
  settle();
  kernel_.before_commit({});
  for (const ReplicaSet& set : kernel_.list<ReplicaSet>("replicasets.apps", "default")) {
    EXPECT_EQ(set.spec().template_().spec().containers(0).image(), "nginx:2");
  }
  EXPECT_EQ(by_image()["nginx:2"], 1);
}

}  // namespace
}  // namespace orlop::workload
