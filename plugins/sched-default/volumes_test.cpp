// Where a pod may go for its claims' sake, against a kernel in memory.
#include "plugins/sched-default/volumes.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/sched-default/scheduler.hpp"
#include "plugins/sched-default/test_objects.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace orlop::sched {
namespace {

using namespace std::chrono_literals;
using storage::Claim;
using storage::PersistentVolume;
using StorageClass = k8s::io::api::storage::v1::StorageClass;
using ::testing::Contains;

class VolumesTest : public ::testing::Test {
 protected:
  VolumesTest() {
    kernel_.on_admit([](const v1::Review& review) {
      v1::Verdict verdict;
      if (review.write().subresource() == "binding") verdict.set_value(review.write().value());
      return verdict;
    });
    for (const char* name : {"n1", "n2"}) EXPECT_TRUE(kernel_.create("nodes", make_node(name)));
  }
  void settle() {
    for (int i = 0; i < 10; ++i) scheduler_.run_once();
  }
  void add_pod(const std::string& name, const std::string& claim = "c") {
    kube::Pod pod = make_pod(name);
    auto& volume = *pod.mutable_spec()->add_volumes();
    volume.set_name("v");
    volume.mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname(claim);
    ASSERT_TRUE(kernel_.create("pods", pod));
    settle();
  }
  void add_class(const std::string& name, bool waits, const std::string& provisioner = "x.io/y") {
    StorageClass out;
    out.mutable_metadata()->set_name(name);
    out.set_provisioner(provisioner);
    out.set_volumebindingmode(waits ? "WaitForFirstConsumer" : "Immediate");
    ASSERT_TRUE(kernel_.create("storageclasses.storage.k8s.io", out));
  }
  void add_claim(const std::string& class_name, const std::string& mode = "ReadWriteOnce") {
    Claim out;
    out.mutable_metadata()->set_name("c");
    out.mutable_metadata()->set_namespace_("default");
    out.mutable_spec()->add_accessmodes(mode);
    out.mutable_spec()->set_storageclassname(class_name);
    (*out.mutable_spec()->mutable_resources()->mutable_requests())["storage"].set_string("1Gi");
    out.mutable_status()->set_phase("Pending");
    ASSERT_TRUE(kernel_.create("persistentvolumeclaims", out));
  }
  void add_volume(const std::string& name, const std::string& node, const std::string& class_name = "") {
    PersistentVolume out;
    out.mutable_metadata()->set_name(name);
    out.mutable_spec()->add_accessmodes("ReadWriteOnce");
    out.mutable_spec()->set_storageclassname(class_name);
    (*out.mutable_spec()->mutable_capacity())["storage"].set_string("1Gi");
    auto& requirement = *out.mutable_spec()
                             ->mutable_nodeaffinity()
                             ->mutable_required()
                             ->add_nodeselectorterms()
                             ->add_matchexpressions();
    requirement.set_key("kubernetes.io/hostname");
    requirement.set_operator_("In");
    requirement.add_values(node);
    out.mutable_status()->set_phase("Available");
    ASSERT_TRUE(kernel_.create("persistentvolumes", out));
  }
  void bind(const std::string& volume) {
    Claim out = claim();
    out.mutable_spec()->set_volumename(volume);
    storage::annotate(out, storage::kBindCompleted, "yes");
    out.mutable_status()->set_phase("Bound");
    ASSERT_TRUE(kernel_.update("persistentvolumeclaims", out));
    settle();
  }
  Claim claim() { return *kernel_.get<Claim>("persistentvolumeclaims", "default", "c"); }
  std::string node_of(const std::string& pod) {
    return kernel_.get<kube::Pod>("pods", "default", pod)->spec().nodename();
  }
  std::string told(const std::string& pod) {
    const kube::Pod stored = *kernel_.get<kube::Pod>("pods", "default", pod);
    const auto* condition = kube::find_condition(stored, "PodScheduled");
    return condition == nullptr ? "" : condition->message();
  }

  testing::FakeKernel kernel_;
  Scheduler scheduler_{kernel_.host(), {}};
};

TEST_F(VolumesTest, AMissingClaimIsWaitedFor) {
  add_pod("p");
  EXPECT_EQ(told("p"), "0/2 nodes are available: persistentvolumeclaim \"c\" not found.");
  add_claim("");
  settle();
  EXPECT_EQ(told("p"), "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
  add_volume("v", "n2");
  bind("v");
  EXPECT_EQ(node_of("p"), "n2");
}

TEST_F(VolumesTest, AVolumeElsewhereIsAConflict) {
  add_claim("");
  add_volume("v", "n3");
  bind("v");
  add_pod("p");
  EXPECT_EQ(told("p"), "0/2 nodes are available: 2 node(s) had volume node affinity conflict.");
}

TEST_F(VolumesTest, TheNodeIsNotedAndThePodFollowsItsVolume) {
  add_class("late", true);
  add_claim("late");
  add_pod("p");
  const std::string noted = storage::annotation(claim(), storage::kSelectedNode);
  EXPECT_THAT((std::vector<std::string>{"n1", "n2"}), Contains(noted));
  EXPECT_EQ(node_of("p"), "");
  EXPECT_EQ(told("p"), "");
  add_volume("v", noted);
  settle();
  EXPECT_EQ(node_of("p"), "");
  bind("v");
  EXPECT_EQ(node_of("p"), noted);
}

TEST_F(VolumesTest, OneClaimOfSeveralVolumesIsNotedOnce) {
  add_class("late", true);
  add_claim("late");
  kube::Pod pod = make_pod("p");
  for (const char* name : {"a", "b"}) {
    auto& volume = *pod.mutable_spec()->add_volumes();
    volume.set_name(name);
    volume.mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname("c");
  }
  ASSERT_TRUE(kernel_.create("pods", pod));
  settle();
  EXPECT_NE(storage::annotation(claim(), storage::kSelectedNode), "");
}

TEST_F(VolumesTest, ANodeThatIsGoneIsNotedNoMore) {
  add_class("late", true);
  add_claim("late");
  Claim noted = claim();
  storage::annotate(noted, storage::kSelectedNode, "gone");
  ASSERT_TRUE(kernel_.update("persistentvolumeclaims", noted));
  add_pod("p");
  EXPECT_NE(storage::annotation(claim(), storage::kSelectedNode), "gone");
}

TEST_F(VolumesTest, WhatNobodyMakesMustBeThere) {
  add_class("hand", true, "kubernetes.io/no-provisioner");
  add_claim("hand");
  add_pod("p");
  EXPECT_EQ(told("p"), "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.");
  add_volume("v", "n2", "hand");
  settle();
  EXPECT_EQ(storage::annotation(claim(), storage::kSelectedNode), "");
  kernel_.advance(2s);
  settle();
  EXPECT_EQ(storage::annotation(claim(), storage::kSelectedNode), "n2");
}

TEST_F(VolumesTest, OncePodTakesOnePod) {
  add_claim("", "ReadWriteOncePod");
  add_volume("v", "n1");
  bind("v");
  add_pod("p");
  EXPECT_EQ(node_of("p"), "n1");
  add_pod("q");
  EXPECT_EQ(node_of("q"), "");
  EXPECT_EQ(told("q"),
            "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and "
            "ReadWriteOncePod access mode.");
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  EXPECT_EQ(node_of("q"), "n1");
}

TEST_F(VolumesTest, AClaimThatIsGoingTakesNoPod) {
  add_claim("");
  Claim held = claim();
  held.mutable_metadata()->add_finalizers("test/hold");
  ASSERT_TRUE(kernel_.update("persistentvolumeclaims", held));
  ASSERT_TRUE(kernel_.remove("persistentvolumeclaims", "default", "c"));
  add_pod("p");
  EXPECT_EQ(told("p"), "0/2 nodes are available: persistentvolumeclaim \"c\" is being deleted.");
}

TEST_F(VolumesTest, AnEphemeralVolumesClaimIsWaitedFor) {
  kube::Pod pod = make_pod("p");
  auto& volume = *pod.mutable_spec()->add_volumes();
  volume.set_name("v");
  volume.mutable_volumesource()->mutable_ephemeral();
  ASSERT_TRUE(kernel_.create("pods", pod));
  settle();
  EXPECT_EQ(told("p"),
            "0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "
            "\"p-v\".");
}

}  // namespace
}  // namespace orlop::sched
