#include "plugins/controllers-workload/job/job_fixture.hpp"

#include <set>

#include <gmock/gmock.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class JobTest : public JobFixture {};

TEST_F(JobTest, RunsOnePodToItsEnd) {
  make(job_like(1, 1));
  const auto made = pods();
  ASSERT_EQ(made.size(), 1u);
  EXPECT_TRUE(has_tracking_finalizer(made.front()));
  EXPECT_EQ(made.front().metadata().name().substr(0, 5), "work-");
  const auto* owner = kube::controller_of(made.front().metadata());
  ASSERT_NE(owner, nullptr);
  EXPECT_EQ(owner->kind(), "Job");
  EXPECT_EQ(owner->apiversion(), "batch/v1");
  EXPECT_EQ(stored().status().active(), 1);
  EXPECT_TRUE(stored().status().has_ready());
  EXPECT_TRUE(stored().status().has_starttime());
  EXPECT_TRUE(told("SuccessfulCreate", "Created pod: work-"));

  end_one("Succeeded");
  EXPECT_EQ(stored().status().succeeded(), 1);
  EXPECT_EQ(stored().status().active(), 0);
  EXPECT_EQ(condition_reason(kJobSuccessCriteriaMet), "CompletionsReached");
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
  EXPECT_TRUE(stored().status().has_completiontime());
  EXPECT_EQ(stored().status().uncountedterminatedpods().succeeded_size(), 0);
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_FALSE(has_tracking_finalizer(pods()[0]));
  EXPECT_TRUE(told("Completed", "Job completed"));
}

TEST_F(JobTest, KeepsItsParallelismUntilEnoughHaveSucceeded) {
  make(job_like(5, 2));
  for (int32_t done = 0; done < 5; ++done) {
    EXPECT_EQ(active().size(), static_cast<size_t>(std::min(2, 5 - done)));
    end_one("Succeeded");
    EXPECT_EQ(stored().status().succeeded(), done + 1);
  }
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
  EXPECT_EQ(pods().size(), 5u);
}

TEST_F(JobTest, WithoutCompletionsOneSuccessEndsIt) {
  make(job_like(0, 3));
  EXPECT_EQ(active().size(), 3u);
  end_one("Succeeded");
  EXPECT_EQ(active().size(), 2u);
  EXPECT_EQ(condition_reason(kJobComplete), "absent");
  end_one("Failed", 1);
  end_one("Succeeded");
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
  EXPECT_EQ(stored().status().succeeded(), 2);
  EXPECT_EQ(stored().status().failed(), 1);
}

TEST_F(JobTest, FailedPodsAreReplacedEachTimeLater) {
  make(job_like(1, 1));
  end_one("Failed", 1);
  EXPECT_TRUE(active().empty());
  EXPECT_EQ(stored().status().failed(), 1);
  pass(8s);
  EXPECT_TRUE(active().empty());
  pass(3s);
  EXPECT_EQ(active().size(), 1u);
  end_one("Failed", 1);
  pass(18s);
  EXPECT_TRUE(active().empty());
  pass(3s);
  EXPECT_EQ(active().size(), 1u);
}

TEST_F(JobTest, TooManyFailuresFailIt) {
  Job job = job_like(2, 2);
  job.mutable_spec()->set_backofflimit(1);
  make(job);
  end_one("Failed", 1);
  pass(12s);
  EXPECT_EQ(active().size(), 2u);
  end_one("Failed", 1);
  EXPECT_EQ(condition_reason(kJobFailureTarget), "BackoffLimitExceeded");
  EXPECT_EQ(condition_reason(kJobFailed), "BackoffLimitExceeded");
  EXPECT_EQ(find_condition(stored(), kJobComplete), nullptr);
  EXPECT_TRUE(active().empty());
  EXPECT_EQ(stored().status().failed(), 3) << "what still ran has failed, too";
  EXPECT_TRUE(told("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
  for (const kube::Pod& pod : pods()) EXPECT_FALSE(has_tracking_finalizer(pod));
}

TEST_F(JobTest, RestartsOfContainersCountWherePodsRestartThem) {
  Job job = job_like(1, 1);
  job.mutable_spec()->set_backofflimit(2);
  job.mutable_spec()->mutable_template_()->mutable_spec()->set_restartpolicy("OnFailure");
  make(job);
  kube::Pod pod = active().front();
  pod.mutable_status()->set_phase("Running");
  pod.mutable_status()->add_containerstatuses()->set_restartcount(2);
  ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  settle();
  EXPECT_EQ(condition_reason(kJobFailed), "BackoffLimitExceeded");
}

TEST_F(JobTest, ADeadlineEndsIt) {
  Job job = job_like(1, 1);
  job.mutable_spec()->set_activedeadlineseconds(90);
  make(job);
  pass(60s);
  pass(20s);
  EXPECT_EQ(active().size(), 1u);
  pass(11s);
  EXPECT_EQ(condition_reason(kJobFailed), "DeadlineExceeded");
  EXPECT_TRUE(active().empty());
  EXPECT_TRUE(told("DeadlineExceeded", "Job was active longer than specified deadline"));
}

TEST_F(JobTest, SuspendedItHasNoPodsAndResumedItBeginsAnew) {
  make(job_like(2, 2));
  end_one("Succeeded");
  set_suspended(true);
  EXPECT_TRUE(active().empty());
  EXPECT_EQ(stored().status().failed(), 0) << "a suspended pod has not failed";
  EXPECT_EQ(condition_reason(kJobSuspended), "JobSuspended");
  EXPECT_TRUE(told("Suspended", "Job suspended"));
  pass(100s);
  set_suspended(false);
  EXPECT_EQ(active().size(), 1u);
  EXPECT_EQ(find_condition(stored(), kJobSuspended)->status(), "False");
  EXPECT_TRUE(told("Resumed", "Job resumed"));
  EXPECT_GE(stored().status().starttime().seconds(), kernel_.wall_now_ns() / 1'000'000'000 - 2);
  end_one("Succeeded");
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
}

TEST_F(JobTest, BornSuspendedItHasNoStartTime) {
  Job job = job_like(1, 1);
  job.mutable_spec()->set_suspend(true);
  make(job);
  EXPECT_TRUE(pods().empty());
  EXPECT_FALSE(stored().status().has_starttime());
  set_suspended(false);
  EXPECT_EQ(active().size(), 1u);
  EXPECT_TRUE(stored().status().has_starttime());
}

TEST_F(JobTest, AFailurePolicyFailsItOrForgives) {
  Job job = job_like(1, 1);
  job.mutable_spec()->set_backofflimit(0);
  auto& ignore = *job.mutable_spec()->mutable_podfailurepolicy()->add_rules();
  ignore.set_action("Ignore");
  ignore.mutable_onexitcodes()->set_operator_("In");
  ignore.mutable_onexitcodes()->add_values(7);
  auto& fail = *job.mutable_spec()->mutable_podfailurepolicy()->add_rules();
  fail.set_action("FailJob");
  fail.mutable_onexitcodes()->set_operator_("In");
  fail.mutable_onexitcodes()->add_values(42);
  job.mutable_spec()->set_podreplacementpolicy("Failed");
  make(job);
  end_one("Failed", 7);
  EXPECT_EQ(stored().status().failed(), 0);
  EXPECT_EQ(condition_reason(kJobFailed), "absent");
  pass(11s);
  end_one("Failed", 42);
  EXPECT_EQ(condition_reason(kJobFailed), "PodFailurePolicy");
  EXPECT_TRUE(told("PodFailurePolicy", "failed with exit code 42 matching FailJob rule at index 1"));
}

TEST_F(JobTest, ReplacesOnlyWhatHasEndedWhenAskedTo) {
  // As node-agent ends pods: with a grace period.
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "pods") verdict.set_grace_seconds(30);
    return verdict;
  });
  Job job = job_like(1, 1);
  job.mutable_spec()->set_podreplacementpolicy("Failed");
  make(job);
  const kube::Pod first = active().front();
  ASSERT_TRUE(kernel_.remove("pods", "default", first.metadata().name()));
  settle();
  pass(60s);
  EXPECT_TRUE(active().empty());
  EXPECT_EQ(stored().status().terminating(), 1);
  end(*kernel_.get<kube::Pod>("pods", "default", first.metadata().name()), "Failed", 137);
  settle();
  EXPECT_EQ(stored().status().failed(), 1);
  pass(11s);
  EXPECT_EQ(active().size(), 1u);
}

TEST_F(JobTest, ADeletedPodHasFailed) {
  make(job_like(1, 1));
  ASSERT_TRUE(kernel_.remove("pods", "default", active().front().metadata().name()));
  settle();
  EXPECT_EQ(stored().status().failed(), 1);
  pass(11s);
  EXPECT_EQ(active().size(), 1u);
}

TEST_F(JobTest, AdoptedPodsAreTrackedAndReleasedOnesAreNot) {
  kube::Pod loose;
  loose.mutable_metadata()->set_name("mine");
  loose.mutable_metadata()->set_namespace_("default");
  (*loose.mutable_metadata()->mutable_labels())["job"] = "work";
  ASSERT_TRUE(kernel_.create("pods", loose));
  make(job_like(1, 1));
  ASSERT_EQ(pods().size(), 1u);
  loose = pods().front();
  EXPECT_TRUE(has_tracking_finalizer(loose));
  (*loose.mutable_metadata()->mutable_labels())["job"] = "other";
  ASSERT_TRUE(kernel_.update("pods", loose));
  settle();
  EXPECT_EQ(pods().size(), 2u);
  loose = *kernel_.get<kube::Pod>("pods", "default", "mine");
  EXPECT_FALSE(has_tracking_finalizer(loose));
  EXPECT_EQ(loose.metadata().ownerreferences_size(), 0);
}

TEST_F(JobTest, DeletedInTheForegroundItLetsItsPodsGo) {
  Job job = job_like(1, 1);
  job.mutable_metadata()->add_finalizers("foregroundDeletion");
  make(job);
  ASSERT_TRUE(kernel_.remove("jobs.batch", "default", "work"));
  settle();
  EXPECT_EQ(active().size(), 1u) << "the collector removes it, not the job";
  ASSERT_TRUE(kernel_.remove("pods", "default", active().front().metadata().name()));
  settle();
  EXPECT_TRUE(pods().empty());
}

TEST_F(JobTest, GoneItLeavesNoFinalizers) {
  make(job_like(2, 2));
  ASSERT_TRUE(kernel_.remove("jobs.batch", "default", "work"));
  settle();
  ASSERT_EQ(pods().size(), 2u);
  for (const kube::Pod& pod : pods()) EXPECT_FALSE(has_tracking_finalizer(pod));
}

TEST_F(JobTest, GoneWhileNobodyLookedItLeavesNoFinalizers) {
  make(job_like(2, 2));
  controllers_.reset();
  ASSERT_TRUE(kernel_.remove("jobs.batch", "default", "work"));
  add_controllers();
  settle();
  for (const kube::Pod& pod : pods()) EXPECT_FALSE(has_tracking_finalizer(pod));
}

TEST_F(JobTest, SomebodyElsesIsLeftAlone) {
  Job job = job_like(1, 1);
  job.mutable_spec()->set_managedby("example.com/queue");
  make(job);
  EXPECT_TRUE(pods().empty());
  EXPECT_FALSE(stored().status().has_starttime());
}

TEST_F(JobTest, ARefusalIsToldAndTriedAgain) {
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "pods") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("exceeded quota");
    }
    return verdict;
  });
  make(job_like(1, 1));
  EXPECT_TRUE(told("FailedCreate", "Error creating: exceeded quota"));
  EXPECT_EQ(stored().status().active(), 0);
  kernel_.on_admit({});
  pass(120s);
  EXPECT_EQ(active().size(), 1u);
}

TEST_F(JobTest, ACompletionIsCountedOnceThoughTheNextWriteFails) {
  make(job_like(2, 1));
  const auto running = active();
  end(running.front(), "Succeeded");
  // The first commit of the next pass is the status with the uid in it; what comes after it fails.
  int writes = 0;
  kernel_.on_admit([&](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "events" || ++writes == 2 || writes > 6) return verdict;
    verdict.mutable_status()->set_code(static_cast<int>(Code::kUnavailable));
    return verdict;
  });
  settle();
  kernel_.on_admit({});
  pass(60s);
  EXPECT_EQ(stored().status().succeeded(), 1);
  end_one("Succeeded");
  EXPECT_EQ(stored().status().succeeded(), 2);
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
}

TEST_F(JobTest, ManyPodsAreMadeAndCountedInFewWrites) {
  make(job_like(1200, 1200));
  EXPECT_EQ(active().size(), 1200u);
  for (const kube::Pod& pod : active()) end(pod, "Succeeded");
  const size_t before = kernel_.plugin_commits();
  settle();
  EXPECT_EQ(stored().status().succeeded(), 1200);
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
  EXPECT_LT(kernel_.plugin_commits() - before, 100u);
}

}  // namespace
}  // namespace orlop::workload
