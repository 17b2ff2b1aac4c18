#include "orlop/object_rules.hpp"

#include "orlop/widget/widget.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::meta {
namespace {

using orlop::widget::Widget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Action = DeleteOutcome::Action;

constexpr Subject kSubject{"widgets.test", "default", "a"};
constexpr KindRules kRules{true, 3};
constexpr int64_t kNow = 1'700'000'000;

Widget parsed(const std::string& bytes) {
  Widget widget;
  EXPECT_TRUE(widget.ParseFromString(bytes));
  return widget;
}

Widget stored() {
  Widget widget;
  auto* metadata = widget.mutable_metadata();
  metadata->set_name("a");
  metadata->set_namespace_("default");
  metadata->set_uid("uid-1");
  metadata->set_generation(4);
  metadata->mutable_creation_timestamp()->set_seconds(kNow - 100);
  widget.set_spec("spec");
  widget.set_status("status");
  return widget;
}

Widget dying(int64_t grace, int64_t at) {
  auto widget = stored();
  widget.mutable_metadata()->mutable_deletion_timestamp()->set_seconds(at);
  widget.mutable_metadata()->set_deletion_grace_period_seconds(grace);
  return widget;
}

Result<DeleteOutcome> removal(const Widget& widget, const DeleteRequest& request) {
  return prepare_delete(kSubject, widget.SerializeAsString(), request, kNow);
}

// ---------------------------------------------------------------------------------------------- bytes

TEST(Wire, RefusesWhatIsNoMessage) {
  const std::string good = stored().SerializeAsString();
  EXPECT_TRUE(parse(good));
  for (std::size_t size = 1; size < good.size(); ++size) {
    const auto result = parse(std::string_view(good).substr(0, size));
    EXPECT_TRUE(result || result.code() == Code::kBadRequest);
  }
  EXPECT_FALSE(parse(std::string_view(good).substr(0, 20)));
  EXPECT_FALSE(parse(std::string("\x08\x01", 2)));          // field 1 is a number
  EXPECT_FALSE(parse(std::string("\x0a\x00\x0a\x00", 4)));  // twice
  EXPECT_FALSE(parse(std::string("\x0a\x02\x0a\x05", 4)));  // a name that is longer than metadata
  EXPECT_FALSE(parse(std::string("\x0a\x02\x08\x05", 4)));  // a name that is a number
  EXPECT_FALSE(parse(std::string("\x0b\x0c", 2)));          // a group
  EXPECT_FALSE(parse(std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12)));
  EXPECT_FALSE(parse(std::string("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)));  // an enormous length
  EXPECT_TRUE(parse(""));
}

TEST(Wire, KeepsUnknownFieldsAndTheOrderOfNumbers) {
  auto widget = stored();
  (*widget.mutable_metadata()->mutable_labels())["app"] = "web";
  std::string metadata = widget.metadata().SerializeAsString();
  wire::append_bytes_field(metadata, 17, "managed fields");
  std::string object;
  wire::append_bytes_field(object, 1, metadata);
  wire::append_bytes_field(object, 2, "spec");
  wire::append_varint_field(object, 99, 7);
  Edits edits;
  edits.uid = "uid-1";
  edits.generation = 4;
  EXPECT_EQ(edit(object, edits), object);  // equal fields, equal bytes
  edits.uid = "uid-2";
  const auto changed = edit(object, edits);
  EXPECT_THAT(changed, HasSubstr("managed fields"));
  EXPECT_EQ(parsed(changed).metadata().uid(), "uid-2");
  EXPECT_EQ(parsed(changed).metadata().labels().at("app"), "web");
  edits.uid = "uid-1";
  EXPECT_EQ(edit(changed, edits), object);
}

TEST(Wire, GivesMetadataToAnObjectWithout) {
  std::string object;
  wire::append_bytes_field(object, 2, "spec");
  Edits edits;
  edits.name = "a";
  EXPECT_EQ(parsed(edit(object, edits)).metadata().name(), "a");
  EXPECT_EQ(parsed(edit(object, edits)).spec(), "spec");
}

// ---------------------------------------------------------------------------------------------- create

TEST(Create, SetsWhatTheServerSets) {
  auto widget = dying(30, kNow);
  widget.mutable_metadata()->set_name("other");
  widget.mutable_metadata()->set_namespace_("elsewhere");
  widget.mutable_metadata()->set_resource_version("12");
  widget.mutable_metadata()->add_finalizers("test/hold");
  const auto value = prepare_create(kSubject, widget.SerializeAsString(), kRules, "new-uid", kNow);
  ASSERT_TRUE(value);
  const auto metadata = parsed(*value).metadata();
  EXPECT_EQ(metadata.name(), "a");
  EXPECT_EQ(metadata.namespace_(), "default");
  EXPECT_EQ(metadata.uid(), "new-uid");
  EXPECT_EQ(metadata.generation(), 1);
  EXPECT_EQ(metadata.creation_timestamp().seconds(), kNow);
  EXPECT_FALSE(metadata.has_deletion_timestamp());
  EXPECT_FALSE(metadata.has_deletion_grace_period_seconds());
  EXPECT_EQ(metadata.resource_version(), "");
  EXPECT_THAT(metadata.finalizers(), ElementsAre("test/hold"));
  EXPECT_EQ(parsed(*value).spec(), "spec");
}

TEST(Create, CountsNoGenerationWhereTheKindDoesNot) {
  const auto value = prepare_create(kSubject, stored().SerializeAsString(), {false, 0}, "u", kNow);
  EXPECT_EQ(parsed(*value).metadata().generation(), 0);
}

// ---------------------------------------------------------------------------------------------- update

TEST(Update, KeepsWhatBelongsToTheServer) {
  Widget mine;
  mine.set_spec("spec");
  mine.set_status("status");
  mine.mutable_metadata()->set_generation(99);
  mine.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1);
  mine.mutable_metadata()->mutable_deletion_timestamp()->set_seconds(1);
  mine.mutable_metadata()->set_resource_version("3");
  const auto outcome = prepare_update(kSubject, stored().SerializeAsString(), mine.SerializeAsString(), kRules, "");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->value, stored().SerializeAsString());
  EXPECT_FALSE(outcome->remove);
}

TEST(Update, GenerationCountsChangesOutsideMetadataAndStatus) {
  const auto generation = [](const Widget& widget, std::string_view subresource, KindRules rules = kRules) {
    const auto outcome =
        prepare_update(kSubject, stored().SerializeAsString(), widget.SerializeAsString(), rules, subresource);
    return parsed(outcome->value).metadata().generation();
  };
  auto widget = stored();
  (*widget.mutable_metadata()->mutable_labels())["a"] = "b";
  widget.set_status("other");
  EXPECT_EQ(generation(widget, ""), 4);
  EXPECT_EQ(generation(widget, "", {true, 0}), 5);  // a kind without a status field
  widget.set_spec("other");
  EXPECT_EQ(generation(widget, ""), 5);
  EXPECT_EQ(generation(widget, "scale"), 5);
  EXPECT_EQ(generation(widget, "status"), 4);
  EXPECT_EQ(generation(widget, "", {false, 3}), 4);
  widget = stored();
  widget.clear_spec();
  EXPECT_EQ(generation(widget, ""), 5);
}

TEST(Update, AnotherUidConflicts) {
  auto widget = stored();
  widget.mutable_metadata()->set_uid("uid-2");
  const auto outcome = prepare_update(kSubject, stored().SerializeAsString(), widget.SerializeAsString(), kRules, "");
  EXPECT_EQ(outcome.code(), Code::kConflict);
  EXPECT_EQ(outcome.message(),
            "Operation cannot be fulfilled on widgets.test \"a\": Precondition failed: UID in precondition: uid-2, UID "
            "in object meta: uid-1");
}

TEST(Update, TheLastFinalizerGoneRemoves) {
  const auto outcome = [](int64_t grace, bool keep) {
    auto before = dying(grace, kNow);
    before.mutable_metadata()->add_finalizers("x");
    auto after = before;
    if (!keep) after.mutable_metadata()->clear_finalizers();
    return prepare_update(kSubject, before.SerializeAsString(), after.SerializeAsString(), kRules, "")->remove;
  };
  EXPECT_TRUE(outcome(0, false));
  EXPECT_FALSE(outcome(0, true));
  EXPECT_FALSE(outcome(30, false));  // the grace still runs
  auto alive = stored();
  alive.mutable_metadata()->add_finalizers("x");
  EXPECT_FALSE(prepare_update(kSubject, alive.SerializeAsString(), stored().SerializeAsString(), kRules, "")->remove);
}

TEST(Update, NoNewFinalizerUnderDeletion) {
  auto before = dying(0, kNow);
  before.mutable_metadata()->add_finalizers("x");
  auto after = before;
  after.mutable_metadata()->add_finalizers("y");
  const auto outcome = prepare_update(kSubject, before.SerializeAsString(), after.SerializeAsString(), kRules, "");
  EXPECT_EQ(outcome.code(), Code::kInvalid);
  ASSERT_EQ(outcome.status().causes().size(), 1u);
  EXPECT_EQ(outcome.status().causes()[0].field, "metadata.finalizers");
  EXPECT_EQ(outcome.status().causes()[0].reason, "FieldValueForbidden");
}

// ---------------------------------------------------------------------------------------------- delete

TEST(Delete, RemovesWhatNothingHolds) {
  EXPECT_EQ(removal(stored(), {})->action, Action::kRemove);
  EXPECT_EQ(removal(stored(), {30, "Background", {}})->action, Action::kRemove);  // the kind knows no grace
  EXPECT_EQ(removal(stored(), {{}, "", 0})->action, Action::kRemove);
}

TEST(Delete, GraceSetsTheMomentAndCountsAGeneration) {
  const auto outcome = removal(stored(), {{}, "", 30});
  ASSERT_EQ(outcome->action, Action::kStore);
  const auto metadata = parsed(outcome->value).metadata();
  EXPECT_EQ(metadata.deletion_timestamp().seconds(), kNow + 30);
  EXPECT_EQ(metadata.deletion_grace_period_seconds(), 30);
  EXPECT_EQ(metadata.generation(), 5);
  EXPECT_EQ(metadata.uid(), "uid-1");
  auto uncounted = stored();
  uncounted.mutable_metadata()->clear_generation();
  EXPECT_EQ(parsed(removal(uncounted, {{}, "", 30})->value).metadata().generation(), 0);
}

TEST(Delete, ASecondOneOnlyShortens) {
  const auto widget = dying(30, kNow + 10);
  EXPECT_EQ(removal(widget, {{}, "", 30})->action, Action::kNothing);
  EXPECT_EQ(removal(widget, {30, "", 30})->action, Action::kNothing);
  EXPECT_EQ(removal(widget, {60, "Foreground", 30})->action, Action::kNothing);
  const auto shorter = removal(widget, {5, "", 30});
  ASSERT_EQ(shorter->action, Action::kStore);
  const auto metadata = parsed(shorter->value).metadata();
  EXPECT_EQ(metadata.deletion_timestamp().seconds(), kNow + 10 - 30 + 5);
  EXPECT_EQ(metadata.deletion_grace_period_seconds(), 5);
  EXPECT_EQ(metadata.generation(), 4);  // it was under deletion already
  EXPECT_EQ(removal(widget, {0, "", 0})->action, Action::kRemove);
  EXPECT_EQ(parsed(removal(widget, {-7, "", 30})->value).metadata().deletion_grace_period_seconds(), 1);
  EXPECT_EQ(removal(dying(0, kNow), {{}, "", 30})->action, Action::kRemove);  // its grace is over
}

TEST(Delete, FinalizersHold) {
  auto widget = stored();
  widget.mutable_metadata()->add_finalizers("x");
  const auto outcome = removal(widget, {});
  ASSERT_EQ(outcome->action, Action::kStore);
  const auto metadata = parsed(outcome->value).metadata();
  EXPECT_EQ(metadata.deletion_timestamp().seconds(), kNow);
  EXPECT_EQ(metadata.deletion_grace_period_seconds(), 0);
  EXPECT_EQ(metadata.generation(), 5);
  EXPECT_EQ(removal(parsed(outcome->value), {})->action, Action::kNothing);
  // Grace of nothing, and finalizers: held all the same.
  EXPECT_EQ(removal(widget, {{}, "", 0})->action, Action::kStore);
}

TEST(Delete, PoliciesBecomeFinalizers) {
  const auto finalizers = [](const Widget& widget, std::string_view policy) {
    const auto outcome = removal(widget, {{}, policy, {}});
    std::vector<std::string> out;
    if (outcome->action != Action::kRemove) {
      const auto after = parsed(outcome->value);
      out.assign(after.metadata().finalizers().begin(), after.metadata().finalizers().end());
    }
    return out;
  };
  EXPECT_THAT(finalizers(stored(), "Foreground"), ElementsAre("foregroundDeletion"));
  EXPECT_THAT(finalizers(stored(), "Orphan"), ElementsAre("orphan"));
  EXPECT_THAT(finalizers(stored(), "Background"), ElementsAre());
  auto widget = stored();
  widget.mutable_metadata()->add_finalizers("foregroundDeletion");
  widget.mutable_metadata()->add_finalizers("x");
  EXPECT_THAT(finalizers(widget, ""), ElementsAre("x", "foregroundDeletion"));
  EXPECT_THAT(finalizers(widget, "Orphan"), ElementsAre("x", "orphan"));
  EXPECT_THAT(finalizers(widget, "Background"), ElementsAre("x"));
  const auto refused = removal(stored(), {{}, "Sideways", {}});
  EXPECT_EQ(refused.code(), Code::kInvalid);
  EXPECT_THAT(refused.message(), HasSubstr("Sideways"));
}

TEST(Delete, WhatIsLeftBehindTakesTheObjectsPlace) {
  auto left = stored();
  left.set_status("going");
  left.mutable_metadata()->set_uid("forged");
  left.mutable_metadata()->add_finalizers("kind/own");
  const auto outcome = prepare_delete(kSubject, stored().SerializeAsString(), {}, kNow, left.SerializeAsString());
  ASSERT_EQ(outcome->action, Action::kStore);
  EXPECT_EQ(parsed(outcome->value).status(), "going");
  EXPECT_EQ(parsed(outcome->value).metadata().uid(), "uid-1");
}

// ---------------------------------------------------------------------------------------------- the rest

TEST(Owners, BecomeTermsOnce) {
  Widget widget;
  for (const auto* uid : {"a", "b", "a"}) {
    auto* owner = widget.mutable_metadata()->add_owner_references();
    owner->set_kind("Thing");
    owner->set_uid(uid);
  }
  const std::string bytes = widget.SerializeAsString();
  std::vector<std::string> terms{"owner/b"};
  append_owner_terms(*parse(bytes), terms);
  EXPECT_THAT(terms, ElementsAre("owner/b", "owner/a"));
}

TEST(Uid, IsAVersionFourUuid) {
  std::array<uint8_t, 16> bytes;
  bytes.fill(0xff);
  EXPECT_EQ(format_uid(bytes), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  bytes.fill(0);
  EXPECT_EQ(format_uid(bytes), "00000000-0000-4000-8000-000000000000");
}

}  // namespace
}  // namespace orlop::meta
