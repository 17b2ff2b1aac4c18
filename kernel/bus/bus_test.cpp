#include "kernel/bus/call_router.hpp"
#include "kernel/bus/doorbell.hpp"
#include "kernel/bus/link.hpp"
#include "kernel/bus/timer.hpp"
#include "kernel/bus/wire.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <random>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::bus {
namespace {

using namespace std::chrono_literals;

class TempFolder {
 public:
  TempFolder() {
    char pattern[] = "/tmp/orlop-bus-XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~TempFolder() { ::rmdir(path_.c_str()); }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Waits until a predicate over what callbacks left here holds.
class Mailbox {
 public:
  void put(std::string text) {
    std::lock_guard lock(mutex_);
    items_.push_back(std::move(text));
    changed_.notify_all();
  }
  bool wait_for(std::size_t count, std::chrono::milliseconds limit = 5000ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return items_.size() >= count; });
  }
  bool wait_for_item(const std::string& item, std::chrono::milliseconds limit = 5000ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit,
                             [&] { return std::find(items_.begin(), items_.end(), item) != items_.end(); });
  }
  std::vector<std::string> items() {
    std::lock_guard lock(mutex_);
    return items_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> items_;
};

// ---------------------------------------------------------------------------------------------------------------- wire

TEST(Wire, FieldsComeBackAsTheyWereWritten) {
  Writer writer(FrameType::kCall, 300);
  writer.number(0).number(~0ull).signed_number(-5).signed_number(INT64_MIN).bytes("abc").bytes("");
  auto frame = parse_frame(writer.view());
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, FrameType::kCall);
  EXPECT_EQ(frame->id, 300u);
  Reader reader(frame->fields);
  EXPECT_EQ(reader.number(), 0u);
  EXPECT_EQ(reader.number(), ~0ull);
  EXPECT_EQ(reader.signed_number(), -5);
  EXPECT_EQ(reader.signed_number(), INT64_MIN);
  EXPECT_EQ(reader.bytes(), "abc");
  EXPECT_EQ(reader.bytes(), "");
  EXPECT_TRUE(reader.at_end());
}

TEST(Wire, EachCutOfAFrameIsRefusedOrShortAndNeverReadBeyond) {
  Writer writer(FrameType::kRespond, 1);
  writer.number(70000).bytes("payload");
  for (std::size_t size = 0; size < writer.size(); ++size) {
    const std::string cut = writer.view().substr(0, size);
    auto frame = parse_frame(cut);
    if (!frame) continue;
    Reader reader(frame->fields);
    reader.number();
    reader.bytes();
    EXPECT_FALSE(reader.at_end()) << size;
  }
}

TEST(Wire, RandomBytesGiveNoFrameOrEmptyFields) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    auto frame = parse_frame(bytes);
    if (!frame) continue;
    Reader reader(frame->fields);
    for (int field = 0; field < 8; ++field) {
      reader.bytes();
      reader.number();
    }
  }
}

TEST(Wire, AnOverlongNumberIsRefused) {
  const std::string eleven(11, '\xff');
  Reader reader(eleven);
  EXPECT_EQ(reader.number(), 0u);
  EXPECT_FALSE(reader.ok());
}

// --------------------------------------------------------------------------------------------------------------- timer

TEST(TimerTest, RunsInTheOrderOfMomentsAndNotWhatWasCancelled) {
  Timer timer(system_clock());
  Mailbox mailbox;
  const int64_t now = system_clock().monotonic_ns();
  timer.at(now + 30'000'000, [&] { mailbox.put("second"); });
  const auto cancelled = timer.at(now + 20'000'000, [&] { mailbox.put("never"); });
  timer.at(now + 10'000'000, [&] { mailbox.put("first"); });
  EXPECT_TRUE(timer.cancel(cancelled));
  EXPECT_FALSE(timer.cancel(cancelled));
  ASSERT_TRUE(mailbox.wait_for(2));
  EXPECT_EQ(mailbox.items(), (std::vector<std::string>{"first", "second"}));
}

TEST(TimerTest, AfterStopNothingRuns) {
  Timer timer(system_clock());
  timer.stop();
  EXPECT_EQ(timer.at(0, [] { FAIL(); }), 0u);
}

// -------------------------------------------------------------------------------------------------------------- router

class RecordingEndpoint final : public Endpoint {
 public:
  bool deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t) override {
    std::lock_guard lock(mutex);
    if (refuses) return false;
    last_id = call_id;
    last = std::string(method) + ":" + std::string(payload);
    return true;
  }
  std::mutex mutex;
  bool refuses = false;
  uint64_t last_id = 0;
  std::string last;
};

class RouterTest : public ::testing::Test {
 protected:
  struct Answer {
    Code code = Code::kOk;
    std::string text;
  };
  std::future<Answer> call(Target target, const std::string& payload = "x") {
    auto promise = std::make_shared<std::promise<Answer>>();
    router_.call(target, payload, [promise](Code code, std::string_view bytes) {
      promise->set_value({code, code == Code::kOk ? std::string(bytes) : decode_status(code, bytes).message()});
    });
    return promise->get_future();
  }
  void SetUp() override {
    router_.declare("echo", "one", "a", 1);
    router_.declare("echo", "two", "b", 2);
    router_.attach("a", a_);
    router_.attach("b", b_);
  }

  Timer timer_{system_clock()};
  CallRouter router_{system_clock(), timer_};
  std::shared_ptr<RecordingEndpoint> a_ = std::make_shared<RecordingEndpoint>();
  std::shared_ptr<RecordingEndpoint> b_ = std::make_shared<RecordingEndpoint>();
};

TEST_F(RouterTest, TheFirstDeclaredIsTheDefaultAndOthersAreFoundByNameOrInstance) {
  auto first = call({"echo", "", "S/M", 0});
  EXPECT_TRUE(router_.respond("a", a_->last_id, Code::kOk, "from a"));
  EXPECT_EQ(first.get().text, "from a");
  auto by_name = call({"echo", "b", "S/M", 0});
  EXPECT_TRUE(router_.respond("b", b_->last_id, Code::kOk, "from b"));
  EXPECT_EQ(by_name.get().text, "from b");
  auto by_instance = call({"echo", "two", "S/M", 0});
  EXPECT_EQ(b_->last, "S/M:x");
  EXPECT_TRUE(router_.respond("b", b_->last_id, Code::kConflict, encode_status({Code::kConflict, "no"})));
  EXPECT_EQ(by_instance.get().text, "no");
}

TEST_F(RouterTest, NobodyProvidingIsUnavailableAtOnce) {
  const auto answer = call({"absent", "", "S/M", 0}).get();
  EXPECT_EQ(answer.code, Code::kUnavailable);
  EXPECT_NE(answer.text.find("absent"), std::string::npos);
  EXPECT_EQ(call({"echo", "three", "S/M", 0}).get().code, Code::kUnavailable);
}

TEST_F(RouterTest, ADeadlineEndsACallAndALateAnswerIsDropped) {
  auto answer = call({"echo", "a", "S/M", 30});
  EXPECT_EQ(answer.get().code, Code::kTimeout);
  EXPECT_FALSE(router_.respond("a", a_->last_id, Code::kOk, "late"));
  EXPECT_EQ(router_.pending(), 0u);
}

TEST_F(RouterTest, AProviderThatGoesAwayLeavesNoCallPending) {
  auto answer = call({"echo", "a", "S/M", 60'000});
  router_.detach("a", "it crashed");
  const auto got = answer.get();
  EXPECT_EQ(got.code, Code::kUnavailable);
  EXPECT_NE(got.text.find("it crashed"), std::string::npos);
  EXPECT_EQ(call({"echo", "a", "S/M", 0}).get().code, Code::kUnavailable);
  a_->refuses = true;
  router_.attach("a", a_);
  EXPECT_EQ(call({"echo", "a", "S/M", 0}).get().code, Code::kUnavailable);
}

TEST_F(RouterTest, OnlyTheOneWhoWasAskedMayAnswer) {
  auto answer = call({"echo", "a", "S/M", 60'000});
  EXPECT_FALSE(router_.respond("b", a_->last_id, Code::kOk, "forged"));
  EXPECT_TRUE(router_.respond("a", a_->last_id, Code::kOk, "true"));
  EXPECT_EQ(answer.get().text, "true");
}

TEST_F(RouterTest, StopCancelsWhatIsPending) {
  auto answer = call({"echo", "a", "S/M", 60'000});
  router_.stop();
  EXPECT_EQ(answer.get().code, Code::kCancelled);
  EXPECT_EQ(call({"echo", "a", "S/M", 0}).get().code, Code::kCancelled);
}

TEST(StatusMessage, ComesBackWhole) {
  Status status(Code::kInvalid, "wrong", {{"FieldValueInvalid", "too long", "spec.name"}});
  status.with_retry_after_s(3);
  const Status back = decode_status(Code::kInvalid, encode_status(status));
  EXPECT_EQ(back.message(), "wrong");
  ASSERT_EQ(back.causes().size(), 1u);
  EXPECT_EQ(back.causes()[0].field, "spec.name");
  EXPECT_EQ(back.retry_after_s(), 3);
  EXPECT_EQ(decode_status(Code::kConflict, "\xff\xff").code(), Code::kConflict);
}

// ---------------------------------------------------------------------------------------------------------------- link

TEST(LinkTest, FramesArriveInOrderInBothDirectionsAndTheSocketIsPrivate) {
  TempFolder folder;
  Mailbox at_server, at_client;
  auto server = Link::listen(folder.file("s"), {[&](std::string_view f) { at_server.put(std::string(f)); }, [] {}});
  ASSERT_TRUE(server) << server.message();
  struct stat info {};
  ASSERT_EQ(::stat(folder.file("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto client = Link::dial(folder.file("s"), {[&](std::string_view f) { at_client.put(std::string(f)); }, [] {}});
  ASSERT_TRUE(client) << client.message();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE((*client)->send(std::to_string(i)));
  ASSERT_TRUE(at_server.wait_for(1000));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(at_server.items()[static_cast<std::size_t>(i)], std::to_string(i));
  EXPECT_EQ((*server)->peer_pid(), ::getpid());
  const std::string large(3u << 20, 'x');
  ASSERT_TRUE((*server)->send(large));
  ASSERT_TRUE(at_client.wait_for(1));
  EXPECT_EQ(at_client.items()[0], large);
}

TEST(LinkTest, ThePeersEndIsToldAndSendingFailsAfterIt) {
  TempFolder folder;
  Mailbox told;
  auto server = Link::listen(folder.file("s"), {[](std::string_view) {}, [&] { told.put("closed"); }});
  ASSERT_TRUE(server);
  {
    auto client = Link::dial(folder.file("s"), {[](std::string_view) {}, [] {}});
    ASSERT_TRUE(client);
    ASSERT_TRUE((*client)->send("hello"));
    (*client)->flush(1'000'000'000);
  }
  ASSERT_TRUE(told.wait_for(1));
  EXPECT_FALSE((*server)->send("anybody?"));
  EXPECT_FALSE((*server)->wait_for_room(1, 1'000'000));
}

TEST(LinkTest, NobodyListeningAndAPathTooLongAreErrors) {
  TempFolder folder;
  EXPECT_EQ(Link::dial(folder.file("none"), {[](std::string_view) {}, [] {}}).code(), Code::kUnavailable);
  EXPECT_EQ(Link::listen(folder.file(std::string(200, 'a')), {[](std::string_view) {}, [] {}}).code(), Code::kInvalid);
}

// ------------------------------------------------------------------------------------------------------------ doorbell

TEST(DoorbellTest, RingsArriveOverBothTransportsFilteredByKind) {
  TempFolder folder;
  const std::string inproc = "inproc://bell-" + folder.file(""), ipc = "ipc://" + folder.file("bell");
  auto bell = Doorbell::open({inproc, ipc});
  ASSERT_TRUE(bell) << bell.message();
  Mailbox near, far;
  auto into = [](Mailbox& box) {
    return [&box](uint64_t revision, const std::vector<std::string>& kinds) {
      box.put(std::to_string(revision) + (kinds.empty() ? "" : " " + kinds[0]));
    };
  };
  auto near_subscriber = DoorbellSubscriber::open(inproc, {}, into(near));
  auto far_subscriber = DoorbellSubscriber::open(ipc, {"pods"}, into(far));
  ASSERT_TRUE(near_subscriber && far_subscriber);
  ASSERT_TRUE(near.wait_for_item("0"));
  ASSERT_TRUE(far.wait_for_item("0"));
  const std::vector<std::string> nodes{"nodes"}, pods{"pods"};
  (*bell)->ring(5, nodes);
  (*bell)->ring(6, pods);
  EXPECT_TRUE(near.wait_for_item("5 nodes"));
  EXPECT_TRUE(near.wait_for_item("6 pods"));
  EXPECT_TRUE(far.wait_for_item("6 pods"));
  for (const auto& item : far.items()) EXPECT_NE(item, "5 nodes");
}

TEST(DoorbellTest, ASubscriberMayBeThereFirstAndIsRungAgainAfterAReconnect) {
  TempFolder folder;
  const std::string url = "ipc://" + folder.file("bell");
  Mailbox box;
  auto subscriber = DoorbellSubscriber::open(
      url, {}, [&](uint64_t revision, const std::vector<std::string>&) { box.put(std::to_string(revision)); });
  ASSERT_TRUE(subscriber) << subscriber.message();
  {
    auto bell = Doorbell::open({url});
    ASSERT_TRUE(bell);
    ASSERT_TRUE(box.wait_for(1));
  }
  auto again = Doorbell::open({url});
  ASSERT_TRUE(again) << again.message();
  ASSERT_TRUE(box.wait_for(2));
  EXPECT_EQ(box.items(), (std::vector<std::string>{"0", "0"}));
}

}  // namespace
}  // namespace orlop::bus
