// What is in use stays; ephemeral volumes' claims.
#include "plugins/controllers-volume/binding/testing.hpp"

namespace orlop::volumes {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

class ProtectionTest : public VolumesTest {
 protected:
  kube::Pod ephemeral_pod(const std::string& name) {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("default");
    auto& volume = *pod.mutable_spec()->add_volumes();
    volume.set_name("scratch");
    auto& wish = *volume.mutable_volumesource()->mutable_ephemeral()->mutable_volumeclaimtemplate();
    (*wish.mutable_metadata()->mutable_labels())["kind"] = "scratch";
    *wish.mutable_spec() = make_claim("x", "1Gi", "fast").spec();
    return pod;
  }
};

TEST_F(ProtectionTest, AClaimStaysWhileAPodWithANodeUsesIt) {
  add(make_volume("a", "1Gi"));
  add(make_claim("c", "1Gi"));
  settle();
  EXPECT_THAT(claim("c").metadata().finalizers(), Contains("kubernetes.io/pvc-protection"));
  add_pod("p", "c");
  remove_claim("c");
  settle();
  EXPECT_TRUE(claim("c").metadata().has_deletiontimestamp());
  EXPECT_EQ(volume("a").status().phase(), "Bound");
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  EXPECT_FALSE(has_claim("c"));
  EXPECT_EQ(volume("a").status().phase(), "Released");
}

TEST_F(ProtectionTest, APodWithoutANodeDoesNotHoldIt) {
  add(make_claim("c", "1Gi"));
  settle();
  add_pod("p", "c", "");
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_claim("c"));
}

TEST_F(ProtectionTest, AVolumeStaysWhileItIsBound) {
  add(make_volume("a", "1Gi"));
  add(make_volume("free", "2Gi"));
  add(make_claim("c", "1Gi"));
  settle();
  ASSERT_TRUE(kernel_.remove("persistentvolumes", "", "a"));
  ASSERT_TRUE(kernel_.remove("persistentvolumes", "", "free"));
  settle();
  EXPECT_TRUE(has_volume("a"));
  EXPECT_FALSE(has_volume("free"));
  remove_claim("c");
  settle();
  EXPECT_FALSE(has_volume("a"));
}

TEST_F(ProtectionTest, AnEphemeralVolumeHasAClaimOfItsPod) {
  add(make_class("fast"));
  const kube::Pod pod = *kernel_.create("pods", ephemeral_pod("p"));
  settle();
  const Claim own = claim("p-scratch");
  EXPECT_EQ(own.status().phase(), "Bound");
  EXPECT_EQ(own.metadata().labels().at("kind"), "scratch");
  ASSERT_EQ(own.metadata().ownerreferences_size(), 1);
  EXPECT_EQ(own.metadata().ownerreferences(0).uid(), pod.metadata().uid());
  EXPECT_TRUE(own.metadata().ownerreferences(0).controller());
}

TEST_F(ProtectionTest, AnothersClaimIsNotTakenForIt) {
  add(make_claim("p-scratch", "1Gi"));
  ASSERT_TRUE(kernel_.create("pods", ephemeral_pod("p")));
  settle();
  EXPECT_THAT(events("FailedBinding"),
              Contains("ephemeral volume scratch: PVC \"default/p-scratch\" was not created for pod \"default/p\" (pod "
                       "is not owner)"));
}

}  // namespace
}  // namespace orlop::volumes
