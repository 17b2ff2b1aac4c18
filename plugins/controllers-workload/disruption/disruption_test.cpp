#include "plugins/controllers-workload/disruption/disruption.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/policy_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-workload/disruption/stale_targets.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
namespace apps = k8s::io::api::apps::v1;
using Event = k8s::io::api::core::v1::Event;

void set_count(k8s::io::apimachinery::pkg::util::intstr::IntOrString* value, const std::string& text) {
  const bool percent = text.back() == '%';
  value->set_type(percent ? 1 : 0);
  if (percent) {
    value->set_strval(text);
  } else {
    value->set_intval(std::stoi(text));
  }
}

class DisruptionTest : public ::testing::Test {
 protected:
  DisruptionTest() {
    controllers_.add(std::make_unique<DisruptionController>(kernel_.host()));
    controllers_.add(std::make_unique<StaleTargets>(kernel_.host()));
  }

  void make_budget(const std::string& min_available, const std::string& max_unavailable = {}) {
    Budget budget;
    budget.mutable_metadata()->set_name("pdb");
    budget.mutable_metadata()->set_namespace_("default");
    (*budget.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
    if (!min_available.empty()) set_count(budget.mutable_spec()->mutable_minavailable(), min_available);
    if (!max_unavailable.empty()) set_count(budget.mutable_spec()->mutable_maxunavailable(), max_unavailable);
    ASSERT_TRUE(kernel_.create("poddisruptionbudgets.policy", budget));
  }
  Budget budget() { return *kernel_.get<Budget>("poddisruptionbudgets.policy", "default", "pdb"); }
  kube::Condition condition() {
    const Budget stored = budget();
    const kube::Condition* condition = kube::find_condition(stored, kube::kDisruptionAllowed);
    return condition == nullptr ? kube::Condition() : *condition;
  }
  std::string reason() { return condition().reason(); }

  template <typename Workload>
  kube::OwnerReference make_workload(const std::string& name, int32_t replicas,
                                     const kube::OwnerReference& owner = {}) {
    Workload workload;
    workload.mutable_metadata()->set_name(name);
    workload.mutable_metadata()->set_namespace_("default");
    workload.mutable_spec()->set_replicas(replicas);
    if (!owner.uid().empty()) *workload.mutable_metadata()->add_ownerreferences() = owner;
    auto made = kernel_.create(std::string(kube::KindOf<Workload>::id), workload);
    EXPECT_TRUE(made);
    return reference("apps/v1", std::string(kube::KindOf<Workload>::kind), name, made->metadata().uid());
  }
  static kube::OwnerReference reference(const std::string& api_version, const std::string& kind,
                                        const std::string& name, const std::string& uid) {
    kube::OwnerReference out;
    out.set_apiversion(api_version);
    out.set_kind(kind);
    out.set_name(name);
    out.set_uid(uid);
    out.set_controller(true);
    return out;
  }
  void make_pods(int from, int to, const kube::OwnerReference& owner = {}, bool ready = true) {
    for (int i = from; i < to; ++i) {
      kube::Pod pod;
      pod.mutable_metadata()->set_name("web-" + std::to_string(i));
      pod.mutable_metadata()->set_namespace_("default");
      (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
      if (!owner.uid().empty()) *pod.mutable_metadata()->add_ownerreferences() = owner;
      ASSERT_TRUE(kernel_.create("pods", pod));
      set_condition(pod.metadata().name(), "Ready", ready ? "True" : "False");
    }
  }
  void set_condition(const std::string& name, const std::string& type, const std::string& status,
                     const std::string& reason = {}) {
    kube::Pod pod = *kernel_.get<kube::Pod>("pods", "default", name);
    pod.mutable_status()->set_phase("Running");
    kube::PodCondition* condition = nullptr;
    for (auto& existing : *pod.mutable_status()->mutable_conditions()) {
      if (existing.type() == type) condition = &existing;
    }
    if (condition == nullptr) condition = pod.mutable_status()->add_conditions();
    condition->set_type(type);
    condition->set_status(status);
    condition->set_reason(reason);
    condition->mutable_lasttransitiontime()->set_seconds(now_s());
    ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  }
  int64_t now_s() { return kernel_.wall_now_ns() / 1'000'000'000; }
  // allowed, current, desired, expected
  std::vector<int32_t> numbers() {
    reconcile();
    const auto status = budget().status();
    return {status.disruptionsallowed(), status.currenthealthy(), status.desiredhealthy(), status.expectedpods()};
  }
  bool has_event(const std::string& reason) {
    for (const Event& event : kernel_.list<Event>("events")) {
      if (event.reason() == reason) return true;
    }
    return false;
  }
  void reconcile() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }
  using Numbers = std::vector<int32_t>;

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(DisruptionTest, MinAvailableAsANumberCountsThePodsThatAreThere) {
  make_budget("2");
  EXPECT_EQ(numbers(), (Numbers{0, 0, 2, 0}));
  EXPECT_EQ(reason(), "InsufficientPods");
  EXPECT_TRUE(has_event("NoPods"));
  make_pods(0, 3);
  EXPECT_EQ(numbers(), (Numbers{1, 3, 2, 3}));
  EXPECT_EQ(reason(), "SufficientPods");
  EXPECT_EQ(budget().status().observedgeneration(), budget().metadata().generation());
  set_condition("web-1", "Ready", "False");
  EXPECT_EQ(numbers(), (Numbers{0, 2, 2, 3}));
  ASSERT_TRUE(kernel_.remove("pods", "default", "web-1"));
  EXPECT_EQ(numbers(), (Numbers{0, 2, 2, 2}));
}

TEST_F(DisruptionTest, PercentIsOfWhatTheDeploymentWants) {
  const auto deployment = make_workload<apps::Deployment>("web", 10);
  const auto old_set = make_workload<apps::ReplicaSet>("web-old", 4, deployment);
  const auto new_set = make_workload<apps::ReplicaSet>("web-new", 6, deployment);
  make_pods(0, 4, old_set);
  make_pods(4, 10, new_set);
  make_budget("28%");
  EXPECT_EQ(numbers(), (Numbers{7, 10, 3, 10}));
}

TEST_F(DisruptionTest, MaxUnavailableIsOfTheSumOfAllControllers) {
  const auto stateful = make_workload<apps::StatefulSet>("db", 3);
  const auto set = make_workload<apps::ReplicaSet>("web", 4);
  make_pods(0, 3, stateful);
  make_pods(3, 7, set);
  make_budget("", "2");
  EXPECT_EQ(numbers(), (Numbers{2, 7, 5, 7}));
  make_pods(7, 8);  // nobody's
  EXPECT_EQ(numbers(), (Numbers{3, 8, 5, 7}));
  EXPECT_TRUE(has_event("UnmanagedPods"));
}

TEST_F(DisruptionTest, MaxUnavailableInPercentIsRoundedUp) {
  make_pods(0, 5, make_workload<apps::ReplicaSet>("web", 5));
  make_budget("", "30%");
  EXPECT_EQ(numbers(), (Numbers{2, 5, 3, 5}));
}

TEST_F(DisruptionTest, WithoutAScaleNothingMayGo) {
  make_pods(0, 2, reference("batch/v1", "Job", "job", "u1"));
  make_budget("", "1");
  reconcile();
  EXPECT_EQ(budget().status().disruptionsallowed(), 0);
  EXPECT_EQ(reason(), "SyncFailed");
  EXPECT_EQ(condition().message(), "jobs.batch does not implement the scale subresource");
  EXPECT_TRUE(has_event("CalculateExpectedPodCountFailed"));
}

TEST_F(DisruptionTest, AControllerThatIsGoneIsTold) {
  make_pods(0, 1, reference("apps/v1", "ReplicaSet", "gone", "u1"));
  make_budget("50%");
  reconcile();
  EXPECT_EQ(reason(), "SyncFailed");
  EXPECT_EQ(condition().message(), "found no controllers for pod \"web-0\"");
}

TEST_F(DisruptionTest, AnEvictedPodIsMissedUntilItsTimeIsOver) {
  make_pods(0, 3);
  make_budget("1");
  EXPECT_EQ(numbers(), (Numbers{2, 3, 1, 3}));
  Budget evicting = budget();
  (*evicting.mutable_status()->mutable_disruptedpods())["web-0"].set_seconds(now_s());
  (*evicting.mutable_status()->mutable_disruptedpods())["no-such-pod"].set_seconds(now_s());
  ASSERT_TRUE(kernel_.update("poddisruptionbudgets.policy", evicting, "status"));
  EXPECT_EQ(numbers(), (Numbers{1, 2, 1, 3}));
  EXPECT_EQ(budget().status().disruptedpods().size(), 1u);
  kernel_.advance(119s);
  EXPECT_EQ(numbers(), (Numbers{1, 2, 1, 3}));
  kernel_.advance(2s);
  EXPECT_EQ(numbers(), (Numbers{2, 3, 1, 3}));
  EXPECT_TRUE(budget().status().disruptedpods().empty());
  EXPECT_TRUE(has_event("NotDeleted"));
}

TEST_F(DisruptionTest, AStaleTargetIsTakenBack) {
  make_pods(0, 2);
  set_condition("web-0", "DisruptionTarget", "True", "EvictionByEvictionAPI");
  set_condition("web-1", "DisruptionTarget", "True", "TerminationByKubelet");
  reconcile();
  auto target = [&](const std::string& name) {
    const auto pod = *kernel_.get<kube::Pod>("pods", "default", name);
    return kube::find_condition(pod, "DisruptionTarget")->status();
  };
  kernel_.advance(100s);
  reconcile();
  EXPECT_EQ(target("web-0"), "True");
  kernel_.advance(30s);
  reconcile();
  EXPECT_EQ(target("web-0"), "False");
  EXPECT_EQ(target("web-1"), "True");
}

}  // namespace
}  // namespace orlop::workload
