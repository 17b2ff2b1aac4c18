// Claims and volumes through their lives, and stopped after each write.
#include "plugins/controllers-volume/binding/testing.hpp"

namespace orlop::volumes {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BindingTest : public VolumesTest {
 protected:
  std::string phase(const std::string& name) { return volume(name).status().phase(); }
  void bind_one(const std::string& policy) {
    PersistentVolume one = make_volume("a", "1Gi");
    one.mutable_spec()->set_persistentvolumereclaimpolicy(policy);
    add(one);
    add(make_claim("c", "1Gi"));
    settle();
    ASSERT_EQ(phase("a"), "Bound");
  }
  Claim provision_one(const StorageClass& storage_class = make_class("fast")) {
    add(storage_class);
    const Claim made = add(make_claim("c", "1Gi", storage_class.metadata().name()));
    settle();
    return made;
  }
};

TEST_F(BindingTest, BothEndsTellWhoBoundThem) {
  bind_one("Retain");
  EXPECT_EQ(storage::annotation(volume("a"), storage::kBoundByController), "yes");
  EXPECT_EQ(storage::annotation(claim("c"), storage::kBoundByController), "yes");
  EXPECT_EQ(storage::annotation(claim("c"), storage::kBindCompleted), "yes");
  EXPECT_EQ(volume("a").spec().claimref().kind(), "PersistentVolumeClaim");
}

TEST_F(BindingTest, WhatAPersonNamedIsNotTheControllers) {
  PersistentVolume one = make_volume("a", "1Gi");
  one.mutable_spec()->mutable_claimref()->set_namespace_("default");
  one.mutable_spec()->mutable_claimref()->set_name("c");
  add(one);
  settle();
  EXPECT_EQ(phase("a"), "Available");
  Claim wish = make_claim("c", "1Gi");
  wish.mutable_spec()->set_volumename("a");
  add(wish);
  settle();
  EXPECT_EQ(phase("a"), "Bound");
  EXPECT_FALSE(storage::has_annotation(volume("a"), storage::kBoundByController));
  EXPECT_FALSE(storage::has_annotation(claim("c"), storage::kBoundByController));
}

TEST_F(BindingTest, AClaimGetsAVolumeThatComesLater) {
  add(make_claim("c", "1Gi"));
  settle();
  EXPECT_EQ(claim("c").status().phase(), "Pending");
  add(make_volume("a", "1Gi"));
  settle();
  EXPECT_EQ(claim("c").spec().volumename(), "a");
}

TEST_F(BindingTest, AClassThatComesLaterServesTheClaimsThatWait) {
  add(make_claim("c", "1Gi", "fast"));
  settle();
  EXPECT_THAT(events("ProvisioningFailed"), ElementsAre("storageclass.storage.k8s.io \"fast\" not found"));
  add(make_class("fast"));
  settle();
  EXPECT_EQ(claim("c").status().phase(), "Bound");
}

TEST_F(BindingTest, ADefaultClassThatComesLaterIsTaken) {
  add(make_claim("c", "1Gi", "-"));
  settle();
  EXPECT_EQ(claim("c").status().phase(), "Pending");
  StorageClass fast = make_class("fast");
  storage::annotate(fast, storage::kDefaultClass, "true");
  add(fast);
  settle();
  EXPECT_EQ(claim("c").spec().storageclassname(), "fast");
  EXPECT_EQ(claim("c").status().phase(), "Bound");
}

TEST_F(BindingTest, OneVolumeIsNeverGivenTwice) {
  for (const char* name : {"a", "b", "d"}) add(make_claim(name, "1Gi"));
  add(make_volume("v", "1Gi"));
  settle();
  int bound = 0;
  for (const char* name : {"a", "b", "d"}) bound += claim(name).spec().volumename() == "v" ? 1 : 0;
  EXPECT_EQ(bound, 1);
}

TEST_F(BindingTest, AVolumeThatGoesToAnotherMeanwhileIsNotTaken) {
  add(make_volume("v", "1Gi"));
  settle();
  bool stolen = false;
  kernel_.before_commit([&] {
    if (std::exchange(stolen, true)) return;
    PersistentVolume changed = volume("v");
    changed.mutable_spec()->mutable_claimref()->set_namespace_("default");
    changed.mutable_spec()->mutable_claimref()->set_name("other");
    ASSERT_TRUE(kernel_.update("persistentvolumes", changed));
  });
  add(make_claim("c", "1Gi"));
  settle();
  EXPECT_EQ(volume("v").spec().claimref().name(), "other");
  EXPECT_EQ(claim("c").status().phase(), "Pending");
}

TEST_F(BindingTest, ARetainedVolumeStaysWithItsData) {
  bind_one("Retain");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Released");
  add(make_claim("c", "1Gi"));
  settle();
  EXPECT_EQ(phase("a"), "Released");
  EXPECT_EQ(claim("c").status().phase(), "Pending");
  PersistentVolume freed = volume("a");
  freed.mutable_spec()->clear_claimref();
  ASSERT_TRUE(kernel_.update("persistentvolumes", freed));
  settle();
  EXPECT_EQ(claim("c").spec().volumename(), "a");
}

TEST_F(BindingTest, ARecycledVolumeIsEmptiedAndBoundAgain) {
  bind_one("Recycle");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Available");
  EXPECT_FALSE(volume("a").spec().has_claimref());
  EXPECT_THAT(node_.emptied, ElementsAre("a"));
  EXPECT_THAT(events("VolumeRecycled"), ElementsAre("Volume recycled"));
  add(make_claim("again", "1Gi"));
  settle();
  EXPECT_EQ(claim("again").spec().volumename(), "a");
}

TEST_F(BindingTest, OneThatCannotBeEmptiedSaysSoAndIsTriedAgain) {
  bind_one("Recycle");
  node_.fails = Status(Code::kForbidden, "Operation not permitted");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Failed");
  EXPECT_EQ(volume("a").status().message(), "Recycle failed: Operation not permitted");
  EXPECT_THAT(events("VolumeFailedRecycle"), ElementsAre("Recycle failed: Operation not permitted"));
  node_.fails = Status::ok();
  for (int i = 0; i < 8; ++i) settle(2s);
  EXPECT_EQ(phase("a"), "Available");
}

TEST_F(BindingTest, OnlyHostPathsAreRecycled) {
  PersistentVolume one = make_volume("a", "1Gi");
  one.mutable_spec()->set_persistentvolumereclaimpolicy("Recycle");
  one.mutable_spec()->mutable_persistentvolumesource()->clear_hostpath();
  one.mutable_spec()->mutable_persistentvolumesource()->mutable_local()->set_path("/a");
  add(one);
  add(make_claim("c", "1Gi"));
  settle();
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Failed");
  EXPECT_THAT(events("VolumeFailedRecycle"), ElementsAre("No recycler plugin found for the volume!"));
}

TEST_F(BindingTest, AHostPathIsNotDeleted) {
  bind_one("Delete");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Failed");
  EXPECT_THAT(events("VolumeFailedDelete"),
              ElementsAre("error getting deleter volume plugin for volume \"a\": no volume plugin matched"));
}

TEST_F(BindingTest, AReservationOutlivesTheClaim) {
  PersistentVolume one = make_volume("a", "1Gi");
  one.mutable_spec()->set_persistentvolumereclaimpolicy("Recycle");
  one.mutable_spec()->mutable_claimref()->set_namespace_("default");
  one.mutable_spec()->mutable_claimref()->set_name("c");
  add(one);
  add(make_claim("c", "1Gi"));
  settle();
  EXPECT_EQ(phase("a"), "Bound");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("a"), "Available");
  EXPECT_EQ(volume("a").spec().claimref().name(), "c");
  EXPECT_EQ(volume("a").spec().claimref().uid(), "");
}

TEST_F(BindingTest, AVolumeIsMadeAsItsClassSays) {
  StorageClass fast = make_class("fast");
  fast.add_mountoptions("noatime");
  (*fast.mutable_parameters())["kind"] = "ssd";
  (*fast.mutable_parameters())["csi.storage.k8s.io/fstype"] = "xfs";
  const Claim made = provision_one(fast);
  const std::string name = "pvc-" + made.metadata().uid();
  const PersistentVolume own = volume(name);
  EXPECT_EQ(own.spec().persistentvolumesource().csi().volumehandle(), "id-" + name);
  EXPECT_EQ(own.spec().persistentvolumesource().csi().driver(), "test.io/driver");
  EXPECT_EQ(own.spec().capacity().at("storage").string(), "1Gi");
  EXPECT_EQ(own.spec().persistentvolumereclaimpolicy(), "Delete");
  EXPECT_THAT(own.spec().mountoptions(), ElementsAre("noatime"));
  EXPECT_EQ(storage::annotation(own, storage::kProvisionedBy), "test.io/driver");
  EXPECT_EQ(storage_.last.parameters_size(), 1);
  EXPECT_EQ(storage_.last.required_bytes(), int64_t{1} << 30);
  EXPECT_EQ(storage_.last.capabilities(0).mount_options(0), "noatime");
  EXPECT_EQ(storage::annotation(claim("c"), storage::kProvisioner), "test.io/driver");
  EXPECT_THAT(claim("c").metadata().finalizers(), ::testing::Not(Contains(kProvisioning)));
  EXPECT_THAT(events("ProvisioningSucceeded"),
              ElementsAre("Successfully provisioned volume " + name + " using test.io/driver"));
}

TEST_F(BindingTest, ItGoesWithItsClaim) {
  const Claim made = provision_one();
  EXPECT_EQ(storage_.existing.size(), 1u);
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_claim("c"));
  EXPECT_FALSE(has_volume("pvc-" + made.metadata().uid()));
  EXPECT_THAT(storage_.existing, IsEmpty());
}

TEST_F(BindingTest, OneOfARetainingClassStays) {
  const Claim made = provision_one(make_class("kept", "test.io/driver", false, "Retain"));
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("pvc-" + made.metadata().uid()), "Released");
  EXPECT_EQ(storage_.existing.size(), 1u);
}

TEST_F(BindingTest, OneInUseIsDeletedOnceItIsNot) {
  const Claim made = provision_one();
  storage_.delete_fails = Status(Code::kConflict, "the volume is published at /x");
  remove_claim("c");
  settle();
  EXPECT_EQ(phase("pvc-" + made.metadata().uid()), "Released");
  EXPECT_THAT(events("VolumeDelete"), Contains("the volume is published at /x"));
  storage_.delete_fails = Status::ok();
  for (int i = 0; i < 4; ++i) settle(1s);
  EXPECT_FALSE(has_volume("pvc-" + made.metadata().uid()));
  EXPECT_THAT(storage_.existing, IsEmpty());
}

TEST_F(BindingTest, OneThatCannotBeDeletedSaysSo) {
  const Claim made = provision_one();
  storage_.delete_fails = Status(Code::kInternal, "Input/output error");
  remove_claim("c");
  settle();
  const std::string name = "pvc-" + made.metadata().uid();
  EXPECT_EQ(phase(name), "Failed");
  EXPECT_THAT(events("VolumeFailedDelete"), ElementsAre("Input/output error"));
  storage_.delete_fails = Status::ok();
  for (int i = 0; i < 8; ++i) settle(2s);
  EXPECT_FALSE(has_volume(name));
}

TEST_F(BindingTest, AVolumeThatIsDeletedFirstGoesWhenItsClaimDoes) {
  const Claim made = provision_one();
  const std::string name = "pvc-" + made.metadata().uid();
  ASSERT_TRUE(kernel_.remove("persistentvolumes", "", name));
  settle();
  EXPECT_TRUE(has_volume(name));
  EXPECT_EQ(storage_.existing.size(), 1u);
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_volume(name));
  EXPECT_THAT(storage_.existing, IsEmpty());
}

TEST_F(BindingTest, WhatCannotBeMadeIsToldAndTriedAgain) {
  storage_.create_fails = Status(Code::kTooLarge, "12 bytes are free");
  provision_one();
  EXPECT_EQ(claim("c").status().phase(), "Pending");
  EXPECT_THAT(events("ProvisioningFailed"),
              Contains("failed to provision volume with StorageClass \"fast\": 12 bytes are free"));
  storage_.create_fails = Status::ok();
  for (int i = 0; i < 8; ++i) settle(2s);
  EXPECT_EQ(claim("c").status().phase(), "Bound");
}

TEST_F(BindingTest, AClaimThatIsDeletedMeanwhileLeavesNothing) {
  storage_.create_fails = Status(Code::kTooLarge, "12 bytes are free");
  provision_one();
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_claim("c"));
  EXPECT_THAT(storage_.existing, IsEmpty());
}

TEST_F(BindingTest, AnothersProvisionerIsWaitedFor) {
  provision_one(make_class("far", "example.com/far"));
  ASSERT_EQ(events("ExternalProvisioning").size(), 1u);
  EXPECT_THAT(events("ExternalProvisioning")[0], ::testing::HasSubstr("external provisioner 'example.com/far'"));
  EXPECT_EQ(storage::annotation(claim("c"), storage::kProvisioner), "example.com/far");
  EXPECT_THAT(claim("c").metadata().finalizers(), ::testing::Not(Contains(kProvisioning)));
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_claim("c"));
}

TEST_F(BindingTest, TheFirstPodsNodeDecides) {
  add_node("n1");
  add(make_class("late", "test.io/driver", true));
  const Claim made = add(make_claim("c", "1Gi", "late"));
  settle();
  EXPECT_EQ(events("WaitForFirstConsumer").size(), 1u);
  EXPECT_THAT(storage_.existing, IsEmpty());
  add_pod("p", "c", "");
  select_node("c", "n1");
  settle();
  EXPECT_EQ(storage_.last.node(), "n1");
  const auto own = volume("pvc-" + made.metadata().uid());
  EXPECT_EQ(own.spec().nodeaffinity().required().nodeselectorterms(0).matchexpressions(0).values(0), "n1");
  EXPECT_EQ(claim("c").status().phase(), "Bound");
}

TEST_F(BindingTest, OneWhosePodHasNoNodeYetSaysSo) {
  add(make_class("late", "test.io/driver", true));
  add_pod("p", "c", "");
  add(make_claim("c", "1Gi", "late"));
  settle();
  EXPECT_THAT(events("WaitForPodScheduled"), ElementsAre("waiting for pod p to be scheduled"));
}

// ---------------------------------------------------------------------------------------------- stopped after each
// write

class StoppedAfterEachWrite : public BindingTest, public ::testing::WithParamInterface<bool> {
 protected:
  // Runs `work` with the plugin's process ending at its `at`-th write (`lost`: the write is carried out, the answer
  // never comes), then the plugin anew. False: it came to its end before that.
  bool stop_at(int at, bool lost, const std::function<void()>& work) {
    int writes = 0;
    bool struck = false;
    kernel_.before_commit([&] {
      if (++writes != at) return;
      struck = true;
      if (lost) kernel_.lose_answers({Code::kUnavailable, "stopped"}, 1);
      kernel_.fail_commits({Code::kUnavailable, "stopped"}, 100'000);
    });
    work();
    controllers_->run_until_idle(200);
    kernel_.before_commit({});
    kernel_.clear_faults();
    restart();
    settle();
    return struck;
  }
  void check_pairs() {
    std::map<std::string, std::string> owners;
    for (const auto& one : kernel_.list<Claim>("persistentvolumeclaims")) {
      if (one.spec().volumename().empty()) continue;
      EXPECT_TRUE(owners.emplace(one.spec().volumename(), one.metadata().name()).second);
      EXPECT_EQ(volume(one.spec().volumename()).spec().claimref().uid(), one.metadata().uid());
    }
  }
};

TEST_P(StoppedAfterEachWrite, BindingsEndInPairs) {
  add(make_volume("a", "1Gi"));
  add(make_volume("b", "2Gi"));
  settle();
  for (int at = 1; at < 30; ++at) {
    const std::string name = "c" + std::to_string(at);
    const bool struck = stop_at(at, GetParam(), [&] { add(make_claim(name, "1Gi")); });
    EXPECT_EQ(claim(name).status().phase(), "Bound") << at;
    EXPECT_EQ(claim(name).spec().volumename(), "a") << at;
    EXPECT_EQ(phase("b"), "Available") << at;
    check_pairs();
    remove_claim(name);
    settle();
    PersistentVolume freed = volume("a");
    EXPECT_EQ(freed.status().phase(), "Released") << at;
    freed.mutable_spec()->clear_claimref();
    ASSERT_TRUE(kernel_.update("persistentvolumes", freed));
    settle();
    if (!struck) return;
  }
  FAIL() << "it never came to its end";
}

TEST_P(StoppedAfterEachWrite, VolumesAreMadeOnceAndDeletedOnce) {
  add(make_class("fast"));
  for (int at = 1; at < 30; ++at) {
    const std::string name = "c" + std::to_string(at);
    const bool struck_making = stop_at(at, GetParam(), [&] { add(make_claim(name, "1Gi", "fast")); });
    EXPECT_EQ(claim(name).status().phase(), "Bound") << at;
    EXPECT_EQ(storage_.existing.size(), 1u) << at;
    EXPECT_EQ(kernel_.list<PersistentVolume>("persistentvolumes").size(), 1u) << at;
    check_pairs();
    const bool struck_deleting = stop_at(at, GetParam(), [&] { remove_claim(name); });
    for (int i = 0; i < 3; ++i) settle(1s);
    EXPECT_FALSE(has_claim(name)) << at;
    EXPECT_TRUE(kernel_.list<PersistentVolume>("persistentvolumes").empty()) << at;
    EXPECT_THAT(storage_.existing, IsEmpty()) << at;
    if (!struck_making && !struck_deleting) return;
  }
  FAIL() << "it never came to its end";
}

TEST_P(StoppedAfterEachWrite, AClaimThatIsDeletedThenLeavesNoOrphan) {
  add(make_class("fast"));
  for (int at = 1; at < 30; ++at) {
    const std::string name = "c" + std::to_string(at);
    int writes = 0;
    bool struck = false;
    kernel_.before_commit([&] {
      if (++writes != at) return;
      struck = true;
      if (GetParam()) kernel_.lose_answers({Code::kUnavailable, "stopped"}, 1);
      kernel_.fail_commits({Code::kUnavailable, "stopped"}, 100'000);
    });
    add(make_claim(name, "1Gi", "fast"));
    controllers_->run_until_idle(200);
    kernel_.before_commit({});
    remove_claim(name);
    kernel_.clear_faults();
    restart();
    settle();
    for (int i = 0; i < 3; ++i) settle(1s);
    EXPECT_FALSE(has_claim(name)) << at;
    EXPECT_TRUE(kernel_.list<PersistentVolume>("persistentvolumes").empty()) << at;
    EXPECT_THAT(storage_.existing, IsEmpty()) << at;
    if (!struck) return;
  }
  FAIL() << "it never came to its end";
}

TEST_P(StoppedAfterEachWrite, RecycledVolumesComeBack) {
  PersistentVolume one = make_volume("a", "1Gi");
  one.mutable_spec()->set_persistentvolumereclaimpolicy("Recycle");
  add(one);
  settle();
  for (int at = 1; at < 30; ++at) {
    const std::string name = "c" + std::to_string(at);
    add(make_claim(name, "1Gi"));
    settle();
    ASSERT_EQ(phase("a"), "Bound") << at;
    const bool struck = stop_at(at, GetParam(), [&] { remove_claim(name); });
    for (int i = 0; i < 3; ++i) settle(1s);
    EXPECT_EQ(phase("a"), "Available") << at;
    EXPECT_FALSE(volume("a").spec().has_claimref()) << at;
    if (!struck) return;
  }
  FAIL() << "it never came to its end";
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, StoppedAfterEachWrite, ::testing::Bool());

}  // namespace
}  // namespace orlop::volumes
