// Namespaces, garbage collection, nodes and service accounts against a kernel in memory.
#include "orlop/controller.hpp"
#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/coordination_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-cluster/garbage/garbage.hpp"
#include "plugins/controllers-cluster/namespaces/namespaces.hpp"
#include "plugins/controllers-cluster/nodes/nodes.hpp"
#include "plugins/controllers-cluster/service-accounts/service_accounts.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

namespace orlop::cluster {
namespace {

using namespace std::chrono_literals;
namespace core = k8s::io::api::core::v1;
using core::ConfigMap;
using core::Namespace;
using core::Node;
using core::ServiceAccount;
using Lease = k8s::io::api::coordination::v1::Lease;
using ReplicaSet = k8s::io::api::apps::v1::ReplicaSet;

class ControllerTest : public ::testing::Test {
 protected:
  void settle(std::chrono::milliseconds step = 10ms) {
    for (int i = 0; i < 60; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 5) return;
      kernel_.advance(step);
    }
  }
  template <typename T>
  static T named(const std::string& name, const std::string& name_space = "default") {
    T out;
    out.mutable_metadata()->set_name(name);
    out.mutable_metadata()->set_namespace_(name_space);
    return out;
  }
  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

// ---------------------------------------------------------------------------------------------- namespaces

class NamespacesTest : public ControllerTest {
 protected:
  NamespacesTest() {
    controllers_.add(std::make_unique<NamespaceController>(kernel_.host()));
    // As the provider of the kind does it: a namespace stays while spec.finalizers names anybody.
    kernel_.on_admit([](const v1::Review& review) {
      v1::Verdict verdict;
      if (review.write().key().kind() != "namespaces") return verdict;
      Namespace object;
      object.ParseFromString(review.write().verb() == v1::DELETE ? review.current() : review.write().value());
      verdict.set_hold(object.spec().finalizers_size() > 0);
      return verdict;
    });
    Namespace made = named<Namespace>("team", "");
    made.mutable_spec()->add_finalizers("kubernetes");
    EXPECT_TRUE(kernel_.create("namespaces", made));
  }
};

TEST_F(NamespacesTest, GoWithAllThatIsInThem) {
  for (int i = 0; i < 250; ++i) {
    ASSERT_TRUE(kernel_.create("configmaps", named<ConfigMap>("c" + std::to_string(i), "team")));
  }
  ASSERT_TRUE(kernel_.create("pods", named<kube::Pod>("p", "team")));
  ASSERT_TRUE(kernel_.create("replicasets.apps", named<ReplicaSet>("r", "team")));
  ASSERT_TRUE(kernel_.create("configmaps", named<ConfigMap>("kept")));
  settle();
  EXPECT_EQ(kernel_.list<ConfigMap>("configmaps", "team").size(), 250u);
  ASSERT_TRUE(kernel_.remove("namespaces", "", "team"));
  settle(250ms);
  EXPECT_TRUE(kernel_.list<ConfigMap>("configmaps", "team").empty());
  EXPECT_TRUE(kernel_.list<kube::Pod>("pods", "team").empty());
  EXPECT_TRUE(kernel_.list<ReplicaSet>("replicasets.apps", "team").empty());
  EXPECT_EQ(kernel_.list<ConfigMap>("configmaps").size(), 1u);
  EXPECT_EQ(kernel_.get<Namespace>("namespaces", "", "team").code(), Code::kNotFound);
}

TEST_F(NamespacesTest, WaitForWhatEndsSlowly) {
  kube::Pod slow = named<kube::Pod>("slow", "team");
  slow.mutable_metadata()->add_finalizers("test/hold");
  ASSERT_TRUE(kernel_.create("pods", slow));
  ASSERT_TRUE(kernel_.remove("namespaces", "", "team"));
  settle();
  auto waiting = kernel_.get<Namespace>("namespaces", "", "team");
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->status().phase(), "Terminating");
  EXPECT_TRUE(kernel_.get<kube::Pod>("pods", "team", "slow")->metadata().has_deletiontimestamp());
  slow = *kernel_.get<kube::Pod>("pods", "team", "slow");
  slow.mutable_metadata()->clear_finalizers();
  ASSERT_TRUE(kernel_.update("pods", slow));
  settle(250ms);
  EXPECT_EQ(kernel_.get<Namespace>("namespaces", "", "team").code(), Code::kNotFound);
}

TEST_F(NamespacesTest, LeaveOthersFinalizers) {
  Namespace object = *kernel_.get<Namespace>("namespaces", "", "team");
  object.mutable_spec()->add_finalizers("example.com/mine");
  ASSERT_TRUE(kernel_.update("namespaces", object));
  ASSERT_TRUE(kernel_.remove("namespaces", "", "team"));
  settle();
  const auto stored = kernel_.get<Namespace>("namespaces", "", "team");
  ASSERT_TRUE(stored);
  ASSERT_EQ(stored->spec().finalizers_size(), 1);
  EXPECT_EQ(stored->spec().finalizers(0), "example.com/mine");
}

// ---------------------------------------------------------------------------------------------- garbage

class GarbageTest : public ControllerTest {
 protected:
  GarbageTest() { controllers_.add(std::make_unique<GarbageCollector>(kernel_.host())); }
  ReplicaSet make_set(const std::string& name) { return *kernel_.create("replicasets.apps", named<ReplicaSet>(name)); }
  static void own(kube::Pod& pod, const ReplicaSet& owner, bool blocks = true) {
    auto& reference = *pod.mutable_metadata()->add_ownerreferences();
    reference.set_apiversion("apps/v1");
    reference.set_kind("ReplicaSet");
    reference.set_name(owner.metadata().name());
    reference.set_uid(owner.metadata().uid());
    reference.set_blockownerdeletion(blocks);
  }
  void make_pod(const std::string& name, const std::vector<ReplicaSet>& owners, bool slow = false) {
    kube::Pod pod = named<kube::Pod>(name);
    for (const ReplicaSet& owner : owners) own(pod, owner);
    if (slow) pod.mutable_metadata()->add_finalizers("test/hold");
    ASSERT_TRUE(kernel_.create("pods", pod));
  }
  void remove_set(const std::string& name, const std::string& policy) {
    v1::DeleteOptions options;
    options.set_propagation_policy(policy);
    ASSERT_TRUE(kernel_.remove("replicasets.apps", "default", name, options));
  }
  bool has_pod(const std::string& name) { return kernel_.get<kube::Pod>("pods", "default", name).is_ok(); }
  bool has_set(const std::string& name) { return kernel_.get<ReplicaSet>("replicasets.apps", "default", name).is_ok(); }
  kube::Pod pod(const std::string& name) { return *kernel_.get<kube::Pod>("pods", "default", name); }
};

TEST_F(GarbageTest, InTheBackgroundDependentsGoAfterTheirOwner) {
  const ReplicaSet set = make_set("r");
  make_pod("p", {set});
  make_pod("free", {});
  settle();
  remove_set("r", "Background");
  EXPECT_TRUE(has_pod("p"));
  settle();
  EXPECT_FALSE(has_pod("p"));
  EXPECT_TRUE(has_pod("free"));
}

TEST_F(GarbageTest, InTheForegroundTheyGoFirst) {
  const ReplicaSet set = make_set("r");
  make_pod("p", {set}, true);
  settle();
  remove_set("r", "Foreground");
  settle();
  EXPECT_TRUE(has_set("r"));
  EXPECT_TRUE(pod("p").metadata().has_deletiontimestamp());
  kube::Pod held = pod("p");
  held.mutable_metadata()->clear_finalizers();
  ASSERT_TRUE(kernel_.update("pods", held));
  settle(250ms);
  EXPECT_FALSE(has_pod("p"));
  EXPECT_FALSE(has_set("r"));
}

TEST_F(GarbageTest, OneThatDoesNotBlockIsNotWaitedFor) {
  const ReplicaSet set = make_set("r");
  kube::Pod slow = named<kube::Pod>("p");
  own(slow, set, false);
  slow.mutable_metadata()->add_finalizers("test/hold");
  ASSERT_TRUE(kernel_.create("pods", slow));
  remove_set("r", "Foreground");
  settle(250ms);
  EXPECT_FALSE(has_set("r"));
  EXPECT_TRUE(pod("p").metadata().has_deletiontimestamp());
}

TEST_F(GarbageTest, OrphansAreSetFree) {
  const ReplicaSet set = make_set("r");
  make_pod("p", {set});
  settle();
  remove_set("r", "Orphan");
  settle();
  EXPECT_FALSE(has_set("r"));
  ASSERT_TRUE(has_pod("p"));
  EXPECT_EQ(pod("p").metadata().ownerreferences_size(), 0);
  EXPECT_FALSE(pod("p").metadata().has_deletiontimestamp());
}

TEST_F(GarbageTest, WithTwoOwnersTheLastOneTakesItAlong) {
  const ReplicaSet a = make_set("a"), b = make_set("b");
  make_pod("p", {a, b});
  settle();
  remove_set("a", "Background");
  settle();
  ASSERT_TRUE(has_pod("p"));
  ASSERT_EQ(pod("p").metadata().ownerreferences_size(), 1);
  EXPECT_EQ(pod("p").metadata().ownerreferences(0).uid(), b.metadata().uid());
  remove_set("b", "Background");
  settle();
  EXPECT_FALSE(has_pod("p"));
}

TEST_F(GarbageTest, InTheForegroundAnotherOwnerKeepsIt) {
  const ReplicaSet a = make_set("a"), b = make_set("b");
  make_pod("p", {a, b});
  settle();
  remove_set("a", "Foreground");
  settle(250ms);
  EXPECT_FALSE(has_set("a"));
  ASSERT_TRUE(has_pod("p"));
  EXPECT_FALSE(pod("p").metadata().has_deletiontimestamp());
  EXPECT_EQ(pod("p").metadata().ownerreferences_size(), 1);
}

TEST_F(GarbageTest, BornWithoutItsOwnerItGoes) {
  ReplicaSet gone = named<ReplicaSet>("gone");
  gone.mutable_metadata()->set_uid("00000000-0000-0000-0000-000000000001");
  make_pod("p", {gone});
  const ReplicaSet set = make_set("r");
  ReplicaSet namesake = set;
  namesake.mutable_metadata()->set_uid("00000000-0000-0000-0000-000000000002");
  make_pod("q", {namesake});
  settle();
  EXPECT_FALSE(has_pod("p"));
  EXPECT_FALSE(has_pod("q"));
  EXPECT_TRUE(has_set("r"));
}

TEST_F(GarbageTest, AnOwnerOfAKindThatNobodyProvidesIsNotTakenForGone) {
  kube::Pod pod_of_other = named<kube::Pod>("p");
  auto& reference = *pod_of_other.mutable_metadata()->add_ownerreferences();
  reference.set_apiversion("example.com/v1");
  reference.set_kind("Robot");
  reference.set_name("r");
  reference.set_uid("x");
  ASSERT_TRUE(kernel_.create("pods", pod_of_other));
  Node node = named<Node>("n", "");
  auto& wrong = *node.mutable_metadata()->add_ownerreferences();
  wrong.set_apiversion("apps/v1");
  wrong.set_kind("ReplicaSet");
  wrong.set_name("r");
  wrong.set_uid("y");
  ASSERT_TRUE(kernel_.create("nodes", node));
  settle();
  EXPECT_TRUE(has_pod("p"));
  EXPECT_TRUE(kernel_.get<Node>("nodes", "", "n"));  // an owner in a namespace is no owner of a node
}

// ---------------------------------------------------------------------------------------------- nodes

TEST(PodCidrs, LowestFirstAndReused) {
  auto cidrs = PodCidrs::parse("10.244.0.0/22", 24);
  ASSERT_TRUE(cidrs);
  EXPECT_EQ(*cidrs->allocate(), "10.244.0.0/24");
  cidrs->take("10.244.1.0/24");
  EXPECT_EQ(*cidrs->allocate(), "10.244.2.0/24");
  EXPECT_EQ(*cidrs->allocate(), "10.244.3.0/24");
  EXPECT_FALSE(cidrs->allocate());
  cidrs->release("10.244.1.0/24");
  cidrs->release("192.168.0.0/24");
  EXPECT_EQ(*cidrs->allocate(), "10.244.1.0/24");
  EXPECT_FALSE(PodCidrs::parse("10.244.0.0", 24));
  EXPECT_FALSE(PodCidrs::parse("fd00::/48", 64));
  EXPECT_FALSE(PodCidrs::parse("10.244.0.0/24", 16));
}

class NodesTest : public ControllerTest {
 protected:
  NodesTest() {
    kernel_.index_with([](const std::string& kind, std::string_view value) {
      std::vector<std::string> terms;
      kube::Pod pod;
      if (kind == "pods" && pod.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        terms.push_back("node/" + pod.spec().nodename());
      }
      return terms;
    });
    controllers_.add(std::make_unique<NodeController>(kernel_.host(), NodeSettings{}));
  }
  void heartbeat(const std::string& node) {
    Lease lease = named<Lease>(node, "kube-node-lease");
    lease.mutable_spec()->mutable_renewtime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000);
    const bool there = kernel_.get<Lease>("leases.coordination.k8s.io", "kube-node-lease", node).is_ok();
    ASSERT_TRUE(there ? kernel_.update("leases.coordination.k8s.io", lease)
                      : kernel_.create("leases.coordination.k8s.io", lease));
  }
  void say(const std::string& node, const std::string& ready) {
    Node object = *kernel_.get<Node>("nodes", "", node);
    object.mutable_status()->clear_conditions();
    auto& condition = *object.mutable_status()->add_conditions();
    condition.set_type("Ready");
    condition.set_status(ready);
    ASSERT_TRUE(kernel_.update("nodes", object, "status"));
  }
  void add_node(const std::string& name) {
    ASSERT_TRUE(kernel_.create("nodes", named<Node>(name, "")));
    heartbeat(name);
    say(name, "True");
    settle();
  }
  void add_pod(const std::string& name, const std::string& node, std::optional<int64_t> tolerates_s) {
    kube::Pod pod = named<kube::Pod>(name);
    pod.mutable_spec()->set_nodename(node);
    if (tolerates_s) {
      auto& toleration = *pod.mutable_spec()->add_tolerations();
      toleration.set_operator_("Exists");
      toleration.set_effect("NoExecute");
      if (*tolerates_s >= 0) toleration.set_tolerationseconds(*tolerates_s);
    }
    auto& ready = *pod.mutable_status()->add_conditions();
    ready.set_type("Ready");
    ready.set_status("True");
    ASSERT_TRUE(kernel_.create("pods", pod));
  }
  void pass(std::chrono::seconds time) {
    for (auto left = time; left > 0s; left -= 1s) {
      kernel_.advance(1s);
      controllers_.run_until_idle();
    }
  }
  bool has_pod(const std::string& name) { return kernel_.get<kube::Pod>("pods", "default", name).is_ok(); }
  Node node(const std::string& name) { return *kernel_.get<Node>("nodes", "", name); }
  std::vector<std::string> taints(const std::string& name) {
    std::vector<std::string> out;
    const Node stored = node(name);
    for (const auto& taint : stored.spec().taints()) out.push_back(taint.key() + ":" + taint.effect());
    return out;
  }
};

TEST_F(NodesTest, EachGetsItsPartOfThePodNetwork) {
  Node old = named<Node>("old", "");
  old.mutable_spec()->set_podcidr("10.244.0.0/24");
  ASSERT_TRUE(kernel_.create("nodes", old));
  add_node("a");
  add_node("b");
  EXPECT_EQ(node("a").spec().podcidr(), "10.244.1.0/24");
  EXPECT_EQ(node("a").spec().podcidrs(0), "10.244.1.0/24");
  EXPECT_EQ(node("b").spec().podcidr(), "10.244.2.0/24");
  ASSERT_TRUE(kernel_.remove("nodes", "", "a"));
  settle();
  add_node("c");
  EXPECT_EQ(node("c").spec().podcidr(), "10.244.1.0/24");
}

TEST_F(NodesTest, OneThatIsNotHeardOfIsLostAndComesBack) {
  add_node("a");
  EXPECT_TRUE(taints("a").empty());
  add_pod("p", "a", -1);
  pass(45s);
  EXPECT_EQ(node("a").status().conditions(0).type(), "Ready");
  EXPECT_EQ(node("a").status().conditions(0).status(), "Unknown");
  EXPECT_EQ(node("a").status().conditions(0).reason(), "NodeStatusUnknown");
  EXPECT_THAT(taints("a"), ::testing::UnorderedElementsAre("node.kubernetes.io/unreachable:NoSchedule",
                                                           "node.kubernetes.io/unreachable:NoExecute"));
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "p")->status().conditions(0).status(), "False");
  heartbeat("a");
  say("a", "True");
  settle();
  EXPECT_TRUE(taints("a").empty());
}

TEST_F(NodesTest, PodsGoWhenTheirTolerationHasRunOut) {
  add_node("a");
  add_pod("ever", "a", -1);
  add_pod("five-minutes", "a", 300);
  add_pod("at-once", "a", std::nullopt);
  pass(30s);
  EXPECT_TRUE(has_pod("at-once"));
  pass(20s);
  EXPECT_FALSE(has_pod("at-once"));
  EXPECT_TRUE(has_pod("five-minutes"));
  pass(250s);
  EXPECT_TRUE(has_pod("five-minutes"));
  pass(60s);
  EXPECT_FALSE(has_pod("five-minutes"));
  EXPECT_TRUE(has_pod("ever"));
}

TEST_F(NodesTest, ATaintByHandIsToleratedFromWhenItCame) {
  add_node("a");
  add_pod("p", "a", 20);
  Node object = node("a");
  auto& taint = *object.mutable_spec()->add_taints();
  taint.set_key("maintenance");
  taint.set_effect("NoExecute");
  ASSERT_TRUE(kernel_.update("nodes", object));
  settle();
  EXPECT_TRUE(has_pod("p"));
  pass(15s);
  EXPECT_TRUE(has_pod("p"));
  add_pod("later", "a", 20);
  pass(10s);
  EXPECT_FALSE(has_pod("p"));
  EXPECT_TRUE(has_pod("later"));
}

TEST_F(NodesTest, NotReadyAndCordonedAreTaints) {
  add_node("a");
  say("a", "False");
  settle();
  EXPECT_THAT(taints("a"), ::testing::UnorderedElementsAre("node.kubernetes.io/not-ready:NoSchedule",
                                                           "node.kubernetes.io/not-ready:NoExecute"));
  say("a", "True");
  Node object = node("a");
  object.mutable_spec()->set_unschedulable(true);
  ASSERT_TRUE(kernel_.update("nodes", object));
  settle();
  EXPECT_THAT(taints("a"), ::testing::ElementsAre("node.kubernetes.io/unschedulable:NoSchedule"));
}

// ---------------------------------------------------------------------------------------------- service accounts

class ServiceAccountsTest : public ControllerTest {
 protected:
  ServiceAccountsTest() {
    char folder[] = "/tmp/orlop-accounts-XXXXXX";
    folder_ = ::mkdtemp(folder);
    controllers_.add(std::make_unique<ServiceAccountController>(kernel_.host(), folder_ + "/ca.crt"));
  }
  ~ServiceAccountsTest() override { std::filesystem::remove_all(folder_); }
  void write_ca(const std::string& text) { std::ofstream(folder_ + "/ca.crt") << text; }
  std::string folder_;
};

TEST_F(ServiceAccountsTest, EveryNamespaceHasItsOwnAndTheAuthority) {
  write_ca("PEM");
  ASSERT_TRUE(kernel_.create("namespaces", named<Namespace>("team", "")));
  settle();
  EXPECT_TRUE(kernel_.get<ServiceAccount>("serviceaccounts", "team", "default"));
  EXPECT_EQ(kernel_.get<ConfigMap>("configmaps", "team", "kube-root-ca.crt")->data().at("ca.crt"), "PEM");
  ASSERT_TRUE(kernel_.remove("serviceaccounts", "team", "default"));
  ConfigMap map = *kernel_.get<ConfigMap>("configmaps", "team", "kube-root-ca.crt");
  (*map.mutable_data())["ca.crt"] = "forged";
  ASSERT_TRUE(kernel_.update("configmaps", map));
  settle();
  EXPECT_TRUE(kernel_.get<ServiceAccount>("serviceaccounts", "team", "default"));
  EXPECT_EQ(kernel_.get<ConfigMap>("configmaps", "team", "kube-root-ca.crt")->data().at("ca.crt"), "PEM");
}

TEST_F(ServiceAccountsTest, WaitForTheAuthority) {
  ASSERT_TRUE(kernel_.create("namespaces", named<Namespace>("team", "")));
  settle();
  EXPECT_TRUE(kernel_.get<ServiceAccount>("serviceaccounts", "team", "default"));
  EXPECT_FALSE(kernel_.get<ConfigMap>("configmaps", "team", "kube-root-ca.crt"));
  write_ca("PEM");
  kernel_.advance(1s);
  settle();
  EXPECT_TRUE(kernel_.get<ConfigMap>("configmaps", "team", "kube-root-ca.crt"));
}

}  // namespace
}  // namespace orlop::cluster
