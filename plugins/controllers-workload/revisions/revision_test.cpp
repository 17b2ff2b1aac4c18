#include "plugins/controllers-workload/revisions/revision.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-workload/owned_pods.hpp"
#include "plugins/controllers-workload/revisions/history.hpp"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using ::testing::ElementsAre;
using StatefulSet = k8s::io::api::apps::v1::StatefulSet;

PodTemplateSpec template_with(const std::string& image) {
  PodTemplateSpec out;
  (*out.mutable_metadata()->mutable_labels())["app"] = "nginx";
  auto& container = *out.mutable_spec()->add_containers();
  container.set_name("nginx");
  container.set_image(image);
  container.set_imagepullpolicy("Always");
  container.mutable_resources();
  container.set_terminationmessagepath("/dev/termination-log");
  container.set_terminationmessagepolicy("File");
  out.mutable_spec()->set_restartpolicy("Always");
  out.mutable_spec()->set_terminationgraceperiodseconds(30);
  out.mutable_spec()->set_dnspolicy("ClusterFirst");
  out.mutable_spec()->mutable_securitycontext();
  out.mutable_spec()->set_schedulername("default-scheduler");
  return out;
}

StoredRevision revision(const std::string& name, int64_t number, const std::string& data) {
  StoredRevision out;
  out.object.mutable_metadata()->set_name(name);
  out.object.set_revision(number);
  out.object.mutable_data()->set_raw(data);
  return out;
}

TEST(Revision, DataIsWhatKubectlCompares) {
  EXPECT_EQ(template_patch(template_with("nginx")),
            R"({"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"nginx"}},)"
            R"("spec":{"containers":[{"image":"nginx","imagePullPolicy":"Always","name":"nginx","resources":{},)"
            R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],)"
            R"("dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler",)"
            R"("securityContext":{},"terminationGracePeriodSeconds":30}}}})");
}

TEST(Revision, DataGivesTheTemplateBack) {
  ControllerRevision stored;
  stored.mutable_data()->set_raw(template_patch(template_with("a<b>&")));
  auto restored = template_of(stored);
  ASSERT_TRUE(restored) << restored.message();
  EXPECT_EQ(template_patch(*restored), stored.data().raw());
  stored.mutable_data()->set_raw(R"({"spec":{}})");
  EXPECT_EQ(template_of(stored).code(), Code::kBadRequest);
  stored.mutable_data()->set_raw("nonsense");
  EXPECT_EQ(template_of(stored).code(), Code::kBadRequest);
}

TEST(Revision, NamesAreTheOwnersAndAHash) {
  EXPECT_EQ(revision_hash(R"({"spec":{}})", 0), "59c9b4d596");
  EXPECT_EQ(revision_hash(R"({"spec":{}})", 1), "59c9b4d597");
  EXPECT_EQ(revision_name("web", "abc"), "web-abc");
  EXPECT_EQ(revision_name(std::string(253, 'x'), "abc").size(), 227u);
}

TEST(Revision, TheNewestThatHoldsTheTemplateStandsForIt) {
  const std::vector<StoredRevision> revisions{revision("a", 1, "A"), revision("b", 2, "B"), revision("a2", 3, "A"),
                                              revision("c", 4, "C")};
  const RevisionChoice none = choose_revision(revisions, "D");
  EXPECT_EQ(none.index, -1);
  EXPECT_EQ(none.number, 5);
  const RevisionChoice newest = choose_revision(revisions, "C");
  EXPECT_EQ(newest.index, 3);
  EXPECT_EQ(newest.number, 4);
  const RevisionChoice back = choose_revision(revisions, "A");
  EXPECT_EQ(back.index, 2);
  EXPECT_EQ(back.number, 5);
  EXPECT_THAT(back.equal_older, ElementsAre(0));
  EXPECT_EQ(choose_revision({}, "A").number, 1);
}

TEST(Revision, WhatIsBeyondTheLimitAndNotLiveMayGo) {
  const std::vector<StoredRevision> revisions{revision("a", 1, "A"), revision("b", 2, "B"), revision("c", 3, "C"),
                                              revision("d", 4, "D")};
  const auto names = [&](int32_t limit) {
    std::vector<std::string> out;
    for (const auto* each : surplus_revisions(revisions, {"b", "d"}, limit))
      out.push_back(each->object.metadata().name());
    return out;
  };
  EXPECT_THAT(names(0), ElementsAre("a", "c"));
  EXPECT_THAT(names(1), ElementsAre("a"));
  EXPECT_THAT(names(2), ElementsAre());
  EXPECT_THAT(names(-1), ElementsAre());
}

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() {
    set_.mutable_metadata()->set_name("web");
    set_.mutable_metadata()->set_namespace_("default");
    (*set_.mutable_metadata()->mutable_annotations())["kubernetes.io/change-cause"] = "because";
    (*set_.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "nginx";
    *set_.mutable_spec()->mutable_template_() = template_with("nginx:1");
    set_ = *kernel_.create("statefulsets.apps", set_);
  }
  RevisionOwner owner() {
    const auto stored = Objects<StatefulSet>(kernel_.host()).get("default", "web");
    return {&set_.metadata(), &set_.spec().selector(), &set_.spec().template_(), controller_reference(set_),
            unchanged(*stored)};
  }
  ControllerRevision ensure() {
    auto revisions = history_.claim(owner());
    EXPECT_TRUE(revisions) << revisions.message();
    auto current = history_.ensure(owner(), *revisions, collisions_);
    EXPECT_TRUE(current) << current.message();
    EXPECT_EQ(revisions->back().object.metadata().name(), current->metadata().name());
    return *current;
  }
  void set_image(const std::string& image) { *set_.mutable_spec()->mutable_template_() = template_with(image); }
  std::vector<ControllerRevision> stored() {
    return kernel_.list<ControllerRevision>("controllerrevisions.apps", "default");
  }

  testing::FakeKernel kernel_;
  RevisionHistory history_{kernel_.host()};
  StatefulSet set_;
  int32_t collisions_ = 0;
};

TEST_F(HistoryTest, EachTemplateHasOneAndComingBackNumbersItAnew) {
  const ControllerRevision first = ensure();
  EXPECT_EQ(first.revision(), 1);
  EXPECT_EQ(first.metadata().annotations().at("kubernetes.io/change-cause"), "because");
  EXPECT_EQ(first.metadata().labels().at("app"), "nginx");
  EXPECT_EQ("web-" + first.metadata().labels().at(kDataHashLabel), first.metadata().name());
  EXPECT_EQ(first.metadata().ownerreferences(0).uid(), set_.metadata().uid());
  const uint64_t before = kernel_.revision();
  EXPECT_EQ(ensure().metadata().name(), first.metadata().name());
  EXPECT_EQ(kernel_.revision(), before) << "nothing is written when nothing changed";
  set_image("nginx:2");
  const ControllerRevision second = ensure();
  EXPECT_EQ(second.revision(), 2);
  set_image("nginx:1");
  const ControllerRevision third = ensure();
  EXPECT_EQ(third.metadata().name(), first.metadata().name());
  EXPECT_EQ(third.revision(), 3);
  EXPECT_EQ(stored().size(), 2u);
}

TEST_F(HistoryTest, ANameThatIsTakenGetsAnotherHash) {
  ControllerRevision other;
  other.mutable_metadata()->set_namespace_("default");
  other.mutable_metadata()->set_name(
      revision_name("web", revision_hash(template_patch(set_.spec().template_()), collisions_)));
  other.mutable_data()->set_raw("{}");
  ASSERT_TRUE(kernel_.create("controllerrevisions.apps", other));
  EXPECT_NE(ensure().metadata().name(), other.metadata().name());
  EXPECT_EQ(collisions_, 1);
}

TEST_F(HistoryTest, NoneIsMadeOfATemplateThatHasChangedMeanwhile) {
  const RevisionOwner before = owner();
  auto changed = set_;
  *changed.mutable_spec()->mutable_template_() = template_with("nginx:2");
  ASSERT_TRUE(kernel_.update("statefulsets.apps", changed));
  std::vector<StoredRevision> none;
  EXPECT_EQ(history_.ensure(before, none, collisions_).code(), Code::kConflict);
  EXPECT_TRUE(stored().empty());
}

TEST_F(HistoryTest, OrphansAreAdoptedAndTheLimitHolds) {
  ControllerRevision orphan;
  orphan.mutable_metadata()->set_namespace_("default");
  orphan.mutable_metadata()->set_name("lost");
  (*orphan.mutable_metadata()->mutable_labels())["app"] = "nginx";
  orphan.mutable_data()->set_raw("{}");
  orphan.set_revision(7);
  ASSERT_TRUE(kernel_.create("controllerrevisions.apps", orphan));
  EXPECT_EQ(ensure().revision(), 8);
  auto revisions = history_.claim(owner());
  ASSERT_EQ(revisions->size(), 2u);
  EXPECT_EQ(revisions->front().object.metadata().ownerreferences(0).uid(), set_.metadata().uid());
  ASSERT_TRUE(history_.remove_surplus(*revisions, {revisions->back().object.metadata().name()}, 0));
  EXPECT_EQ(stored().size(), 1u);
}

}  // namespace
}  // namespace orlop::workload
