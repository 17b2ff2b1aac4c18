#include "plugins/controllers-workload/statefulset/plan.hpp"

#include "plugins/controllers-workload/revisions/revision.hpp"
#include "plugins/controllers-workload/statefulset/retention.hpp"

#include <deque>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr int64_t kNow = 1000;

// A set "web" and its pods, as one line of text each.
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    set_.mutable_metadata()->set_name("web");
    set_.mutable_metadata()->set_namespace_("default");
    set_.mutable_metadata()->set_uid("set-uid");
    set_.mutable_spec()->set_replicas(3);
    set_.mutable_spec()->set_servicename("headless");
    set_.mutable_spec()->set_podmanagementpolicy("OrderedReady");
    set_.mutable_spec()->mutable_updatestrategy()->set_type("RollingUpdate");
    set_.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate()->set_partition(0);
    members_.set = &set_;
    members_.current_revision = "old";
    members_.update_revision = "new";
    members_.now_s = kNow;
  }
  kube::Pod& pod(int ordinal, const std::string& revision = "new", int64_t ready_since_s = 1) {
    kube::Pod& out = pods_.emplace_back(new_member(set_, {}, revision, ordinal));
    out.mutable_metadata()->set_uid("uid-" + std::to_string(ordinal));
    out.mutable_status()->set_phase("Running");
    auto& ready = *out.mutable_status()->add_conditions();
    ready.set_type("Ready");
    ready.set_status(ready_since_s > 0 ? "True" : "False");
    ready.mutable_lasttransitiontime()->set_seconds(ready_since_s);
    members_.pods.push_back(&out);
    return out;
  }
  static void end(kube::Pod& pod) { pod.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(kNow); }
  Claim& claim(int ordinal) {
    Claim& out = claims_.emplace_back(claims_of(set_, ordinal).front());
    members_.claims[out.metadata().name()] = &out;
    return out;
  }
  void with_claims(const std::string& when_deleted, const std::string& when_scaled) {
    set_.mutable_spec()->add_volumeclaimtemplates()->mutable_metadata()->set_name("data");
    set_.mutable_spec()->mutable_persistentvolumeclaimretentionpolicy()->set_whendeleted(when_deleted);
    set_.mutable_spec()->mutable_persistentvolumeclaimretentionpolicy()->set_whenscaled(when_scaled);
  }
  std::vector<std::string> plan() {
    std::vector<std::string> out;
    for (const Step& step : plan_members(members_)) {
      static const char* const kNames[] = {"create", "claims", "mend", "mend-claims", "delete"};
      out.push_back(std::string(kNames[static_cast<int>(step.action)]) + " " + std::to_string(step.ordinal) +
                    (step.action == Step::Action::kCreate ? (step.of_update ? " new" : " old") : ""));
    }
    return out;
  }
  void parallel() { set_.mutable_spec()->set_podmanagementpolicy("Parallel"); }
  void partition(int32_t at) {
    set_.mutable_spec()->mutable_updatestrategy()->mutable_rollingupdate()->set_partition(at);
  }

  StatefulSet set_;
  std::deque<kube::Pod> pods_;
  std::deque<Claim> claims_;
  Members members_;
};

TEST(Identity, OrdinalsStandBehindTheLastDash) {
  EXPECT_EQ(ordinal_of("web-0", "web"), 0);
  EXPECT_EQ(ordinal_of("my-web-12", "my-web"), 12);
  for (const char* name : {"web", "web-", "web-x", "web-1-0", "other-0", "web--1", "web-99999999999"}) {
    EXPECT_EQ(ordinal_of(name, "web"), -1) << name;
  }
}

TEST_F(PlanTest, APodHasItsIdentity) {
  with_claims("Retain", "Retain");
  (*set_.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
  PodTemplateSpec pod_template;
  (*pod_template.mutable_metadata()->mutable_labels())["app"] = "web";
  pod_template.mutable_spec()->add_volumes()->set_name("data");
  pod_template.mutable_spec()->add_volumes()->set_name("scratch");
  const kube::Pod made = new_member(set_, pod_template, "web-abc", 2);
  EXPECT_EQ(made.metadata().name(), "web-2");
  EXPECT_EQ(made.metadata().generatename(), "web-");
  EXPECT_EQ(made.metadata().labels().at("statefulset.kubernetes.io/pod-name"), "web-2");
  EXPECT_EQ(made.metadata().labels().at("apps.kubernetes.io/pod-index"), "2");
  EXPECT_EQ(made.metadata().labels().at("controller-revision-hash"), "web-abc");
  EXPECT_EQ(made.metadata().labels().at("app"), "web");
  EXPECT_EQ(made.spec().hostname(), "web-2");
  EXPECT_EQ(made.spec().subdomain(), "headless");
  ASSERT_EQ(made.spec().volumes_size(), 2);
  EXPECT_EQ(made.spec().volumes(0).volumesource().persistentvolumeclaim().claimname(), "data-web-2");
  EXPECT_EQ(made.spec().volumes(1).name(), "scratch");
  EXPECT_TRUE(has_identity(set_, made));
  EXPECT_TRUE(has_storage(set_, made));
  EXPECT_EQ(claims_of(set_, 2).front().metadata().labels().at("app"), "web");
}

TEST_F(PlanTest, PodsComeOneByOneWhenThoseBeforeAreAvailable) {
  EXPECT_THAT(plan(), ElementsAre("create 0 new"));
  kube::Pod& first = pod(0, "new", 0);
  EXPECT_THAT(plan(), IsEmpty());
  *first.mutable_status()->mutable_conditions(0)->mutable_status() = "True";
  EXPECT_THAT(plan(), ElementsAre("create 1 new"));
  set_.mutable_spec()->set_minreadyseconds(kNow);
  first.mutable_status()->mutable_conditions(0)->mutable_lasttransitiontime()->set_seconds(5);
  EXPECT_THAT(plan(), IsEmpty());
  EXPECT_EQ(next_look_s(members_), kNow + 5);
}

TEST_F(PlanTest, OrdinalsMayStartElsewhere) {
  set_.mutable_spec()->mutable_ordinals()->set_start(5);
  pod(5);
  pod(4);
  EXPECT_THAT(plan(), ElementsAre("create 6 new"));
  pod(6);
  pod(7);
  EXPECT_THAT(plan(), ElementsAre("delete 4"));
}

TEST_F(PlanTest, AGapIsFilledBeforeAnythingElse) {
  pod(0);
  pod(2);
  pod(3);
  EXPECT_THAT(plan(), ElementsAre("create 1 new"));
}

TEST_F(PlanTest, APodThatEndedIsReplaced) {
  pod(0);
  pod(1).mutable_status()->set_phase("Failed");
  pod(2);
  EXPECT_THAT(plan(), ElementsAre("delete 1"));
  end(pods_[1]);
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(PlanTest, ParallelMakesAllAtOnce) {
  parallel();
  EXPECT_THAT(plan(), ElementsAre("create 0 new", "create 1 new", "create 2 new"));
  pod(1, "new", 0);
  pod(3);
  pod(4);
  EXPECT_THAT(plan(), ElementsAre("create 0 new", "create 2 new", "delete 4", "delete 3"));
}

TEST_F(PlanTest, TheLastGoesFirstAndOneByOne) {
  for (int i = 0; i < 5; ++i) pod(i);
  EXPECT_THAT(plan(), ElementsAre("delete 4"));
  end(pods_[4]);
  EXPECT_THAT(plan(), IsEmpty());
  members_.pods.pop_back();
  EXPECT_THAT(plan(), ElementsAre("delete 3"));
  // One that stays is not ready: nothing goes.
  pods_[1].mutable_status()->mutable_conditions(0)->set_status("False");
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(PlanTest, TheFirstThatIsUnwellMayGo) {
  for (int i = 0; i < 5; ++i) pod(i);
  pods_[4].mutable_status()->mutable_conditions(0)->set_status("False");
  EXPECT_THAT(plan(), ElementsAre("delete 4"));
  pods_[3].mutable_status()->mutable_conditions(0)->set_status("False");
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(PlanTest, TwoThatEndedDoNotHoldEachOtherUp) {
  for (int i = 0; i < 5; ++i) pod(i);
  pods_[3].mutable_status()->set_phase("Failed");
  pods_[4].mutable_status()->set_phase("Failed");
  EXPECT_THAT(plan(), ElementsAre("delete 4"));
}

TEST_F(PlanTest, AnUpdateGoesFromTheLastToTheFirst) {
  for (int i = 0; i < 3; ++i) pod(i, "old");
  EXPECT_THAT(plan(), ElementsAre("delete 2"));
  end(pods_[2]);
  EXPECT_THAT(plan(), IsEmpty());
  members_.pods.pop_back();
  EXPECT_THAT(plan(), ElementsAre("create 2 new"));
  pod(2, "new", 0);
  EXPECT_THAT(plan(), IsEmpty());
  pods_.back().mutable_status()->mutable_conditions(0)->set_status("True");
  EXPECT_THAT(plan(), ElementsAre("delete 1"));
}

TEST_F(PlanTest, APartitionHoldsTheRestBack) {
  partition(2);
  for (int i = 0; i < 3; ++i) pod(i, i < 2 ? "old" : "new");
  EXPECT_THAT(plan(), IsEmpty());
  members_.pods.erase(members_.pods.begin());
  EXPECT_THAT(plan(), ElementsAre("create 0 old"));
  partition(0);
  EXPECT_THAT(plan(), ElementsAre("create 0 new"));
}

TEST_F(PlanTest, WithoutAPartitionTheStatusSaysHowFarTheUpdateIs) {
  set_.mutable_spec()->mutable_updatestrategy()->clear_rollingupdate();
  set_.mutable_status()->set_currentreplicas(2);
  pod(0, "old");
  pod(2);
  EXPECT_THAT(plan(), ElementsAre("create 1 old"));
  set_.mutable_status()->set_currentreplicas(1);
  EXPECT_THAT(plan(), ElementsAre("create 1 new"));
}

TEST_F(PlanTest, OnDeleteUpdatesWhatIsDeleted) {
  set_.mutable_spec()->mutable_updatestrategy()->set_type("OnDelete");
  set_.mutable_spec()->mutable_updatestrategy()->clear_rollingupdate();
  for (int i = 0; i < 3; ++i) pod(i, "old");
  EXPECT_THAT(plan(), IsEmpty());
  members_.pods.pop_back();
  EXPECT_THAT(plan(), ElementsAre("create 2 new"));
}

TEST_F(PlanTest, AnIdentityThatWasTakenAwayIsGivenBack) {
  for (int i = 0; i < 3; ++i) pod(i);
  pods_[1].mutable_metadata()->mutable_labels()->erase("statefulset.kubernetes.io/pod-name");
  EXPECT_THAT(plan(), ElementsAre("mend 1"));
  give_identity(set_, pods_[1]);
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(PlanTest, APendingPodGetsItsClaimsAgain) {
  with_claims("Retain", "Retain");
  pod(0).mutable_status()->set_phase("Pending");
  EXPECT_THAT(plan(), ElementsAre("claims 0"));
  claim(0);
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(PlanTest, ClaimsFollowTheRetentionPolicy) {
  with_claims("Delete", "Delete");
  for (int i = 0; i < 4; ++i) {
    pod(i);
    claim(i);
  }
  EXPECT_THAT(plan(), ElementsAre("mend 0", "mend 1", "mend 2", "mend-claims 3", "delete 3"));
  for (int i = 0; i < 4; ++i) give_owners(claims_[static_cast<size_t>(i)], set_, pods_[static_cast<size_t>(i)]);
  EXPECT_THAT(plan(), ElementsAre("delete 3"));
  EXPECT_EQ(claims_[2].metadata().ownerreferences(0).uid(), "set-uid");
  EXPECT_EQ(claims_[3].metadata().ownerreferences_size(), 1);
  EXPECT_EQ(claims_[3].metadata().ownerreferences(0).kind(), "Pod");
  EXPECT_EQ(claims_[3].metadata().ownerreferences(0).uid(), "uid-3");
  // Scaled up again before the pod went: the claim goes back to the set.
  set_.mutable_spec()->set_replicas(4);
  EXPECT_FALSE(has_right_owners(claims_[3], set_, pods_[3]));
  give_owners(claims_[3], set_, pods_[3]);
  EXPECT_EQ(claims_[3].metadata().ownerreferences(0).uid(), "set-uid");
}

TEST_F(PlanTest, RetentionPoliciesOneByOne) {
  with_claims("Retain", "Retain");
  kube::Pod& stays = pod(0);
  kube::Pod& goes = pod(3);
  Claim& kept = claim(0);
  Claim& left = claim(3);
  const auto owners = [&](const std::string& when_deleted, const std::string& when_scaled) {
    auto* policy = set_.mutable_spec()->mutable_persistentvolumeclaimretentionpolicy();
    policy->set_whendeleted(when_deleted);
    policy->set_whenscaled(when_scaled);
    give_owners(kept, set_, stays);
    give_owners(left, set_, goes);
    std::string out;
    for (const Claim* each : {&kept, &left}) {
      for (const auto& owner : each->metadata().ownerreferences()) out += owner.kind() + " ";
      out += each == &kept ? "/ " : "";
    }
    EXPECT_TRUE(has_right_owners(kept, set_, stays));
    EXPECT_TRUE(has_right_owners(left, set_, goes));
    return out;
  };
  EXPECT_EQ(owners("Retain", "Retain"), "/ ");
  EXPECT_EQ(owners("Delete", "Retain"), "StatefulSet / StatefulSet ");
  EXPECT_EQ(owners("Retain", "Delete"), "/ Pod ");
  EXPECT_EQ(owners("Delete", "Delete"), "StatefulSet / Pod ");
}

TEST_F(PlanTest, AnothersClaimIsLeftAlone) {
  with_claims("Delete", "Delete");
  const kube::Pod& owner = pod(0);
  Claim& foreign = claim(0);
  auto& reference = *foreign.mutable_metadata()->add_ownerreferences();
  reference.set_kind("Backup");
  reference.set_uid("other");
  reference.set_controller(true);
  EXPECT_TRUE(has_right_owners(foreign, set_, owner));
  *foreign.mutable_metadata()->add_ownerreferences() = controller_reference(set_);
  EXPECT_FALSE(has_right_owners(foreign, set_, owner));
  give_owners(foreign, set_, owner);
  EXPECT_EQ(foreign.metadata().ownerreferences_size(), 1);
}

TEST_F(PlanTest, ANewPodWaitsUntilItsFormerClaimIsGone) {
  with_claims("Retain", "Delete");
  kube::Pod former = new_member(set_, {}, "new", 0);
  former.mutable_metadata()->set_uid("former");
  *claim(0).mutable_metadata()->add_ownerreferences() = controller_reference(former);
  EXPECT_THAT(plan(), IsEmpty());
  parallel();
  EXPECT_THAT(plan(), ElementsAre("create 1 new", "create 2 new"));
}

TEST_F(PlanTest, StatusCountsAndCompletesAnUpdate) {
  pod(0, "old");
  pod(1, "new");
  pod(2, "new", 0);
  const StatefulSetStatus midway = status_of(members_, 1);
  EXPECT_EQ(midway.replicas(), 3);
  EXPECT_EQ(midway.readyreplicas(), 2);
  EXPECT_EQ(midway.availablereplicas(), 2);
  EXPECT_EQ(midway.currentreplicas(), 1);
  EXPECT_EQ(midway.updatedreplicas(), 2);
  EXPECT_EQ(midway.currentrevision(), "old");
  EXPECT_EQ(midway.updaterevision(), "new");
  EXPECT_EQ(midway.collisioncount(), 1);
  pods_[2].mutable_status()->mutable_conditions(0)->set_status("True");
  (*pods_[0].mutable_metadata()->mutable_labels())[kPodRevisionLabel] = "new";
  const StatefulSetStatus complete = status_of(members_, 1);
  EXPECT_EQ(complete.currentrevision(), "new");
  EXPECT_EQ(complete.currentreplicas(), 3);
}

TEST_F(PlanTest, ASetThatIsDeletedDoesNothing) {
  set_.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(kNow);
  pod(7);
  EXPECT_THAT(plan(), IsEmpty());
}

}  // namespace
}  // namespace orlop::workload
