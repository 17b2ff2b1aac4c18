#include "plugins/controllers-workload/statefulset/statefulset.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <chrono>
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
using Event = k8s::io::api::core::v1::Event;

class StatefulSetTest : public ::testing::Test {
 protected:
  StatefulSetTest() { controllers_.add(std::make_unique<StatefulSetController>(kernel_.host(), 1)); }

  static StatefulSet set_of(int32_t replicas) {
    StatefulSet out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    auto& spec = *out.mutable_spec();
    spec.set_replicas(replicas);
    spec.set_servicename("headless");
    spec.set_podmanagementpolicy("OrderedReady");
    spec.mutable_updatestrategy()->set_type("RollingUpdate");
    spec.mutable_updatestrategy()->mutable_rollingupdate()->set_partition(0);
    spec.set_revisionhistorylimit(1);
    (*spec.mutable_selector()->mutable_matchlabels())["app"] = "web";
    (*spec.mutable_template_()->mutable_metadata()->mutable_labels())["app"] = "web";
    auto& container = *spec.mutable_template_()->mutable_spec()->add_containers();
    container.set_name("c");
    container.set_image("web:1");
    return out;
  }
  StatefulSet make(const StatefulSet& set) { return *kernel_.create("statefulsets.apps", set); }
  StatefulSet stored() { return *kernel_.get<StatefulSet>("statefulsets.apps", "default", "web"); }
  template <typename Change>
  void change(const Change& how) {
    StatefulSet set = stored();
    how(*set.mutable_spec());
    ASSERT_TRUE(kernel_.update("statefulsets.apps", set));
  }
  void scale(int32_t replicas) {
    change([&](auto& spec) { spec.set_replicas(replicas); });
  }
  void set_image(const std::string& image) {
    change([&](auto& spec) { spec.mutable_template_()->mutable_spec()->mutable_containers(0)->set_image(image); });
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& pod : kernel_.list<kube::Pod>("pods", "default")) out.push_back(pod.metadata().name());
    return out;
  }
  std::vector<std::string> images() {
    std::vector<std::string> out;
    for (const auto& pod : kernel_.list<kube::Pod>("pods", "default")) out.push_back(pod.spec().containers(0).image());
    return out;
  }
  std::vector<std::string> claims() {
    std::vector<std::string> out;
    for (const auto& claim : kernel_.list<Claim>("persistentvolumeclaims", "default")) {
      out.push_back(claim.metadata().name());
    }
    return out;
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const auto& event : kernel_.list<Event>("events", "default"))
      out.push_back(event.reason() + ": " + event.message());
    return out;
  }
  void set_ready(kube::Pod pod, bool ready = true) {
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
  // Until nothing happens any more, while each new pod gets ready.
  void settle() {
    for (int i = 0; i < 100; ++i) {
      reconcile();
      bool changed = false;
      for (const kube::Pod& pod : kernel_.list<kube::Pod>("pods", "default")) {
        if (kube::is_ready(pod)) continue;
        set_ready(pod);
        changed = true;
      }
      if (!changed) return;
    }
    FAIL() << "never at rest";
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(StatefulSetTest, MakesPodsInOrder) {
  make(set_of(3));
  reconcile();
  EXPECT_THAT(names(), ElementsAre("web-0"));
  set_ready(kernel_.list<kube::Pod>("pods").front());
  reconcile();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1"));
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1", "web-2"));
  const StatefulSetStatus status = stored().status();
  EXPECT_EQ(status.replicas(), 3);
  EXPECT_EQ(status.readyreplicas(), 3);
  EXPECT_EQ(status.availablereplicas(), 3);
  EXPECT_EQ(status.currentreplicas(), 3);
  EXPECT_EQ(status.updatedreplicas(), 3);
  EXPECT_EQ(status.currentrevision(), status.updaterevision());
  EXPECT_EQ(status.observedgeneration(), stored().metadata().generation());
  EXPECT_THAT(events(), Contains("SuccessfulCreate: create Pod web-2 in StatefulSet web successful"));
}

TEST_F(StatefulSetTest, TheSameNameComesBack) {
  make(set_of(2));
  settle();
  const std::string before = kernel_.get<kube::Pod>("pods", "default", "web-1")->metadata().uid();
  ASSERT_TRUE(kernel_.remove("pods", "default", "web-1"));
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1"));
  EXPECT_NE(kernel_.get<kube::Pod>("pods", "default", "web-1")->metadata().uid(), before);
}

TEST_F(StatefulSetTest, ScalesDownFromTheEnd) {
  make(set_of(3));
  settle();
  scale(1);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0"));
  EXPECT_EQ(stored().status().replicas(), 1);
  EXPECT_THAT(events(), Contains("SuccessfulDelete: delete Pod web-1 in StatefulSet web successful"));
}

TEST_F(StatefulSetTest, AnUpdateHonoursItsPartitionAndIsUndone) {
  make(set_of(3));
  settle();
  const std::string first = stored().status().currentrevision();
  change([](auto& spec) { spec.mutable_updatestrategy()->mutable_rollingupdate()->set_partition(2); });
  set_image("web:2");
  settle();
  EXPECT_THAT(images(), ElementsAre("web:1", "web:1", "web:2"));
  EXPECT_EQ(stored().status().updatedreplicas(), 1);
  EXPECT_EQ(stored().status().currentreplicas(), 2);
  EXPECT_EQ(stored().status().currentrevision(), first);
  EXPECT_NE(stored().status().updaterevision(), first);
  // What stands before the partition comes back as it was.
  ASSERT_TRUE(kernel_.remove("pods", "default", "web-0"));
  settle();
  EXPECT_THAT(images(), ElementsAre("web:1", "web:1", "web:2"));
  change([](auto& spec) { spec.mutable_updatestrategy()->mutable_rollingupdate()->set_partition(0); });
  settle();
  EXPECT_THAT(images(), ElementsAre("web:2", "web:2", "web:2"));
  EXPECT_EQ(stored().status().currentrevision(), stored().status().updaterevision());
  set_image("web:1");
  settle();
  EXPECT_THAT(images(), ElementsAre("web:1", "web:1", "web:1"));
  EXPECT_EQ(stored().status().currentrevision(), first);
}

TEST_F(StatefulSetTest, AnUpdateWithoutAPartitionGoesThrough) {
  StatefulSet set = set_of(3);
  set.mutable_spec()->mutable_updatestrategy()->clear_rollingupdate();
  make(set);
  settle();
  set_image("web:2");
  settle();
  EXPECT_THAT(images(), ElementsAre("web:2", "web:2", "web:2"));
}

TEST_F(StatefulSetTest, HistoryIsKeptToItsLimit) {
  make(set_of(1));
  settle();
  for (int i = 2; i < 6; ++i) {
    set_image("web:" + std::to_string(i));
    settle();
  }
  EXPECT_EQ(kernel_.list<ControllerRevision>("controllerrevisions.apps").size(), 2u);
}

TEST_F(StatefulSetTest, ParallelMakesAndUpdates) {
  StatefulSet set = set_of(4);
  set.mutable_spec()->set_podmanagementpolicy("Parallel");
  set.mutable_spec()->mutable_ordinals()->set_start(3);
  make(set);
  reconcile();
  EXPECT_THAT(names(), ElementsAre("web-3", "web-4", "web-5", "web-6"));
  settle();
  set_image("web:2");
  settle();
  EXPECT_THAT(images(), ElementsAre("web:2", "web:2", "web:2", "web:2"));
}

TEST_F(StatefulSetTest, AFailedPodIsReplaced) {
  make(set_of(1));
  settle();
  kube::Pod pod = kernel_.list<kube::Pod>("pods").front();
  const std::string before = pod.metadata().uid();
  pod.mutable_status()->set_phase("Failed");
  ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  settle();
  ASSERT_THAT(names(), ElementsAre("web-0"));
  EXPECT_NE(kernel_.list<kube::Pod>("pods").front().metadata().uid(), before);
}

TEST_F(StatefulSetTest, ClaimsAreMadeAndKept) {
  StatefulSet set = set_of(2);
  auto& claim = *set.mutable_spec()->add_volumeclaimtemplates();
  claim.mutable_metadata()->set_name("data");
  claim.mutable_spec()->add_accessmodes("ReadWriteOnce");
  make(set);
  settle();
  EXPECT_THAT(claims(), ElementsAre("data-web-0", "data-web-1"));
  EXPECT_THAT(events(), Contains("SuccessfulCreate: create Claim data-web-0 Pod web-0 in StatefulSet web success"));
  scale(1);
  settle();
  EXPECT_THAT(claims(), ElementsAre("data-web-0", "data-web-1"));
  scale(2);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1"));
  EXPECT_EQ(kernel_.get<Claim>("persistentvolumeclaims", "default", "data-web-1")->metadata().ownerreferences_size(),
            0);
}

TEST_F(StatefulSetTest, AClaimGoesWithThePodThatIsScaledAway) {
  StatefulSet set = set_of(2);
  set.mutable_spec()->add_volumeclaimtemplates()->mutable_metadata()->set_name("data");
  set.mutable_spec()->mutable_persistentvolumeclaimretentionpolicy()->set_whenscaled("Delete");
  set.mutable_spec()->mutable_persistentvolumeclaimretentionpolicy()->set_whendeleted("Delete");
  make(set);
  settle();
  const auto owner = [&](const std::string& name) {
    return kernel_.get<Claim>("persistentvolumeclaims", "default", name)->metadata().ownerreferences(0).kind();
  };
  EXPECT_EQ(owner("data-web-1"), "StatefulSet");
  scale(1);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0"));
  EXPECT_EQ(owner("data-web-0"), "StatefulSet");
  EXPECT_EQ(owner("data-web-1"), "Pod");
  // Scaled up before the garbage collector came: the pod waits for the old claim to go.
  scale(2);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0"));
  ASSERT_TRUE(kernel_.remove("persistentvolumeclaims", "default", "data-web-1"));
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1"));
  EXPECT_EQ(owner("data-web-1"), "StatefulSet");
}

TEST_F(StatefulSetTest, AnIdentityIsGivenBackAndAStrangerLeftAlone) {
  make(set_of(1));
  settle();
  kube::Pod pod = kernel_.list<kube::Pod>("pods").front();
  pod.mutable_metadata()->mutable_labels()->erase("apps.kubernetes.io/pod-index");
  pod.mutable_metadata()->mutable_labels()->erase("statefulset.kubernetes.io/pod-name");
  ASSERT_TRUE(kernel_.update("pods", pod));
  kube::Pod stranger;
  stranger.mutable_metadata()->set_name("loose");
  stranger.mutable_metadata()->set_namespace_("default");
  (*stranger.mutable_metadata()->mutable_labels())["app"] = "web";
  ASSERT_TRUE(kernel_.create("pods", stranger));
  settle();
  const auto labels = kernel_.get<kube::Pod>("pods", "default", "web-0")->metadata().labels();
  EXPECT_EQ(labels.at("statefulset.kubernetes.io/pod-name"), "web-0");
  EXPECT_EQ(labels.at("apps.kubernetes.io/pod-index"), "0");
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "loose")->metadata().ownerreferences_size(), 0);
  EXPECT_THAT(events(), Contains("SuccessfulUpdate: update Pod web-0 in StatefulSet web successful"));
}

TEST_F(StatefulSetTest, SomebodyElsesPodIsInTheWayUntilItGoes) {
  kube::Pod other;
  other.mutable_metadata()->set_name("web-0");
  other.mutable_metadata()->set_namespace_("default");
  (*other.mutable_metadata()->mutable_labels())["app"] = "other";
  ASSERT_TRUE(kernel_.create("pods", other));
  make(set_of(1));
  reconcile();
  EXPECT_EQ(stored().status().replicas(), 0);
  ASSERT_TRUE(kernel_.remove("pods", "default", "web-0"));
  settle();
  EXPECT_EQ(kube::controller_of(kernel_.list<kube::Pod>("pods").front().metadata())->name(), "web");
}

TEST_F(StatefulSetTest, ARefusalIsToldAndTriedAgain) {
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "pods") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("exceeded quota");
    }
    return verdict;
  });
  make(set_of(1));
  reconcile();
  EXPECT_THAT(events(), Contains("FailedCreate: create Pod web-0 in StatefulSet web failed error: exceeded quota"));
  EXPECT_EQ(stored().status().observedgeneration(), stored().metadata().generation());
  kernel_.on_admit({});
  kernel_.advance(120s);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0"));
}

TEST_F(StatefulSetTest, WaitsForMinReadySeconds) {
  StatefulSet set = set_of(2);
  set.mutable_spec()->set_minreadyseconds(10);
  make(set);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0"));
  EXPECT_EQ(stored().status().availablereplicas(), 0);
  kernel_.advance(11s);
  settle();
  EXPECT_THAT(names(), ElementsAre("web-0", "web-1"));
  EXPECT_EQ(stored().status().availablereplicas(), 1);
}

}  // namespace
}  // namespace orlop::workload
