#include "orlop/testing/fake_kernel.hpp"

#include "orlop/controller.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/api.pb.h"
#include "orlop/widget/widget.pb.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::testing {
namespace {

using namespace std::chrono_literals;
using orlop::widget::Widget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kKind = "widgets.test";

Widget widget(const std::string& name, const std::string& spec = "spec") {
  Widget out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  out.set_spec(spec);
  return out;
}

orlop::v1::CommitRequest update_of(const Widget& object, uint64_t if_revision = 0) {
  orlop::v1::CommitRequest request;
  auto* write = request.add_writes();
  write->set_verb(orlop::v1::UPDATE);
  write->mutable_key()->set_kind(kKind);
  write->mutable_key()->set_namespace_(object.metadata().namespace_());
  write->mutable_key()->set_name(object.metadata().name());
  write->set_if_revision(if_revision);
  object.SerializeToString(write->mutable_value());
  return request;
}

TEST(FakeKernel, KeepsTheRulesOfMetadata) {
  FakeKernel kernel;
  const auto created = kernel.create(kKind, widget("a"));
  ASSERT_TRUE(created) << created.message();
  EXPECT_EQ(created->metadata().uid().size(), 36u);
  EXPECT_EQ(created->metadata().generation(), 1);
  EXPECT_EQ(created->metadata().creation_timestamp().seconds(), 1'700'000'000);
  EXPECT_EQ(kernel.create(kKind, widget("a")).code(), Code::kAlreadyExists);
  EXPECT_EQ(kernel.update(kKind, widget("a", "other"))->metadata().generation(), 2);
  EXPECT_EQ(kernel.update(kKind, widget("b")).message(), "widgets.test \"b\" not found");
  EXPECT_TRUE(kernel.remove(kKind, "default", "a"));
  EXPECT_EQ(kernel.get<Widget>(kKind, "default", "a").code(), Code::kNotFound);
}

TEST(FakeKernel, UidsComeFromTheSeed) {
  FakeKernel one;
  FakeKernel two;
  EXPECT_EQ(one.create(kKind, widget("a"))->metadata().uid(), two.create(kKind, widget("a"))->metadata().uid());
}

TEST(FakeKernel, APluginReadsAndWritesThroughTheTable) {
  FakeKernel kernel;
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  const Host host = kernel.host();
  orlop::v1::GetRequest get;
  auto* key = get.add_keys();
  key->set_kind(kKind);
  key->set_namespace_("default");
  key->set_name("a");
  uint64_t revision = 0;
  ASSERT_TRUE(host.get(get, [&](const RecordView& record) {
    revision = record.revision;
    return true;
  }));
  EXPECT_EQ(revision, kernel.revision());
  EXPECT_TRUE(host.commit_wait(update_of(widget("a", "mine"), revision)));
  const auto stale = host.commit_wait(update_of(widget("a", "late"), revision));
  EXPECT_EQ(stale.code(), Code::kConflict);
  EXPECT_THAT(stale.message(), HasSubstr("the object has been modified; please apply your changes"));
  EXPECT_EQ(kernel.get<Widget>(kKind, "default", "a")->spec(), "mine");
  EXPECT_EQ(kernel.plugin_commits(), 1u);
}

TEST(FakeKernel, ListsByNamespaceTermAndPage) {
  FakeKernel kernel;
  for (const auto* name : {"a", "b", "c"}) {
    auto object = widget(name);
    (*object.mutable_metadata()->mutable_labels())["odd"] = name[0] == 'b' ? "no" : "yes";
    object.mutable_metadata()->add_owner_references()->set_uid("o");
    ASSERT_TRUE(kernel.create(kKind, object));
  }
  kernel.index_with([](const std::string&, std::string_view) { return std::vector<std::string>{"node/n1"}; });
  ASSERT_TRUE(kernel.update(kKind, widget("c")));
  EXPECT_EQ(kernel.list<Widget>(kKind).size(), 3u);
  EXPECT_EQ(kernel.list<Widget>(kKind, "elsewhere").size(), 0u);
  EXPECT_EQ(kernel.list<Widget>(kKind, {}, "label/odd=yes").size(), 1u);
  EXPECT_EQ(kernel.list<Widget>(kKind, {}, "owner/o").size(), 2u);
  EXPECT_EQ(kernel.list<Widget>(kKind, {}, "node/n1").size(), 1u);
  orlop::v1::ListRequest page;
  page.set_kind(kKind);
  page.set_limit(2);
  std::vector<std::string> names;
  const auto visit = [&](const RecordView& record) {
    names.emplace_back(record.name);
    return true;
  };
  auto result = kernel.host().list(page, visit);
  EXPECT_TRUE(result->more());
  EXPECT_EQ(result->remaining(), 1u);
  page.mutable_start_after()->set_namespace_("default");
  page.mutable_start_after()->set_name("b");
  page.set_at_revision(result->revision());
  ASSERT_TRUE(kernel.create(kKind, widget("d")));  // behind the first page's revision
  result = kernel.host().list(page, visit);
  EXPECT_FALSE(result->more());
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST(FakeKernel, PullsChangesFromACursor) {
  FakeKernel kernel;
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  orlop::v1::CommitRequest two = update_of(widget("a", "2"));
  auto* other = two.add_writes();
  other->set_verb(orlop::v1::CREATE);
  other->mutable_key()->set_kind(kKind);
  other->mutable_key()->set_namespace_("default");
  other->mutable_key()->set_name("b");
  ASSERT_TRUE(kernel.commit(two));
  ASSERT_TRUE(kernel.remove(kKind, "default", "a"));
  orlop::v1::PullRequest pull;
  pull.set_want_previous(true);
  pull.set_max_changes(2);
  std::vector<std::string> seen;
  const auto visit = [&](const ChangeView& change) {
    seen.push_back(std::to_string(static_cast<int>(change.type)) + std::string(change.record.name) +
                   (change.previous_value.empty() ? "" : "+"));
    return true;
  };
  auto result = kernel.host().pull(pull, visit);
  EXPECT_THAT(seen, ElementsAre("1a", "2a+", "1b"));  // the transaction is not split
  EXPECT_FALSE(result->at_end());
  pull.set_cursor(result->next_cursor());
  result = kernel.host().pull(pull, visit);
  EXPECT_THAT(seen, ElementsAre("1a", "2a+", "1b", "3a+"));
  EXPECT_TRUE(result->at_end());
  kernel.compact();
  pull.set_cursor(1);
  EXPECT_EQ(kernel.host().pull(pull, visit).code(), Code::kGone);
}

TEST(FakeKernel, WakesWhoSubscribed) {
  FakeKernel kernel;
  std::atomic<int> wakes{0};
  kernel.on_wake([&](uint32_t reasons) {
    EXPECT_EQ(reasons, static_cast<uint32_t>(ORLOP_WAKE_CHANGES));
    ++wakes;
  });
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  EXPECT_TRUE(kernel.run_until_idle());
  EXPECT_EQ(wakes, 0);
  ASSERT_TRUE(kernel.host().subscribe({kKind}));
  ASSERT_TRUE(kernel.create("things.test", widget("a")));
  ASSERT_TRUE(kernel.create(kKind, widget("b")));
  EXPECT_TRUE(kernel.run_until_idle());
  EXPECT_EQ(wakes, 1);
  kernel.set_wake_faults({0, 1, 0});
  ASSERT_TRUE(kernel.create(kKind, widget("c")));
  kernel.set_wake_faults({1, 0, 0});
  ASSERT_TRUE(kernel.create(kKind, widget("d")));
  EXPECT_TRUE(kernel.run_until_idle());
  EXPECT_EQ(wakes, 2);  // the lost one was folded into the late one
  kernel.set_wake_faults({0, 0, 1});
  ASSERT_TRUE(kernel.create(kKind, widget("e")));
  EXPECT_TRUE(kernel.run_until_idle());
  EXPECT_EQ(wakes, 4);
  kernel.detach();
}

TEST(FakeKernel, TimeMovesOnlyWhenTold) {
  FakeKernel kernel;
  const Host host = kernel.host();
  std::vector<int64_t> woken;
  const int64_t start = host.monotonic_now_ns();
  kernel.on_wake([&](uint32_t reasons) {
    EXPECT_EQ(reasons, static_cast<uint32_t>(ORLOP_WAKE_TIMER));
    woken.push_back(host.monotonic_now_ns() - start);
    if (woken.size() < 3) host.wake_at(host.monotonic_now_ns() + 10);
  });
  host.wake_at(start + 100);
  host.wake_at(start + 50);  // the earliest wins
  kernel.advance(49ns);
  EXPECT_TRUE(woken.empty());
  kernel.advance(1000ns);
  EXPECT_THAT(woken, ElementsAre(50, 60, 70));
  EXPECT_EQ(kernel.wall_now_ns(), 1'700'000'000'000'000'000 + 1049);
  EXPECT_FALSE(kernel.wake_asked_ns());
  kernel.detach();
}

// ---------------------------------------------------------------------------------------------- capabilities

class KindsService : public orlop::v1::Kinds {
 public:
  void Describe(google::protobuf::RpcController*, const orlop::v1::DescribeRequest*,
                orlop::v1::DescribeResponse* response, google::protobuf::Closure* done) override {
    response->add_kinds()->set_kind(kKind);
    done->Run();
  }
  void Admit(google::protobuf::RpcController* controller, const orlop::v1::AdmitRequest*, orlop::v1::AdmitResponse*,
             google::protobuf::Closure* done) override {
    CallController::of(controller).fail({Code::kForbidden, "not here"});
    done->Run();
  }
};

TEST(FakeKernel, RoutesCallsToServicesAndFunctions) {
  FakeKernel kernel;
  KindsService service;
  kernel.provide("api", service);
  const auto described = call<orlop::v1::DescribeResponse>(kernel.host(), {"api"}, "orlop.v1.Kinds/Describe",
                                                           orlop::v1::DescribeRequest());
  ASSERT_TRUE(described) << described.message();
  EXPECT_EQ(described->kinds(0).kind(), kKind);
  EXPECT_EQ(
      call<orlop::v1::AdmitResponse>(kernel.host(), {"api"}, "orlop.v1.Kinds/Admit", orlop::v1::AdmitRequest()).code(),
      Code::kForbidden);
  EXPECT_EQ(
      call<orlop::v1::AdmitResponse>(kernel.host(), {"api"}, "orlop.v1.Kinds/No", orlop::v1::AdmitRequest()).code(),
      Code::kMethodNotAllowed);
  EXPECT_EQ(call<orlop::v1::AdmitResponse>(kernel.host(), {"none"}, "a.B/C", orlop::v1::AdmitRequest()).code(),
            Code::kUnavailable);
  EXPECT_EQ(kernel.calls().size(), 4u);
}

TEST(FakeKernel, ACallEndsAtItsDeadlineOrWithTheKernel) {
  Result<std::string> first(Code::kInternal, "none");
  Result<std::string> second(Code::kInternal, "none");
  FakeKernel::Reply late;
  {
    FakeKernel kernel;
    kernel.provide("slow", [&](const orlop::v1::CallTarget&, const std::string&, FakeKernel::Reply reply) {
      late = std::move(reply);
    });
    kernel.host().call(to_message(Target{"slow", "", 100}, "a.B/C"), "", [&](Result<std::string> r) { first = r; });
    kernel.advance(99ms);
    EXPECT_EQ(first.code(), Code::kInternal);
    kernel.advance(1ms);
    EXPECT_EQ(first.code(), Code::kTimeout);
    late(std::string("too late"));
    EXPECT_EQ(first.code(), Code::kTimeout);
    kernel.host().call(to_message(Target{"slow", "", 100}, "a.B/C"), "", [&](Result<std::string> r) { second = r; });
  }
  EXPECT_EQ(second.code(), Code::kCancelled);
  late(std::string("after the end"));
}

class Echo : public Plugin {
 public:
  using Plugin::Plugin;
  void handle_call(Call call) override {
    if (call.method == "test.Echo/Say") {
      host().respond(call.id, call.payload);
    } else {
      Plugin::handle_call(std::move(call));
    }
  }
};

TEST(FakeKernel, InvokesThePluginUnderTest) {
  FakeKernel kernel;
  EXPECT_EQ(kernel.invoke("test.Echo/Say", std::string("x")).code(), Code::kUnavailable);
  Echo echo(kernel.host());
  kernel.attach(echo);
  EXPECT_EQ(*kernel.invoke("test.Echo/Say", std::string("hello")), "hello");
  EXPECT_EQ(kernel.invoke("test.Echo/No", std::string()).code(), Code::kMethodNotAllowed);
  kernel.detach();
}

// ---------------------------------------------------------------------------------------------- faults and the rest

TEST(FakeKernel, FailsWhenAskedTo) {
  FakeKernel kernel;
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  const Host host = kernel.host();
  kernel.conflict_commits();
  kernel.fail_commits({Code::kUnavailable, "the disk is full"});
  EXPECT_EQ(host.commit_wait(update_of(widget("a", "1"))).code(), Code::kConflict);
  EXPECT_EQ(host.commit_wait(update_of(widget("a", "2"))).message(), "the disk is full");
  EXPECT_TRUE(host.commit_wait(update_of(widget("a", "3"))));
  kernel.fail_reads({Code::kUnavailable, "away"});
  EXPECT_EQ(host.pull({}, [](const ChangeView&) { return true; }).code(), Code::kUnavailable);
  EXPECT_TRUE(host.pull({}, [](const ChangeView&) { return true; }));
}

TEST(FakeKernel, LosesAnswersAndLetsOthersWriteMeanwhile) {
  FakeKernel kernel;
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  kernel.lose_answers({Code::kUnavailable, "lost"});
  EXPECT_EQ(kernel.host().commit_wait(update_of(widget("a", "first"))).message(), "lost");
  EXPECT_EQ(kernel.get<Widget>(kKind, "default", "a")->spec(), "first");
  kernel.before_commit([&] { ASSERT_TRUE(kernel.update(kKind, widget("a", "another's"))); });
  EXPECT_EQ(kernel.host().commit_wait(update_of(widget("a", "second"), kernel.revision())).code(), Code::kConflict);
  EXPECT_EQ(kernel.get<Widget>(kKind, "default", "a")->spec(), "another's");
  kernel.before_commit({});
  kernel.fail_commits({Code::kUnavailable, "away"}, 5);
  kernel.clear_faults();
  EXPECT_TRUE(kernel.host().commit_wait(update_of(widget("a", "third"))));
}

TEST(FakeKernel, HoldsThePermissionsOfAManifest) {
  FakeKernelOptions options;
  options.reads = {kKind};
  options.writes = {};
  FakeKernel kernel(options);
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  ASSERT_TRUE(kernel.create("things.test", widget("a")));
  const auto refused = kernel.host().commit_wait(update_of(widget("a")));
  EXPECT_EQ(refused.code(), Code::kForbidden);
  EXPECT_THAT(refused.message(), HasSubstr("permissions.write"));
  int seen = 0;
  EXPECT_TRUE(kernel.host().pull({}, [&](const ChangeView&) { return ++seen != 0; }));
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(kernel.host().subscribe({"things.test"}).code(), Code::kForbidden);
}

TEST(FakeKernel, AdmitsAsTheTestSays) {
  FakeKernel kernel;
  kernel.on_admit([](const orlop::v1::Review& review) {
    orlop::v1::Verdict verdict;
    Widget object;
    object.ParseFromString(review.write().value());
    if (object.spec().empty()) {
      verdict.mutable_status()->set_code(ORLOP_INVALID);
      verdict.mutable_status()->set_message("spec: Required value");
    }
    object.set_status("defaulted");
    verdict.set_value(object.SerializeAsString());
    verdict.add_index_terms("color/red");
    return verdict;
  });
  EXPECT_EQ(kernel.create(kKind, widget("a", "")).code(), Code::kInvalid);
  EXPECT_EQ(kernel.create(kKind, widget("b"))->status(), "defaulted");
  EXPECT_EQ(kernel.list<Widget>(kKind, {}, "color/red").size(), 1u);
}

TEST(FakeKernel, KeepsWhatThePluginSays) {
  FakeKernel kernel;
  kernel.host().log_warn("the sky falls");
  kernel.host().set_ready(false, "warming up");
  EXPECT_TRUE(kernel.logged("sky"));
  EXPECT_EQ(kernel.logs().at(0).level, LogLevel::kWarn);
  EXPECT_EQ(kernel.readiness()->second, "warming up");
}

TEST(FakeKernel, AVisitorMustNotCallBack) {
  FakeKernel kernel;
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  const Host host = kernel.host();
  EXPECT_TRUE(host.pull({}, [&](const ChangeView&) {
    EXPECT_EQ(host.pull({}, [](const ChangeView&) { return true; }).code(), Code::kInternal);
    return true;
  }));
}

// Counts each widget once into its status: a reconcile loop with the sdk's own frame.
class Counter : public Reconciler {
 public:
  explicit Counter(Host host) : host_(host) {}
  std::string_view name() const override { return "counter"; }
  std::vector<std::string> kinds() const override { return {kKind}; }
  void observe(const ChangeView& change, KeyQueue& queue) override {
    queue.add({std::string(change.record.name_space), std::string(change.record.name)});
  }
  Result<Outcome> reconcile(const ObjectKey& key) override {
    orlop::v1::GetRequest get;
    auto* of = get.add_keys();
    of->set_kind(kKind);
    of->set_namespace_(key.name_space);
    of->set_name(key.name);
    Widget object;
    uint64_t revision = 0;
    ORLOP_TRY(host_
                  .get(get,
                       [&](const RecordView& record) {
                         revision = record.revision;
                         return object.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()));
                       })
                  .status());
    if (revision == 0 || object.status() == "seen") return Outcome{};
    object.set_status("seen");
    ORLOP_TRY(host_.commit_wait(update_of(object, revision)).status());
    return Outcome{};
  }

 private:
  Host host_;
};

TEST(FakeKernel, RunsAControllerToTheEnd) {
  FakeKernel kernel;
  ControllerSet controllers(kernel.host());
  controllers.add(std::make_unique<Counter>(kernel.host()));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(kernel.create(kKind, widget("w" + std::to_string(i))));
  kernel.conflict_commits(3);
  EXPECT_TRUE(kernel.run_until_idle([&] { return controllers.run_until_idle(); }));
  kernel.advance(1s);  // the conflicts' back-off
  EXPECT_TRUE(kernel.run_until_idle([&] { return controllers.run_until_idle(); }));
  for (const auto& each : kernel.list<Widget>(kKind)) EXPECT_EQ(each.status(), "seen");
}

TEST(FakeKernel, DrivesAControllerWithThreads) {
  FakeKernel kernel;
  ControllerSet controllers(kernel.host());
  controllers.add(std::make_unique<Counter>(kernel.host()));
  kernel.set_wake_faults({0, 0, 0.5});
  kernel.on_wake([&](uint32_t) { controllers.wake(); });
  ASSERT_TRUE(controllers.start());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(kernel.create(kKind, widget("w" + std::to_string(i))));
  const auto all_seen = [&] {
    for (const auto& each : kernel.list<Widget>(kKind)) {
      if (each.status() != "seen") return false;
    }
    return true;
  };
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!all_seen() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(all_seen());
  kernel.detach();
  controllers.stop();
}

TEST(Watch, AListThatBrokeOffIsVoid) {
  FakeKernel kernel({.reads = {kKind}});
  ASSERT_TRUE(kernel.create(kKind, widget("a")));
  std::vector<std::string> seen;
  Watch watch(
      kernel.host(), WatchOptions{{kKind, "others.test"}},
      [&](const ChangeView& change) { seen.emplace_back(change.record.name); }, [&] { seen.clear(); });
  EXPECT_EQ(watch.drain().code(), Code::kForbidden);
  EXPECT_THAT(seen, ElementsAre("a"));
  ASSERT_TRUE(kernel.remove(kKind, "default", "a"));
  ASSERT_TRUE(kernel.create(kKind, widget("b")));
  EXPECT_EQ(watch.drain().code(), Code::kForbidden);
  EXPECT_THAT(seen, ElementsAre("b"));
}

}  // namespace
}  // namespace orlop::testing
