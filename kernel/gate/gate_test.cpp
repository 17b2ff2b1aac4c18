#include "kernel/gate/gate.hpp"

#include "kernel/gate/memory_store.hpp"
#include "orlop/object_meta.hpp"
#include "orlop/wire.hpp"

#include <functional>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kSpec = 2;
constexpr uint32_t kStatus = 3;
constexpr std::string_view kModified =
    "Operation cannot be fulfilled on widgets.test \"a\": the object has been modified; please apply your changes to "
    "the "
    "latest version and try again";

// A kind's message: metadata, and texts as its spec and its status.
std::string object(const v1::ObjectMeta& metadata, std::string_view spec, std::string_view status = {}) {
  std::string out;
  wire::append_bytes_field(out, meta::kMetadata, metadata.SerializeAsString());
  wire::append_bytes_field(out, kSpec, spec);
  if (!status.empty()) wire::append_bytes_field(out, kStatus, status);
  return out;
}

v1::ObjectMeta metadata_of(std::string_view value) {
  v1::ObjectMeta out;
  out.ParseFromString(std::string(meta::parse(value)->metadata));
  return out;
}

std::string text_of(std::string_view value, uint32_t number) {
  wire::Walker walk(value);
  wire::Field field;
  std::string out;
  while (walk.next(field)) {
    if (field.number == number) out = field.bytes;
  }
  return out;
}

// Admits what its function says; without one, everything as it is.
class FakeProviders : public KindProviders {
 public:
  void admit(const std::string& provider, const v1::AdmitRequest& request, std::chrono::milliseconds deadline,
             AdmitDone done) override {
    providers.push_back(provider);
    requests.push_back(request);
    deadlines.push_back(deadline);
    done(answer ? answer(request) : as_they_are(request));
  }

  static Result<v1::AdmitResponse> as_they_are(const v1::AdmitRequest& request) {
    v1::AdmitResponse out;
    for (const auto& review : request.reviews()) out.add_verdicts()->set_value(review.write().value());
    return out;
  }

  std::function<Result<v1::AdmitResponse>(const v1::AdmitRequest&)> answer;
  std::vector<std::string> providers;
  std::vector<v1::AdmitRequest> requests;
  std::vector<std::chrono::milliseconds> deadlines;
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    Options options = Options::system();
    options.wall_now_ns = [this] { return now_s * 1'000'000'000; };
    gate = std::make_unique<Gate>(store, providers, options);
    v1::KindInfo widgets;
    widgets.set_kind("widgets.test");
    widgets.set_namespaced(true);
    widgets.set_tracks_generation(true);
    widgets.set_status_field(kStatus);
    v1::KindInfo leases;
    leases.set_kind("leases.test");
    leases.set_relaxed(true);
    v1::KindInfo keys;
    keys.set_kind("keys.test");
    keys.set_sealed(true);
    EXPECT_TRUE(gate->register_kinds("api", {widgets, leases, keys}));
    auto provider = std::make_shared<Actor>();
    provider->plugin = "api";
    provider->read_kinds = provider->write_kinds = {"*"};
    api = provider;
    auto stranger = std::make_shared<Actor>();
    stranger->plugin = "controller";
    stranger->read_kinds = stranger->write_kinds = {"widgets.test"};
    controller = stranger;
  }

  static v1::Key key(const std::string& name = "a") {
    v1::Key out;
    out.set_kind("widgets.test");
    out.set_namespace_("default");
    out.set_name(name);
    return out;
  }

  // A write of the provider's own, so without a call-out.
  static v1::CommitRequest request(v1::Verb verb, const std::string& value = {}, const v1::Key& of = key()) {
    v1::CommitRequest out;
    auto* write = out.add_writes();
    *write->mutable_key() = of;
    write->set_verb(verb);
    write->set_value(value);
    write->set_admitted(true);
    return out;
  }

  v1::Written must(const v1::CommitRequest& commit) {
    auto result = gate->commit_and_wait(api, commit);
    EXPECT_TRUE(result) << result.message();
    return result ? result->written(0) : v1::Written();
  }

  v1::Written create(const v1::ObjectMeta& metadata = {}, std::string_view spec = "spec") {
    return must(request(v1::CREATE, object(metadata, spec)));
  }

  bool exists(const std::string& name = "a") {
    return static_cast<bool>(store.get(store::Key{"widgets.test", "default", name}));
  }

  std::vector<std::string> terms(const std::string& name = "a") {
    auto record = store.get(store::Key{"widgets.test", "default", name});
    return record ? record->index_terms : std::vector<std::string>();
  }

  MemoryStore store;
  FakeProviders providers;
  std::unique_ptr<Gate> gate;
  std::shared_ptr<const Actor> api;
  std::shared_ptr<const Actor> controller;
  int64_t now_s = 1'700'000'000;
};

// ---------------------------------------------------------------------------------------------- permissions, kinds

TEST_F(GateTest, ReadsOnlyWhatTheManifestAsksFor) {
  create();
  Actor nobody{"nobody", {}, {}};
  v1::GetRequest get;
  *get.add_keys() = key();
  const auto refused = gate->get(nobody, get, [](const store::RecordView&) { return true; });
  EXPECT_EQ(refused.code(), Code::kForbidden);
  EXPECT_EQ(refused.message(),
            "plugin \"nobody\" may not read kind \"widgets.test\": add \"widgets.test\" to permissions.read of its "
            "manifest");
  v1::ListRequest list;
  list.set_kind("widgets.test");
  EXPECT_EQ(gate->list(nobody, list, [](const store::RecordView&) { return true; }).code(), Code::kForbidden);
  EXPECT_EQ(gate->pull(nobody, {}, [](const store::ChangeView&) { return true; }).code(), Code::kForbidden);
  int seen = 0;
  EXPECT_TRUE(gate->get(*controller, get, [&](const store::RecordView&) { return ++seen != 0; }));
  EXPECT_TRUE(gate->list(*controller, list, [&](const store::RecordView&) { return ++seen != 0; }));
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(gate->counters().refused, 3u);
}

TEST_F(GateTest, PullsWithoutKindsWhatTheActorMayRead) {
  create();
  must(request(v1::CREATE, object({}, "x"), [] {
    v1::Key lease;
    lease.set_kind("leases.test");
    lease.set_name("l");
    return lease;
  }()));
  std::vector<std::string> seen;
  const auto visit = [&](const store::ChangeView& change) {
    seen.emplace_back(change.key.kind);
    return true;
  };
  EXPECT_TRUE(gate->pull(*controller, {}, visit));
  EXPECT_THAT(seen, ElementsAre("widgets.test"));
  seen.clear();
  const auto all = gate->pull(*api, {}, visit);
  EXPECT_THAT(seen, ElementsAre("widgets.test", "leases.test"));
  EXPECT_TRUE(all->at_end());
  v1::PullRequest other;
  other.add_kinds("leases.test");
  EXPECT_EQ(gate->pull(*controller, other, visit).code(), Code::kForbidden);
}

TEST_F(GateTest, WritesOnlyWhatTheManifestAsksFor) {
  auto reader = std::make_shared<Actor>(Actor{"reader", {"*"}, {}});
  const auto refused = gate->commit_and_wait(reader, request(v1::CREATE, object({}, "x")));
  EXPECT_EQ(refused.code(), Code::kForbidden);
  EXPECT_THAT(refused.message(), HasSubstr("plugin \"reader\" may not write kind \"widgets.test\""));
  EXPECT_THAT(refused.message(), HasSubstr("permissions.write"));
}

TEST_F(GateTest, AKindWithoutAProviderIsReadAndNotWritten) {
  create();
  gate->unregister_provider("api");
  const auto refused = gate->commit_and_wait(api, request(v1::DELETE));
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_THAT(refused.message(), HasSubstr("plugin \"api\", which provides kind \"widgets.test\", is not running"));
  EXPECT_TRUE(exists());
  v1::ListRequest list;
  list.set_kind("widgets.test");
  int seen = 0;
  EXPECT_TRUE(gate->list(*controller, list, [&](const store::RecordView&) { return ++seen != 0; }));
  EXPECT_EQ(seen, 1);
  auto unknown = key();
  unknown.set_kind("things.test");
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, object({}, "x"), unknown)).code(), Code::kNotFound);
}

TEST_F(GateTest, AKindHasOneProvider) {
  v1::KindInfo widgets;
  widgets.set_kind("widgets.test");
  const auto refused = gate->register_kinds("other", {widgets});
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_THAT(refused.message(), HasSubstr("plugin \"api\""));
  gate->unregister_provider("api");
  EXPECT_TRUE(gate->register_kinds("other", {widgets}));
  EXPECT_EQ(gate->provider_of("widgets.test"), "other");
  EXPECT_EQ(gate->kinds().size(), 1u);
}

TEST_F(GateTest, TheKeyMustFitItsKind) {
  auto without = key();
  without.clear_namespace_();
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, object({}, "x"), without)).code(), Code::kBadRequest);
  v1::Key lease;
  lease.set_kind("leases.test");
  lease.set_namespace_("default");
  lease.set_name("l");
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, object({}, "x"), lease)).code(), Code::kBadRequest);
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, object({}, "x"), key(""))).code(), Code::kBadRequest);
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, "not a message")).code(), Code::kBadRequest);
}

// ---------------------------------------------------------------------------------------------- admission

TEST_F(GateTest, AsksTheProviderBeforeAWriteOfSomebodyElse) {
  providers.answer = [](const v1::AdmitRequest& asked) {
    v1::AdmitResponse out;
    for (const auto& review : asked.reviews()) {
      auto* verdict = out.add_verdicts();
      verdict->set_value(review.write().value());
      wire::append_bytes_field(*verdict->mutable_value(), kStatus, "defaulted");
      verdict->add_index_terms("color/red");
    }
    return out;
  };
  v1::ObjectMeta metadata;
  metadata.add_owner_references()->set_uid("o-1");
  auto write = request(v1::CREATE, object(metadata, "x"));
  *write.add_writes() = write.writes(0);
  write.mutable_writes(1)->mutable_key()->set_name("b");
  write.mutable_writes(0)->add_index_terms("forged/term");
  const auto result = gate->commit_and_wait(controller, write);
  ASSERT_TRUE(result) << result.message();
  ASSERT_EQ(providers.requests.size(), 1u);  // both reviews in one call
  EXPECT_THAT(providers.providers, ElementsAre("api"));
  const auto& asked = providers.requests[0];
  EXPECT_EQ(asked.actor().user(), "system:plugin:controller");
  ASSERT_EQ(asked.reviews_size(), 2);
  EXPECT_FALSE(asked.reviews(0).write().admitted());
  EXPECT_EQ(asked.reviews(0).write().index_terms_size(), 0);
  const auto reviewed = metadata_of(asked.reviews(0).write().value());
  EXPECT_EQ(reviewed.name(), "a");
  EXPECT_EQ(reviewed.uid(), metadata_of(result->written(0).value()).uid());
  EXPECT_EQ(text_of(result->written(1).value(), kStatus), "defaulted");
  EXPECT_THAT(terms(), ElementsAre("color/red", "owner/o-1"));
}

TEST_F(GateTest, TheProvidersOwnWriteIsNotAskedAgain) {
  auto write = request(v1::CREATE, object({}, "x"));
  write.mutable_writes(0)->add_index_terms("color/red");
  EXPECT_TRUE(gate->commit_and_wait(api, write));
  EXPECT_TRUE(providers.requests.empty());
  EXPECT_THAT(terms(), ElementsAre("color/red"));
  auto unadmitted = request(v1::UPDATE, object({}, "y"));
  unadmitted.mutable_writes(0)->set_admitted(false);
  EXPECT_TRUE(gate->commit_and_wait(api, unadmitted));
  EXPECT_EQ(providers.requests.size(), 1u);
}

TEST_F(GateTest, ARefusalOfTheProviderReachesTheWriter) {
  providers.answer = [](const v1::AdmitRequest&) {
    v1::AdmitResponse out;
    auto* status = out.add_verdicts()->mutable_status();
    status->set_code(ORLOP_INVALID);
    status->set_message("widgets.test \"a\" is invalid: spec: Required value");
    auto* cause = status->add_causes();
    cause->set_reason("FieldValueRequired");
    cause->set_field("spec");
    return out;
  };
  const auto refused = gate->commit_and_wait(controller, request(v1::CREATE, object({}, "")));
  EXPECT_EQ(refused.code(), Code::kInvalid);
  ASSERT_EQ(refused.status().causes().size(), 1u);
  EXPECT_EQ(refused.status().causes()[0].field, "spec");
  EXPECT_FALSE(exists());
  providers.answer = [](const v1::AdmitRequest&) { return v1::AdmitResponse(); };
  EXPECT_EQ(gate->commit_and_wait(controller, request(v1::CREATE, object({}, ""))).code(), Code::kInternal);
  providers.answer = [](const v1::AdmitRequest&) -> Result<v1::AdmitResponse> {
    return Status(Code::kTimeout, "too late");
  };
  EXPECT_EQ(gate->commit_and_wait(controller, request(v1::CREATE, object({}, ""))).code(), Code::kTimeout);
}

TEST_F(GateTest, BelievesOnlyAProviderAboutTheUser) {
  auto write = request(v1::CREATE, object({}, "x"));
  write.mutable_actor()->set_user("alice");
  write.mutable_writes(0)->set_admitted(false);
  EXPECT_TRUE(gate->commit_and_wait(api, write));
  write.mutable_writes(0)->mutable_key()->set_name("b");
  EXPECT_TRUE(gate->commit_and_wait(controller, write));
  ASSERT_EQ(providers.requests.size(), 2u);
  EXPECT_EQ(providers.requests[0].actor().user(), "alice");
  EXPECT_EQ(providers.requests[1].actor().user(), "system:plugin:controller");
}

// ---------------------------------------------------------------------------------------------- concurrency

TEST_F(GateTest, AStaleRevisionConflictsInKubernetesWords) {
  const auto first = create();
  must(request(v1::UPDATE, object({}, "2")));
  auto stale = request(v1::UPDATE, object({}, "3"));
  stale.mutable_writes(0)->set_if_revision(first.revision());
  const auto refused = gate->commit_and_wait(api, stale);
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_EQ(refused.message(), kModified);
}

TEST_F(GateTest, AConflictInTheStoreWithARevisionIsTheWriters) {
  const auto first = create();
  store.before_commit = [&] { must(request(v1::UPDATE, object({}, "theirs"))); };
  auto mine = request(v1::UPDATE, object({}, "mine"));
  mine.mutable_writes(0)->set_if_revision(first.revision());
  const auto refused = gate->commit_and_wait(api, mine);
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_EQ(refused.message(), kModified);
}

TEST_F(GateTest, WithoutARevisionAllBeginsAgain) {
  create();
  store.before_commit = [&] { must(request(v1::UPDATE, object({}, "theirs"))); };
  auto mine = request(v1::UPDATE, object({}, "mine"));
  const auto result = gate->commit_and_wait(controller, mine);
  ASSERT_TRUE(result) << result.message();
  EXPECT_EQ(metadata_of(result->written(0).value()).generation(), 3);  // theirs was the second
  EXPECT_EQ(providers.requests.size(), 2u);                            // admitted again, against the new state
  EXPECT_EQ(text_of(providers.requests[1].reviews(0).current(), kSpec), "theirs");
  EXPECT_EQ(gate->counters().retries, 1u);
}

TEST_F(GateTest, TheAttemptsAreBounded) {
  create();
  int others = 0;
  std::function<void()> disturb = [&] {
    must(request(v1::UPDATE, object({}, std::to_string(++others))));
    store.before_commit = disturb;
  };
  store.before_commit = disturb;
  const auto refused = gate->commit_and_wait(controller, request(v1::UPDATE, object({}, "mine")));
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_EQ(refused.message(), kModified);
  EXPECT_EQ(providers.requests.size(), 16u);
}

TEST_F(GateTest, ADeletionByOthersMeanwhileIsNotFound) {
  create();
  store.before_commit = [&] { must(request(v1::DELETE)); };
  const auto refused = gate->commit_and_wait(api, request(v1::UPDATE, object({}, "mine")));
  EXPECT_EQ(refused.code(), Code::kNotFound);
  EXPECT_EQ(refused.message(), "widgets.test \"a\" not found");
}

TEST_F(GateTest, CreatesOnce) {
  create();
  const auto refused = gate->commit_and_wait(api, request(v1::CREATE, object({}, "x")));
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(refused.message(), "widgets.test \"a\" already exists");
}

TEST_F(GateTest, HoldsTheUidPrecondition) {
  const auto uid = metadata_of(create().value()).uid();
  auto update = request(v1::UPDATE, object({}, "2"));
  update.mutable_writes(0)->set_if_uid("other");
  EXPECT_EQ(
      gate->commit_and_wait(api, update).message(),
      "Operation cannot be fulfilled on widgets.test \"a\": Precondition failed: UID in precondition: other, UID in "
      "object meta: " +
          uid);
  auto removal = request(v1::DELETE);
  removal.mutable_writes(0)->set_if_uid("other");
  const auto refused = gate->commit_and_wait(api, removal);
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_THAT(refused.message(), HasSubstr("the UID in the precondition (other) does not match the UID in record"));
  removal.mutable_writes(0)->set_if_uid(uid);
  EXPECT_TRUE(gate->commit_and_wait(api, removal));
}

TEST_F(GateTest, HoldsPreconditionsOnOtherObjects) {
  const auto first = create();
  auto write = request(v1::CREATE, object({}, "x"), key("b"));
  auto* precondition = write.add_preconditions();
  *precondition->mutable_key() = key();
  precondition->set_revision(first.revision() + 7);
  for (const bool dry : {true, false}) {
    write.set_dry_run(dry);
    const auto refused = gate->commit_and_wait(api, write);
    EXPECT_EQ(refused.code(), Code::kConflict);
    EXPECT_EQ(refused.message(), kModified);
  }
  precondition->set_revision(0);
  EXPECT_EQ(gate->commit_and_wait(api, write).code(), Code::kConflict);
  precondition->set_revision(first.revision());
  EXPECT_TRUE(gate->commit_and_wait(api, write));
}

TEST_F(GateTest, AllWritesOfATransactionOrNone) {
  create();
  auto both = request(v1::CREATE, object({}, "x"), key("b"));
  *both.add_writes() = request(v1::CREATE, object({}, "x")).writes(0);
  EXPECT_EQ(gate->commit_and_wait(api, both).code(), Code::kAlreadyExists);
  EXPECT_FALSE(exists("b"));
}

// ---------------------------------------------------------------------------------------------- flags and classes

TEST_F(GateTest, ADryRunDoesEverythingButTheWrite) {
  auto dry = request(v1::CREATE, object({}, "x"));
  dry.set_dry_run(true);
  const auto created = gate->commit_and_wait(controller, dry);
  ASSERT_TRUE(created) << created.message();
  EXPECT_EQ(metadata_of(created->written(0).value()).name(), "a");
  EXPECT_EQ(providers.requests.size(), 1u);
  EXPECT_FALSE(exists());
  create();
  EXPECT_EQ(gate->commit_and_wait(api, dry).code(), Code::kAlreadyExists);
  auto removal = request(v1::DELETE);
  removal.set_dry_run(true);
  EXPECT_TRUE(must(removal).deleted());
  EXPECT_TRUE(exists());
}

TEST_F(GateTest, SkipsWhatChangesNothing) {
  const auto first = create({}, "same");
  auto again = request(v1::UPDATE, object({}, "same"));
  again.mutable_writes(0)->set_skip_if_unchanged(true);
  const auto skipped = must(again);
  EXPECT_TRUE(skipped.unchanged());
  EXPECT_EQ(skipped.revision(), first.revision());
  again.mutable_writes(0)->set_value(object({}, "other"));
  EXPECT_FALSE(must(again).unchanged());
}

TEST_F(GateTest, TheKindSaysHowItIsStored) {
  v1::Key of;
  of.set_name("k");
  of.set_kind("keys.test");
  must(request(v1::CREATE, object({}, "x"), of));
  EXPECT_TRUE(store.get(store::Key{"keys.test", "", "k"})->sealed);
  EXPECT_EQ(store.durability, store::Durability::kDurable);
  of.set_kind("leases.test");
  auto lease = request(v1::CREATE, object({}, "x"), of);
  must(lease);
  EXPECT_EQ(store.durability, store::Durability::kRelaxed);
  lease.mutable_writes(0)->set_verb(v1::UPDATE);
  *lease.add_writes() = request(v1::CREATE, object({}, "x")).writes(0);
  must(lease);
  EXPECT_EQ(store.durability, store::Durability::kDurable);  // as the strictest of its kinds
}

TEST_F(GateTest, StopsWhenAllIsAnswered) {
  gate->stop();
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::CREATE, object({}, "x"))).code(), Code::kCancelled);
}

TEST_F(GateTest, ACompletionMayCommit) {
  std::promise<Result<v1::CommitResult>> answer;
  create();
  gate->commit(api, request(v1::UPDATE, object({}, "2")), [&](Result<v1::CommitResult> first) {
    EXPECT_TRUE(first);
    gate->commit(api, request(v1::UPDATE, object({}, "3")),
                 [&](Result<v1::CommitResult> second) { answer.set_value(std::move(second)); });
  });
  const auto second = answer.get_future().get();
  ASSERT_TRUE(second) << second.message();
  EXPECT_EQ(metadata_of(second->written(0).value()).generation(), 3);
}

// ---------------------------------------------------------------------------------------------- deletion

TEST_F(GateTest, AGracefulDeletionIsHeldAndThenEnds) {
  create();
  auto removal = request(v1::DELETE);
  removal.mutable_writes(0)->set_grace_seconds(30);
  const auto held = must(removal);
  EXPECT_FALSE(held.deleted());
  const auto metadata = metadata_of(held.value());
  EXPECT_EQ(metadata.deletion_timestamp().seconds(), now_s + 30);
  EXPECT_EQ(metadata.deletion_grace_period_seconds(), 30);
  EXPECT_EQ(metadata.generation(), 2);
  const auto again = must(request(v1::DELETE));
  EXPECT_TRUE(again.unchanged());
  EXPECT_FALSE(again.deleted());
  auto now = request(v1::DELETE);
  now.mutable_writes(0)->mutable_delete_options()->set_grace_period_seconds(0);
  EXPECT_TRUE(must(now).deleted());
  EXPECT_FALSE(exists());
}

TEST_F(GateTest, GraceOfAStrangerIsNotHonoured) {
  create();
  auto removal = request(v1::DELETE);
  removal.mutable_writes(0)->set_grace_seconds(30);
  const auto result = gate->commit_and_wait(controller, removal);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->written(0).deleted());
}

TEST_F(GateTest, FinalizersHoldAnObjectUntilTheLastIsGone) {
  v1::ObjectMeta metadata;
  metadata.add_finalizers("test/hold");
  metadata.add_owner_references()->set_uid("o-1");
  create(metadata);
  const auto held = must(request(v1::DELETE));
  EXPECT_FALSE(held.deleted());
  EXPECT_EQ(metadata_of(held.value()).deletion_timestamp().seconds(), now_s);
  EXPECT_THAT(terms(), ElementsAre("owner/o-1"));
  v1::ObjectMeta more;
  more.add_finalizers("test/hold");
  more.add_finalizers("test/late");
  EXPECT_EQ(gate->commit_and_wait(api, request(v1::UPDATE, object(more, "spec"))).code(), Code::kInvalid);
  EXPECT_TRUE(must(request(v1::UPDATE, object({}, "spec"))).deleted());
  EXPECT_FALSE(exists());
}

TEST_F(GateTest, AProviderMayHoldAnObjectUntilItsContentIsGone) {
  create();
  providers.answer = [](const v1::AdmitRequest& asked) {
    v1::AdmitResponse out;
    auto* verdict = out.add_verdicts();
    const auto& review = asked.reviews(0);
    verdict->set_value(review.write().verb() == v1::DELETE ? review.current() : review.write().value());
    verdict->set_hold(review.write().subresource() != "finalize");
    return out;
  };
  const auto held = gate->commit_and_wait(controller, request(v1::DELETE));
  ASSERT_TRUE(held) << held.message();
  EXPECT_FALSE(held->written(0).deleted());
  EXPECT_EQ(metadata_of(held->written(0).value()).deletion_timestamp().seconds(), now_s);
  const auto kept = gate->commit_and_wait(controller, request(v1::UPDATE, object({}, "spec")));
  ASSERT_TRUE(kept) << kept.message();
  EXPECT_FALSE(kept->written(0).deleted());
  auto release = request(v1::UPDATE, object({}, "spec"));
  release.mutable_writes(0)->set_subresource("finalize");
  const auto gone = gate->commit_and_wait(controller, release);
  ASSERT_TRUE(gone) << gone.message();
  EXPECT_TRUE(gone->written(0).deleted());
  EXPECT_FALSE(exists());
}

TEST_F(GateTest, AProviderMaySayWhatADeletionLeavesBehind) {
  create();
  providers.answer = [](const v1::AdmitRequest& asked) {
    v1::AdmitResponse out;
    v1::ObjectMeta held;
    held.add_finalizers("kind/own");
    EXPECT_FALSE(asked.reviews(0).current().empty());
    out.add_verdicts()->set_value(object(held, "spec", "going"));
    return out;
  };
  const auto result = gate->commit_and_wait(controller, request(v1::DELETE));
  ASSERT_TRUE(result) << result.message();
  EXPECT_FALSE(result->written(0).deleted());
  EXPECT_EQ(text_of(result->written(0).value(), kStatus), "going");
  EXPECT_EQ(metadata_of(result->written(0).value()).name(), "a");
}

// ---------------------------------------------------------------------------------------------- many at once

TEST_F(GateTest, NoIncrementOfManyThreadsIsLost) {
  create({}, "0");
  constexpr int kThreads = 64;
  constexpr int kEach = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach;) {
        const auto record = store.get(store::Key{"widgets.test", "default", "a"});
        auto update = request(v1::UPDATE, object({}, std::to_string(std::stoi(text_of(record->value, kSpec)) + 1)));
        update.mutable_writes(0)->set_if_revision(record->revision);
        const auto result = gate->commit_and_wait(api, update);
        if (result) {
          ++i;
        } else {
          ASSERT_EQ(result.code(), Code::kConflict) << result.message();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto record = store.get(store::Key{"widgets.test", "default", "a"});
  EXPECT_EQ(text_of(record->value, kSpec), std::to_string(kThreads * kEach));
  EXPECT_EQ(metadata_of(record->value).generation(), kThreads * kEach + 1);
}

}  // namespace
}  // namespace orlop::gate
