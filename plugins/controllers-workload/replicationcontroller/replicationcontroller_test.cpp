#include "plugins/controllers-workload/replicationcontroller/replicationcontroller.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using Event = k8s::io::api::core::v1::Event;

class ReplicationControllerTest : public ::testing::Test {
 protected:
  ReplicationControllerTest() {
    controllers_.add(std::make_unique<ReplicationControllerController>(kernel_.host(), 1));
    controllers_.add(std::make_unique<ReplicaSetController>(kernel_.host(), 1));
    ReplicationController made;
    made.mutable_metadata()->set_name("web");
    made.mutable_metadata()->set_namespace_("default");
    made.mutable_spec()->set_replicas(2);
    (*made.mutable_spec()->mutable_selector())["app"] = "web";
    auto& pod_template = *made.mutable_spec()->mutable_template_();
    (*pod_template.mutable_metadata()->mutable_labels())["app"] = "web";
    pod_template.mutable_spec()->add_containers()->set_name("c");
    EXPECT_TRUE(kernel_.create("replicationcontrollers", made));
  }
  ReplicationController stored() {
    return *kernel_.get<ReplicationController>("replicationcontrollers", "default", "web");
  }
  std::vector<kube::Pod> pods() { return kernel_.list<kube::Pod>("pods", "default"); }
  void reconcile() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(ReplicationControllerTest, KeepsItsNumberOfPodsAndTellsOfThem) {
  reconcile();
  const auto made = pods();
  ASSERT_EQ(made.size(), 2u);
  const auto* owner = kube::controller_of(made.front().metadata());
  ASSERT_NE(owner, nullptr);
  EXPECT_EQ(owner->kind(), "ReplicationController");
  EXPECT_EQ(owner->apiversion(), "v1");
  EXPECT_EQ(stored().status().replicas(), 2);
  EXPECT_EQ(stored().status().fullylabeledreplicas(), 2);
  EXPECT_EQ(stored().status().observedgeneration(), stored().metadata().generation());
  const auto events = kernel_.list<Event>("events", "default");
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.reason() == "SuccessfulCreate" && event.source().component() == "replication-controller" &&
           event.involvedobject().kind() == "ReplicationController";
  }));
}

TEST_F(ReplicationControllerTest, FollowsItsScale) {
  reconcile();
  ReplicationController changed = stored();
  changed.mutable_spec()->set_replicas(0);
  ASSERT_TRUE(kernel_.update("replicationcontrollers", changed));
  reconcile();
  EXPECT_TRUE(pods().empty());
  EXPECT_EQ(stored().status().replicas(), 0);
}

TEST_F(ReplicationControllerTest, AdoptsByItsMapOfLabelsAndReleases) {
  kube::Pod loose;
  loose.mutable_metadata()->set_name("mine");
  loose.mutable_metadata()->set_namespace_("default");
  (*loose.mutable_metadata()->mutable_labels())["app"] = "web";
  ASSERT_TRUE(kernel_.create("pods", loose));
  reconcile();
  EXPECT_EQ(pods().size(), 2u);
  loose = *kernel_.get<kube::Pod>("pods", "default", "mine");
  ASSERT_NE(kube::controller_of(loose.metadata()), nullptr);
  (*loose.mutable_metadata()->mutable_labels())["app"] = "debug";
  ASSERT_TRUE(kernel_.update("pods", loose));
  reconcile();
  EXPECT_EQ(pods().size(), 3u);
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "mine")->metadata().ownerreferences_size(), 0);
}

}  // namespace
}  // namespace orlop::workload
