// Faults of isolated plugins: seen, contained, mended, and nobody else feels them.
#include "kernel/bus/clock.hpp"
#include "kernel/bus/doorbell.hpp"
#include "orlop/v1/kernel.pb.h"
#include "tests/integration/test_kernel.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

namespace orlop::integration {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Supervision : public ::testing::Test {
 protected:
  void SetUp() override {
    kernel_.start();
    ASSERT_EQ(kernel_.state("victim").state(), "Running") << kernel_.state("victim").reason();
  }

  // Until the victim answers again, in nanoseconds from now. While it is away, the others must answer.
  int64_t time_to_come_back(int64_t old_pid) {
    const int64_t begun = bus::system_clock().monotonic_ns();
    EXPECT_TRUE(eventually([&] {
      EXPECT_EQ(kernel_.call("near", "Probe/Echo", "a").text, "a");
      EXPECT_EQ(kernel_.call("far", "Probe/Echo", "b").text, "b");
      return kernel_.state("victim").pid() != old_pid && kernel_.call("victim", "Probe/Echo", "c", 200).text == "c";
    }));
    return bus::system_clock().monotonic_ns() - begun;
  }

  TestKernel kernel_{{spec("near", plugin_file("probe"), false), spec("far", plugin_file("probe"), true),
                      spec("victim", plugin_file("probe"), true)}};
};

TEST_F(Supervision, KilledIsBackWithinASecondAndOthersAreUntouched) {
  const auto before = kernel_.state("victim");
  const auto far_pid = kernel_.state("far").pid();
  ::kill(static_cast<pid_t>(before.pid()), SIGKILL);
  EXPECT_LT(time_to_come_back(before.pid()), 1000 * kMs);
  EXPECT_EQ(kernel_.state("far").pid(), far_pid);
  EXPECT_EQ(kernel_.state("far").restarts(), 0u);
  EXPECT_EQ(kernel_.state("victim").restarts(), 1u);
  EXPECT_TRUE(contains(kernel_.log("kernel"), "plugin victim faulted: it was ended by signal 9 (Killed)"));
}

TEST_F(Supervision, ASegfaultAnswersTheCallInFlightAndIsBackWithinASecond) {
  const auto pid = kernel_.state("victim").pid();
  auto silent = kernel_.begin("victim", "Probe/Silence", "", 60'000);
  const auto crashed = kernel_.call("victim", "Probe/Crash", "", 60'000);
  EXPECT_EQ(crashed.code, Code::kUnavailable);
  EXPECT_TRUE(contains(crashed.text, "Segmentation fault")) << crashed.text;
  EXPECT_EQ(silent.answer().code, Code::kUnavailable);
  EXPECT_LT(time_to_come_back(pid), 1000 * kMs);
}

TEST_F(Supervision, AHangIsKilledAndIsBackWithinASecond) {
  const auto pid = kernel_.state("victim").pid();
  const int64_t begun = bus::system_clock().monotonic_ns();
  auto hung = kernel_.begin("victim", "Probe/Hang", "", 60'000);
  time_to_come_back(pid);
  EXPECT_LT(bus::system_clock().monotonic_ns() - begun, 1000 * kMs);
  EXPECT_EQ(hung.answer().code, Code::kUnavailable);
  EXPECT_TRUE(contains(hung.answer().text, "it hung"));
  EXPECT_FALSE(is_alive(pid));
}

TEST_F(Supervision, AStoppedProcessIsAHangToo) {
  const auto pid = kernel_.state("victim").pid();
  const int64_t begun = bus::system_clock().monotonic_ns();
  ::kill(static_cast<pid_t>(pid), SIGSTOP);
  time_to_come_back(pid);
  EXPECT_LT(bus::system_clock().monotonic_ns() - begun, 1000 * kMs);
}

TEST_F(Supervision, GarbageOnTheLinkIsAFaultOfThePluginAlone) {
  const auto pid = kernel_.state("victim").pid();
  EXPECT_EQ(kernel_.call("victim", "Probe/Garbage", "", 60'000).code, Code::kUnavailable);
  time_to_come_back(pid);
  EXPECT_EQ(kernel_.state("victim").state(), "Running");
}

TEST_F(Supervision, FiveFaultsQuarantineUntilTheCommand) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(eventually([&] { return kernel_.state("victim").state() == "Running"; }));
    ::kill(static_cast<pid_t>(kernel_.state("victim").pid()), SIGKILL);
    ASSERT_TRUE(eventually([&] {
      const auto state = kernel_.state("victim");
      return state.restarts() == static_cast<uint32_t>(i + 1) || state.state() == "Quarantined";
    }));
  }
  EXPECT_EQ(kernel_.state("victim").state(), "Quarantined");
  const auto answer = kernel_.call("victim", "Probe/Echo", "x");
  EXPECT_EQ(answer.code, Code::kUnavailable);
  EXPECT_EQ(kernel_.call("far", "Probe/Echo", "x").text, "x");
  ASSERT_TRUE(kernel_.restart("victim").is_ok());
  EXPECT_TRUE(eventually([&] { return kernel_.call("victim", "Probe/Echo", "x").text == "x"; }));
}

TEST_F(Supervision, RestartOfNobodyIsNotFound) {
  EXPECT_EQ(kernel_.restart("nobody").code(), Code::kNotFound);
}

TEST_F(Supervision, CallsFromManyThreadsThroughCrashesAreEachAnsweredOnce) {
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      while (!stop) {
        const auto answer = kernel_.call("victim", "Probe/Echo", "x", 3000);
        EXPECT_TRUE(answer.code == Code::kOk || answer.code == Code::kUnavailable) << answer.text;
        ++answered;
      }
    });
  }
  for (int i = 0; i < 3; ++i) {
    const auto pid = kernel_.state("victim").pid();
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    time_to_come_back(pid);
  }
  stop = true;
  for (auto& caller : callers) caller.join();
  EXPECT_GT(answered, 3);
  EXPECT_EQ(kernel_.router().pending(), 0u);
}

TEST(SupervisionAtStart, ACrashInInitEndsInQuarantineAndOthersRun) {
  TestKernel kernel(
      {spec("bad", plugin_file("probe"), true, "fail: crash-in-init"), spec("good", plugin_file("probe"), true)});
  kernel.start();
  EXPECT_EQ(kernel.call("good", "Probe/Echo", "x").text, "x");
  EXPECT_TRUE(eventually([&] { return kernel.state("bad").state() == "Quarantined"; }));
  EXPECT_TRUE(contains(kernel.state("bad").reason(), "signal 11")) << kernel.state("bad").reason();
}

TEST(SupervisionAtStart, AHangAndGarbageInInitAreFaults) {
  TestKernel kernel({spec("hang", plugin_file("probe"), true, "fail: hang-in-init"),
                     spec("garbage", plugin_file("probe"), true, "fail: garbage-in-init"),
                     spec("good", plugin_file("probe"), false)});
  kernel.start();
  EXPECT_TRUE(eventually([&] { return contains(kernel.log("kernel"), "plugin hang faulted: it hung"); }));
  EXPECT_TRUE(eventually([&] { return contains(kernel.log("kernel"), "plugin garbage faulted"); }));
  EXPECT_EQ(kernel.call("good", "Probe/Echo", "x").text, "x");
}

TEST(SupervisionOfKinds, KindsOfAProviderThatCrashedCanBeWrittenAgainAfterItsReturn) {
  TestKernel kernel({spec("kinds", plugin_file("probe"), true, "kind: widgets.test"),
                     spec("writer", plugin_file("probe"), false, "watch: widgets.test")});
  kernel.start();
  ASSERT_EQ(kernel.call("writer", "Probe/Write", "one").code, Code::kOk);
  const auto pid = kernel.state("kinds").pid();
  ::kill(static_cast<pid_t>(pid), SIGKILL);
  int round = 0;
  EXPECT_TRUE(eventually([&] {
    const auto answer = kernel.call("writer", "Probe/Write", "after-" + std::to_string(round++));
    EXPECT_TRUE(answer.code == Code::kOk || answer.code == Code::kUnavailable || answer.code == Code::kTimeout)
        << static_cast<int>(answer.code) << answer.text;
    return answer.code == Code::kOk && kernel.state("kinds").pid() != pid;
  }));
}

TEST(DoorbellOfTheKernel, RingsAfterACommit) {
  TestKernel kernel({spec("kinds", plugin_file("probe"), false, "kind: widgets.test")});
  kernel.start();
  std::atomic<uint64_t> heard{0};
  std::atomic<bool> connected{false};
  auto subscriber = bus::DoorbellSubscriber::open("ipc://" + kernel.folder() + "/doorbell.sock", {"widgets.test"},
                                                  [&](uint64_t revision, const std::vector<std::string>&) {
                                                    if (revision == 0) connected = true;
                                                    if (revision > 0) heard = revision;
                                                  });
  ASSERT_TRUE(subscriber);
  ASSERT_TRUE(eventually([&] { return connected.load(); }));
  ASSERT_EQ(kernel.call("kinds", "Probe/Write", "one").code, Code::kOk);
  EXPECT_TRUE(eventually([&] { return heard.load() > 0; }));
}

}  // namespace
}  // namespace orlop::integration
