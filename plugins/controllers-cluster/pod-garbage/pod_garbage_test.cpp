#include "plugins/controllers-cluster/pod-garbage/pod_garbage.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-cluster/pod-garbage/rules.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::cluster {
namespace {

using namespace std::chrono_literals;
using Node = k8s::io::api::core::v1::Node;

class PodGarbageTest : public ::testing::Test {
 protected:
  PodGarbageTest() {
    controllers_.add(std::make_unique<PodGarbageCollector>(kernel_.host(), 3));
    // As the provider of pods does it: half a minute for those on a node.
    kernel_.on_admit([](const v1::Review& review) {
      v1::Verdict verdict;
      if (review.write().key().kind() == "pods") verdict.set_grace_seconds(30);
      return verdict;
    });
  }
  void add_node(const std::string& name) {
    Node node;
    node.mutable_metadata()->set_name(name);
    ASSERT_TRUE(kernel_.create("nodes", node));
    settle();
  }
  kube::Pod add_pod(const std::string& name, const std::string& node, const std::string& phase = "Running") {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("default");
    pod.mutable_spec()->set_nodename(node);
    EXPECT_TRUE(kernel_.create("pods", pod));
    pod = *kernel_.get<kube::Pod>("pods", "default", name);
    pod.mutable_status()->set_phase(phase);
    EXPECT_TRUE(kernel_.update("pods", pod, "status"));
    settle();
    return pod;
  }
  bool has_pod(const std::string& name) { return kernel_.get<kube::Pod>("pods", "default", name).is_ok(); }
  void settle() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }
  void pass(std::chrono::seconds by) {
    kernel_.advance(by);
    settle();
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(PodGarbageTest, PodsOfANodeThatIsGoneFollowAfterAWhile) {
  add_node("a");
  add_node("b");
  add_pod("p", "a");
  kube::Pod held = *kernel_.get<kube::Pod>("pods", "default", "p");
  held.mutable_metadata()->add_finalizers("test/hold");
  ASSERT_TRUE(kernel_.update("pods", held));
  add_pod("q", "b");
  ASSERT_TRUE(kernel_.remove("nodes", "", "a"));
  settle();
  pass(38s);
  EXPECT_FALSE(kernel_.get<kube::Pod>("pods", "default", "p")->metadata().has_deletiontimestamp());
  pass(3s);
  held = *kernel_.get<kube::Pod>("pods", "default", "p");
  EXPECT_TRUE(held.metadata().has_deletiontimestamp());
  EXPECT_EQ(held.status().phase(), "Failed");
  ASSERT_EQ(held.status().conditions_size(), 1);
  EXPECT_EQ(held.status().conditions(0).type(), "DisruptionTarget");
  EXPECT_EQ(held.status().conditions(0).reason(), "DeletionByPodGC");
  EXPECT_EQ(held.status().conditions(0).message(), "PodGC: node no longer exists");
  held.mutable_metadata()->clear_finalizers();
  ASSERT_TRUE(kernel_.update("pods", held));
  settle();
  EXPECT_FALSE(has_pod("p"));
  EXPECT_TRUE(has_pod("q"));
}

TEST_F(PodGarbageTest, ANodeThatIsOnlyLateLosesNothing) {
  add_pod("p", "late");
  pass(30s);
  add_node("late");
  pass(60s);
  EXPECT_TRUE(has_pod("p"));
  ASSERT_TRUE(kernel_.remove("nodes", "", "late"));
  settle();
  pass(30s);
  EXPECT_TRUE(has_pod("p")) << "the wait begins anew";
  pass(11s);
  EXPECT_FALSE(has_pod("p"));
}

TEST_F(PodGarbageTest, UnderDeletionAndNeverOnANodeItGoesAtOnce) {
  add_pod("p", "", "Pending");
  EXPECT_TRUE(has_pod("p"));
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  EXPECT_FALSE(has_pod("p"));
}

TEST_F(PodGarbageTest, OutOfServiceIsOutOfGrace) {
  add_node("a");
  add_pod("going", "a");
  add_pod("staying", "a");
  ASSERT_TRUE(kernel_.remove("pods", "default", "going"));
  settle();
  EXPECT_TRUE(has_pod("going"));
  Node node = *kernel_.get<Node>("nodes", "", "a");
  node.mutable_spec()->add_taints()->set_key("node.kubernetes.io/out-of-service");
  ASSERT_TRUE(kernel_.update("nodes", node));
  settle();
  EXPECT_FALSE(has_pod("going"));
  EXPECT_TRUE(has_pod("staying"));
}

TEST_F(PodGarbageTest, OfTooManyThatEndedTheOldestGo) {
  add_node("a");
  add_pod("first", "a", "Succeeded");
  pass(2s);
  add_pod("second", "a", "Failed");
  pass(2s);
  add_pod("third", "a", "Succeeded");
  EXPECT_TRUE(has_pod("first"));
  pass(2s);
  add_pod("fourth", "a", "Failed");
  EXPECT_FALSE(has_pod("first"));
  EXPECT_TRUE(has_pod("second"));
  add_pod("running", "a", "Running");
  EXPECT_TRUE(has_pod("second"));
}

TEST(PodGarbageRules, EvictedOnesGoFirst) {
  std::vector<Stored<kube::Pod>> ended(3);
  for (size_t i = 0; i < 3; ++i) {
    ended[i].object.mutable_metadata()->set_name("p" + std::to_string(i));
    ended[i].object.mutable_metadata()->mutable_creationtimestamp()->set_seconds(static_cast<int64_t>(i));
    ended[i].object.mutable_status()->set_phase("Failed");
  }
  ended[2].object.mutable_status()->set_reason("Evicted");
  const auto going = surplus(ended, 1);
  ASSERT_EQ(going.size(), 2u);
  EXPECT_EQ(going[0].object.metadata().name(), "p2");
  EXPECT_EQ(going[1].object.metadata().name(), "p0");
  EXPECT_TRUE(surplus(ended, 3).empty());
}

TEST(PodGarbageRules, AReadyNodeIsInService) {
  Node node;
  node.mutable_spec()->add_taints()->set_key("node.kubernetes.io/out-of-service");
  EXPECT_TRUE(is_out_of_service(node));
  auto& ready = *node.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("True");
  EXPECT_FALSE(is_out_of_service(node));
}

}  // namespace
}  // namespace orlop::cluster
