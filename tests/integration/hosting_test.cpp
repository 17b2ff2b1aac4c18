// What a plugin can rely on, however it is hosted: one suite, run for both.
#include "kernel/bus/clock.hpp"
#include "orlop/v1/kernel.pb.h"
#include "tests/integration/test_kernel.hpp"

#include <chrono>
#include <set>

#include <gtest/gtest.h>

namespace orlop::integration {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Hosting : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { kernel_.start(); }
  TestKernel kernel_{
      {spec("kinds", plugin_file("probe"), false, "kind: widgets.test"),
       spec("probe-1", plugin_file("probe"), GetParam(), "watch: widgets.test\ngreeting: good day\nlimit: 7\n")}};
};

TEST_P(Hosting, RunsAndIsShownWhole) {
  const auto state = kernel_.state("probe-1");
  EXPECT_EQ(state.state(), "Running") << state.reason();
  EXPECT_TRUE(eventually([&] { return kernel_.state("probe-1").ready(); }));
  EXPECT_EQ(state.hosting(), GetParam() ? "isolated" : "inline");
  EXPECT_EQ(state.version(), "0.1.0");
  EXPECT_EQ(state.abi(), "1.0");
  EXPECT_GT(state.pid(), 0);
  if (GetParam()) {
    EXPECT_GT(state.resident_bytes(), 1u << 20);
  }
  EXPECT_EQ(state.provides(0), "probe");
  EXPECT_EQ(state.reads(0), "widgets.test");
}

TEST_P(Hosting, AnswersCallsWithPayloadsOfAnySize) {
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo", "hello").text, "hello");
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo", "").text, "");
  const std::string large(5u << 20, 'x');
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo", large).text, large);
}

TEST_P(Hosting, FailuresKeepCodeAndMessage) {
  const auto answer = kernel_.call("probe-1", "Probe/Fail");
  EXPECT_EQ(answer.code, Code::kConflict);
  EXPECT_EQ(answer.text, "as asked");
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Nonsense").code, Code::kMethodNotAllowed);
}

TEST_P(Hosting, ADeadlineEndsASilentCallAndOthersGoOn) {
  auto silent = kernel_.begin("probe-1", "Probe/Silence", "", 100);
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo", "meanwhile").text, "meanwhile");
  EXPECT_EQ(silent.answer().code, Code::kTimeout);
}

TEST_P(Hosting, GetsItsSettingsAndFolders) {
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Settings").text, "good day 7 probe-1 writable");
}

TEST_P(Hosting, WritesListsAndWatches) {
  const auto written = kernel_.call("probe-1", "Probe/Write", "one");
  ASSERT_EQ(written.code, Code::kOk) << written.text;
  EXPECT_EQ(kernel_.call("probe-1", "Probe/List", "widgets.test").text, "one,");
  EXPECT_TRUE(eventually([&] { return contains(kernel_.call("probe-1", "Probe/Seen").text, "1 one "); }));
  ASSERT_EQ(kernel_.call("probe-1", "Probe/Write", "two").code, Code::kOk);
  EXPECT_TRUE(eventually([&] { return contains(kernel_.call("probe-1", "Probe/Seen").text, "2 two "); }));
}

TEST_P(Hosting, ManyRecordsComeWhole) {
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(kernel_.call("probe-1", "Probe/Write", "object-" + std::to_string(1000 + i)).code, Code::kOk);
  }
  const std::string names = kernel_.call("probe-1", "Probe/List", "widgets.test").text;
  EXPECT_EQ(std::count(names.begin(), names.end(), ','), 300);
  EXPECT_TRUE(eventually([&] { return contains(kernel_.call("probe-1", "Probe/Seen").text, "300 object-1299 "); }));
}

TEST_P(Hosting, TheGateRefusesWhatThePluginMayNot) {
  const auto refused = kernel_.call("probe-1", "Probe/List", "secrets");
  EXPECT_EQ(refused.code, Code::kForbidden);
  EXPECT_TRUE(contains(refused.text, "secrets"));
  const auto invalid = kernel_.call("probe-1", "Probe/Write", "forbidden");
  EXPECT_EQ(invalid.code, Code::kInvalid);
  EXPECT_TRUE(contains(invalid.text, "refused"));
}

TEST_P(Hosting, CallsOtherPluginsAndHearsOfTheirAbsence) {
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Relay", "kinds").text, "relayed by probe-1");
  EXPECT_EQ(kernel_.call("kinds", "Probe/Relay", "probe-1").text, "relayed by kinds");
  const auto absent = kernel_.call("probe-1", "Probe/Relay", "nobody");
  EXPECT_EQ(absent.code, Code::kUnavailable);
  EXPECT_TRUE(contains(absent.text, "nobody"));
}

TEST_P(Hosting, IsWokenByItsTimer) {
  ASSERT_EQ(kernel_.call("probe-1", "Probe/Timer").code, Code::kOk);
  EXPECT_TRUE(eventually([&] { return kernel_.call("probe-1", "Probe/TimerFired").text == "yes"; }));
}

TEST_P(Hosting, ItsLogLinesStandUnderItsName) {
  EXPECT_TRUE(eventually([&] { return contains(kernel_.log("probe-1"), "good day from probe-1"); }));
  if (!GetParam()) return;
  ASSERT_EQ(kernel_.call("probe-1", "Probe/Print", "abc").code, Code::kOk);
  EXPECT_TRUE(eventually([&] {
    const std::string log = kernel_.log("probe-1");
    return contains(log, "printed: abc") && contains(log, "complained: abc");
  }));
}

TEST_P(Hosting, ARestartByCommandGivesANewRun) {
  const auto before = kernel_.state("probe-1");
  ASSERT_TRUE(kernel_.restart("probe-1").is_ok());
  EXPECT_TRUE(eventually([&] {
    const auto state = kernel_.state("probe-1");
    return state.state() == "Running" && state.restarts() == 1;
  }));
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo", "again").text, "again");
  EXPECT_GT(kernel_.state("probe-1").started_unix_ns(), before.started_unix_ns());
}

TEST_P(Hosting, AfterStopNobodyAnswersAndNoProcessIsLeft) {
  const auto pid = kernel_.state("probe-1").pid();
  kernel_.stop();
  EXPECT_EQ(kernel_.call("probe-1", "Probe/Echo").code, Code::kUnavailable);
  if (GetParam()) {
    EXPECT_FALSE(is_alive(pid));
  }
}

TEST_P(Hosting, AWakeComesSoonAfterTheCommit) {
  int64_t best = INT64_MAX;
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(kernel_.call("probe-1", "Probe/Write", "w" + std::to_string(i)).code, Code::kOk);
    const int64_t answered = bus::system_clock().monotonic_ns();
    std::string seen;
    ASSERT_TRUE(eventually([&] {
      seen = kernel_.call("probe-1", "Probe/Seen").text;
      return contains(seen, std::to_string(i + 1) + " w" + std::to_string(i) + " ");
    }));
    const int64_t at = std::stoll(seen.substr(seen.rfind(' ') + 1));
    best = std::min(best, at - answered);
  }
  RecordProperty("best_us_after_the_answer", std::to_string(best / 1000));
  EXPECT_LT(best, 1 * kMs);
}

INSTANTIATE_TEST_SUITE_P(Both, Hosting, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Isolated" : "Inline"; });

}  // namespace
}  // namespace orlop::integration
