#include "plugins/controllers-workload/cronjob/cronjob.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using Job = k8s::io::api::batch::v1::Job;
using Event = k8s::io::api::core::v1::Event;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kBegin = 1'699'999'200;  // 2023-11-14T22:00:00Z

CronJob cron_like(const std::string& schedule) {
  CronJob cron;
  cron.mutable_metadata()->set_name("tick");
  cron.mutable_metadata()->set_namespace_("default");
  cron.mutable_metadata()->mutable_creationtimestamp()->set_seconds(kBegin);
  auto& spec = *cron.mutable_spec();
  spec.set_schedule(schedule);
  spec.set_concurrencypolicy("Allow");
  spec.set_successfuljobshistorylimit(3);
  spec.set_failedjobshistorylimit(1);
  auto& source = *spec.mutable_jobtemplate();
  (*source.mutable_metadata()->mutable_labels())["made"] = "by-tick";
  source.mutable_spec()->mutable_template_()->mutable_spec()->add_containers()->set_name("c");
  return cron;
}

std::optional<int64_t> recent(const CronJob& cron, int64_t after_s, bool with_deadline = true) {
  return most_recent(cron, *schedule_of(cron), (kBegin + after_s) * kSecondNs, with_deadline)->time_s;
}

TEST(Due, TheLatestThatHasPassed) {
  CronJob cron = cron_like("0 * * * *");
  EXPECT_FALSE(recent(cron, 30));
  EXPECT_EQ(recent(cron, 3600), kBegin + 3600);
  EXPECT_EQ(recent(cron, 3661), kBegin + 3600);
  EXPECT_EQ(recent(cron, 5 * 3600 + 30), kBegin + 5 * 3600);
  cron.mutable_status()->mutable_lastscheduletime()->set_seconds(kBegin + 5 * 3600);
  EXPECT_FALSE(recent(cron, 5 * 3600 + 30));
  EXPECT_EQ(recent(cron, 7 * 3600), kBegin + 7 * 3600);
}

TEST(Due, ManyThatWereMissedAreOne) {
  const CronJob cron = cron_like("* * * * *");
  const auto found = most_recent(cron, *schedule_of(cron), (kBegin + 101 * 60) * kSecondNs, true);
  EXPECT_EQ(found->missed, Missed::kMany);
  EXPECT_EQ(found->time_s, kBegin + 101 * 60);
  EXPECT_EQ(most_recent(cron, *schedule_of(cron), (kBegin + 99 * 60) * kSecondNs, true)->missed, Missed::kFew);
}

TEST(Due, UnevenSchedulesFindTheirLatest) {
  const CronJob cron = cron_like("30 6-16/4 * * 1-5");
  // Begun on Tuesday evening. On Friday afternoon it is Friday's last.
  const auto friday = recent(cron, 2 * 86'400 + 17 * 3600);
  ASSERT_TRUE(friday);
  EXPECT_EQ(TimeZone().rfc3339(*friday), "2023-11-17T14:30:00Z");
  // On Saturday the estimate of how many were missed lies beyond Friday, as upstream's does: it waits for Monday.
  const int64_t saturday_ns = (kBegin + 3 * 86'400 + 14 * 3600) * kSecondNs;
  const auto found = most_recent(cron, *schedule_of(cron), saturday_ns, true);
  EXPECT_FALSE(found->time_s);
  EXPECT_EQ(found->missed, Missed::kFew);
  EXPECT_EQ((saturday_ns + until_next_ns(cron, *schedule_of(cron), saturday_ns)) / kSecondNs,
            seconds_of({2023, 11, 20, 6, 30}));
}

TEST(Due, ADeadlineForgetsWhatIsTooOld) {
  CronJob cron = cron_like("0 * * * *");
  cron.mutable_spec()->set_startingdeadlineseconds(60);
  EXPECT_EQ(recent(cron, 3630), kBegin + 3600);
  EXPECT_FALSE(recent(cron, 3700));
  EXPECT_TRUE(recent(cron, 3700, false));
  cron.mutable_spec()->set_startingdeadlineseconds(9'000'000'000'000'000'000);
  EXPECT_EQ(recent(cron, 3700), kBegin + 3600);
}

TEST(Due, OneThatNeverComesIsRefused) {
  const CronJob cron = cron_like("59 23 31 2 *");
  const auto found = most_recent(cron, *schedule_of(cron), (kBegin + 60) * kSecondNs, true);
  EXPECT_EQ(found.message(), "time difference between two schedules is less than 1 second");
}

TEST(Due, TheNextLookIsATenthAfterTheNextTime) {
  const CronJob cron = cron_like("0 * * * *");
  EXPECT_EQ(until_next_ns(cron, *schedule_of(cron), (kBegin + 60) * kSecondNs), 3540 * kSecondNs + 100'000'000);
}

TEST(Due, AJobSaysForWhenItWasMade) {
  CronJob cron = cron_like("0 * * * *");
  cron.mutable_spec()->set_timezone("Europe/Berlin");
  const auto job = job_at(cron, kBegin);
  EXPECT_EQ(job->metadata().name(), "tick-" + std::to_string(kBegin / 60));
  EXPECT_EQ(job->metadata().annotations().at("batch.kubernetes.io/cronjob-scheduled-timestamp"),
            "2023-11-14T23:00:00+01:00");
  EXPECT_EQ(job->metadata().labels().at("made"), "by-tick");
  EXPECT_EQ(rfc1123(kBegin), "Tue, 14 Nov 2023 22:00:00 +0000");
}

class CronJobTest : public ::testing::Test {
 protected:
  CronJobTest() : kernel_({.wall_ns = kBegin * kSecondNs}) {
    controllers_.add(std::make_unique<CronJobController>(kernel_.host(), 1));
  }
  void make(const CronJob& cron) {
    ASSERT_TRUE(kernel_.create("cronjobs.batch", cron));
    settle();
  }
  CronJob stored() { return *kernel_.get<CronJob>("cronjobs.batch", "default", "tick"); }
  std::vector<Job> jobs() { return kernel_.list<Job>("jobs.batch", "default"); }
  void settle() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(1ms);
    }
  }
  // In steps of a minute, as the controller looks.
  void pass(std::chrono::seconds by) {
    for (; by > 0s; by -= std::min<std::chrono::seconds>(by, 60s)) {
      kernel_.advance(std::min<std::chrono::seconds>(by, 60s));
      settle();
    }
  }
  void finish(Job job, const std::string& type) {
    auto& condition = *job.mutable_status()->add_conditions();
    condition.set_type(type);
    condition.set_status("True");
    const int64_t now_s = kernel_.wall_now_ns() / kSecondNs;
    job.mutable_status()->mutable_starttime()->set_seconds(job.metadata().creationtimestamp().seconds());
    if (type == "Complete") job.mutable_status()->mutable_completiontime()->set_seconds(now_s);
    ASSERT_TRUE(kernel_.update("jobs.batch", job, "status"));
    settle();
  }
  int32_t told(const std::string& reason, const std::string& message = {}) {
    int32_t count = 0;
    for (const Event& event : kernel_.list<Event>("events", "default")) {
      if (event.reason() == reason && event.message().find(message) != std::string::npos) count += event.count();
    }
    return count;
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(CronJobTest, MakesAJobWhenItsTimeComes) {
  make(cron_like("*/5 * * * *"));
  EXPECT_TRUE(jobs().empty());
  pass(299s);
  EXPECT_TRUE(jobs().empty());
  pass(2s);
  const auto made = jobs();
  ASSERT_EQ(made.size(), 1u);
  const Job& job = made.front();
  EXPECT_EQ(job.metadata().name(), "tick-" + std::to_string(kBegin / 60 + 5));
  EXPECT_EQ(job.metadata().ownerreferences(0).kind(), "CronJob");
  EXPECT_TRUE(job.metadata().ownerreferences(0).controller());
  ASSERT_EQ(stored().status().active_size(), 1);
  EXPECT_EQ(stored().status().active(0).name(), job.metadata().name());
  EXPECT_EQ(stored().status().active(0).uid(), job.metadata().uid());
  EXPECT_EQ(stored().status().lastscheduletime().seconds(), kBegin + 300);
  EXPECT_EQ(told("SuccessfulCreate", "Created job " + job.metadata().name()), 1);
  pass(240s);
  EXPECT_EQ(jobs().size(), 1u);
  pass(60s);
  EXPECT_EQ(jobs().size(), 2u);
}

TEST_F(CronJobTest, ACompletedJobLeavesTheListAndIsRemembered) {
  make(cron_like("*/5 * * * *"));
  pass(301s);
  finish(jobs().at(0), "Complete");
  EXPECT_EQ(stored().status().active_size(), 0);
  EXPECT_EQ(stored().status().lastsuccessfultime().seconds(), kernel_.wall_now_ns() / kSecondNs);
  EXPECT_EQ(told("SawCompletedJob", "status: Complete"), 1);
}

TEST_F(CronJobTest, ForbidWaitsAndCatchesUp) {
  CronJob cron = cron_like("*/5 * * * *");
  cron.mutable_spec()->set_concurrencypolicy("Forbid");
  make(cron);
  pass(301s);
  pass(600s);
  EXPECT_EQ(jobs().size(), 1u);
  EXPECT_EQ(told("JobAlreadyActive"), 2) << "once for each time that was passed over";
  finish(jobs().at(0), "Complete");
  EXPECT_EQ(jobs().size(), 2u) << "the last one that was passed over";
}

TEST_F(CronJobTest, ReplaceRemovesWhatStillRuns) {
  CronJob cron = cron_like("*/5 * * * *");
  cron.mutable_spec()->set_concurrencypolicy("Replace");
  make(cron);
  pass(301s);
  const auto first = jobs();
  pass(300s);
  const auto second = jobs();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0].metadata().uid(), first.at(0).metadata().uid());
  EXPECT_EQ(stored().status().active_size(), 1);
  EXPECT_EQ(told("SuccessfulDelete", "Deleted job " + first[0].metadata().name()), 1);
}

TEST_F(CronJobTest, SuspendedItMakesNothing) {
  CronJob cron = cron_like("*/5 * * * *");
  cron.mutable_spec()->set_suspend(true);
  make(cron);
  pass(600s);
  EXPECT_TRUE(jobs().empty());
  cron = stored();
  cron.mutable_spec()->set_suspend(false);
  ASSERT_TRUE(kernel_.update("cronjobs.batch", cron));
  settle();
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(CronJobTest, TooLateIsMissed) {
  CronJob cron = cron_like("0 * * * *");
  cron.mutable_spec()->set_startingdeadlineseconds(200);
  cron.mutable_spec()->set_suspend(true);
  make(cron);
  pass(3600s + 300s);
  cron = stored();
  cron.mutable_spec()->set_suspend(false);
  ASSERT_TRUE(kernel_.update("cronjobs.batch", cron));
  settle();
  EXPECT_TRUE(jobs().empty());
  pass(3301s);
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(CronJobTest, HistoryIsKeptWithinItsLimits) {
  make(cron_like("* * * * *"));
  for (int i = 0; i < 6; ++i) {
    pass(61s);
    for (const Job& job : jobs()) {
      if (job.status().conditions().empty()) finish(job, i % 3 == 0 ? "Failed" : "Complete");
    }
  }
  const auto left = jobs();
  const auto failed = std::count_if(left.begin(), left.end(),
                                    [](const Job& job) { return job.status().conditions(0).type() == "Failed"; });
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(left.size() - static_cast<size_t>(failed), 3u);
  EXPECT_EQ(stored().status().active_size(), 0);
}

TEST_F(CronJobTest, AJobThatWentMissingIsForgotten) {
  make(cron_like("*/5 * * * *"));
  pass(301s);
  ASSERT_TRUE(kernel_.remove("jobs.batch", "default", jobs().at(0).metadata().name()));
  settle();
  EXPECT_EQ(stored().status().active_size(), 0);
  EXPECT_EQ(told("MissingJob", "Active job went missing: tick-"), 1);
  EXPECT_TRUE(jobs().empty()) << "it ran for its time";
}

TEST_F(CronJobTest, AJobByHandIsTold) {
  make(cron_like("0 0 1 1 *"));
  Job job;
  job.mutable_metadata()->set_name("by-hand");
  job.mutable_metadata()->set_namespace_("default");
  auto& owner = *job.mutable_metadata()->add_ownerreferences();
  owner.set_apiversion("batch/v1");
  owner.set_kind("CronJob");
  owner.set_name("tick");
  owner.set_uid(stored().metadata().uid());
  owner.set_controller(true);
  ASSERT_TRUE(kernel_.create("jobs.batch", job));
  settle();
  EXPECT_EQ(told("UnexpectedJob", "Saw a job that the controller did not create or forgot: by-hand"), 1);
  EXPECT_EQ(stored().status().active_size(), 0);
}

TEST_F(CronJobTest, AJobIsNotMadeTwiceWhenTheStatusCouldNotBeWritten) {
  make(cron_like("*/5 * * * *"));
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "cronjobs.batch") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kUnavailable));
    }
    return verdict;
  });
  pass(301s);
  kernel_.on_admit({});
  pass(120s);
  EXPECT_EQ(jobs().size(), 1u);
  EXPECT_EQ(stored().status().active_size(), 1);
  EXPECT_EQ(stored().status().lastscheduletime().seconds(), kBegin + 300);
}

TEST_F(CronJobTest, AZoneShiftsTheHours) {
  CronJob cron = cron_like("30 23 * * *");
  cron.mutable_spec()->set_timezone("Europe/Berlin");
  make(cron);
  pass(1799s);
  EXPECT_TRUE(jobs().empty());
  pass(2s);
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(CronJobTest, WhatMakesNoSenseIsTold) {
  CronJob cron = cron_like("59 23 31 2 *");
  make(cron);
  EXPECT_EQ(told("InvalidSchedule"), 1);
  cron = stored();
  cron.mutable_spec()->set_schedule("nonsense");
  ASSERT_TRUE(kernel_.update("cronjobs.batch", cron));
  settle();
  EXPECT_EQ(told("UnparseableSchedule", "unparseable schedule: \"nonsense\" : expected exactly 5 fields"), 1);
  cron = stored();
  cron.mutable_spec()->set_timezone("Mars/Olympus");
  ASSERT_TRUE(kernel_.update("cronjobs.batch", cron));
  settle();
  EXPECT_EQ(told("UnknownTimeZone", "invalid timeZone: \"Mars/Olympus\": unknown time zone Mars/Olympus"), 1);
}

TEST_F(CronJobTest, TooManyThatWereMissedAreTold) {
  CronJob cron = cron_like("* * * * *");
  cron.mutable_spec()->set_suspend(true);
  make(cron);
  kernel_.advance(200min);
  cron = stored();
  cron.mutable_spec()->set_suspend(false);
  ASSERT_TRUE(kernel_.update("cronjobs.batch", cron));
  settle();
  EXPECT_EQ(jobs().size(), 1u);
  EXPECT_EQ(told("TooManyMissedTimes"), 1);
}

}  // namespace
}  // namespace orlop::workload
