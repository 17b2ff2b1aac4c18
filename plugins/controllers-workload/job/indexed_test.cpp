// Indexed Jobs.
#include "plugins/controllers-workload/job/job_fixture.hpp"

#include <gmock/gmock.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;

class IndexedJobTest : public JobFixture {
 protected:
  static std::string annotation(const kube::Pod& pod, const std::string& key) {
    const auto found = pod.metadata().annotations().find("batch.kubernetes.io/" + key);
    return found == pod.metadata().annotations().end() ? "" : found->second;
  }
  void fail(int32_t index, int32_t exit_code = 1) {
    end(pod_of_index(index), "Failed", exit_code);
    settle();
  }
  void succeed(int32_t index) {
    end(pod_of_index(index), "Succeeded");
    settle();
  }
};

TEST_F(IndexedJobTest, EachPodKnowsItsIndex) {
  make(indexed_like(3, 2));
  ASSERT_EQ(active().size(), 2u);
  const kube::Pod pod = pod_of_index(1);
  EXPECT_EQ(pod.metadata().name().substr(0, 7), "work-1-");
  EXPECT_EQ(pod.spec().hostname(), "work-1");
  EXPECT_EQ(pod.metadata().labels().at("batch.kubernetes.io/job-completion-index"), "1");
  ASSERT_EQ(pod.spec().containers(0).env_size(), 1);
  EXPECT_EQ(pod.spec().containers(0).env(0).name(), "JOB_COMPLETION_INDEX");
  EXPECT_EQ(pod.spec().containers(0).env(0).valuefrom().fieldref().fieldpath(),
            "metadata.labels['batch.kubernetes.io/job-completion-index']");
}

TEST_F(IndexedJobTest, EveryIndexSucceedsOnce) {
  make(indexed_like(4, 2));
  succeed(1);
  EXPECT_EQ(stored().status().completedindexes(), "1");
  succeed(2);
  EXPECT_EQ(stored().status().completedindexes(), "1,2");
  fail(0);
  EXPECT_EQ(stored().status().completedindexes(), "1,2");
  pass(11s);
  succeed(0);
  EXPECT_EQ(stored().status().completedindexes(), "0-2");
  succeed(3);
  EXPECT_EQ(stored().status().completedindexes(), "0-3");
  EXPECT_EQ(stored().status().succeeded(), 4);
  EXPECT_EQ(stored().status().failed(), 1);
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
}

TEST_F(IndexedJobTest, ItGrowsAndShrinks) {
  make(indexed_like(2, 2));
  succeed(0);
  Job job = stored();
  job.mutable_spec()->set_completions(4);
  job.mutable_spec()->set_parallelism(4);
  ASSERT_TRUE(kernel_.update("jobs.batch", job));
  settle();
  EXPECT_EQ(active().size(), 3u);
  succeed(3);
  job = stored();
  job.mutable_spec()->set_completions(2);
  job.mutable_spec()->set_parallelism(2);
  ASSERT_TRUE(kernel_.update("jobs.batch", job));
  settle();
  EXPECT_EQ(active().size(), 1u);
  EXPECT_EQ(stored().status().completedindexes(), "0");
  EXPECT_EQ(stored().status().succeeded(), 1);
  succeed(1);
  EXPECT_EQ(condition_reason(kJobComplete), "CompletionsReached");
}

TEST_F(IndexedJobTest, ALimitForEachIndexFailsThatIndexAlone) {
  Job job = indexed_like(2, 2);
  job.mutable_spec()->set_backofflimit(2147483647);
  job.mutable_spec()->set_backofflimitperindex(1);
  make(job);
  EXPECT_EQ(annotation(pod_of_index(0), "job-index-failure-count"), "0");
  const std::string first = pod_of_index(0).metadata().name();
  fail(0);
  EXPECT_TRUE(has_tracking_finalizer(*kernel_.get<kube::Pod>("pods", "default", first)))
      << "it stays until its count has been taken over";
  EXPECT_EQ(active().size(), 1u);
  pass(11s);
  EXPECT_EQ(annotation(pod_of_index(0), "job-index-failure-count"), "1");
  EXPECT_FALSE(has_tracking_finalizer(*kernel_.get<kube::Pod>("pods", "default", first)));
  EXPECT_EQ(stored().status().failed(), 1);
  fail(0);
  EXPECT_EQ(stored().status().failedindexes(), "0");
  pass(100s);
  EXPECT_EQ(active().size(), 1u);
  EXPECT_EQ(condition_reason(kJobFailureTarget), "absent");
  succeed(1);
  EXPECT_EQ(condition_reason(kJobFailed), "FailedIndexes");
  EXPECT_EQ(stored().status().completedindexes(), "1");
  EXPECT_TRUE(told("FailedIndexes", "Job has failed indexes"));
}

TEST_F(IndexedJobTest, TooManyFailedIndexesFailIt) {
  Job job = indexed_like(5, 5);
  job.mutable_spec()->set_backofflimit(2147483647);
  job.mutable_spec()->set_backofflimitperindex(0);
  job.mutable_spec()->set_maxfailedindexes(1);
  make(job);
  fail(1);
  EXPECT_EQ(condition_reason(kJobFailed), "absent");
  fail(4);
  EXPECT_EQ(condition_reason(kJobFailed), "MaxFailedIndexesExceeded");
  EXPECT_EQ(stored().status().failedindexes(), "1,4");
  EXPECT_TRUE(active().empty());
}

TEST_F(IndexedJobTest, ARuleMayGiveAnIndexUpAtOnceOrForgive) {
  Job job = indexed_like(2, 2);
  job.mutable_spec()->set_backofflimit(2147483647);
  job.mutable_spec()->set_backofflimitperindex(3);
  job.mutable_spec()->set_podreplacementpolicy("Failed");
  for (const auto& [action, code] : {std::pair{"FailIndex", 42}, std::pair{"Ignore", 7}}) {
    auto& rule = *job.mutable_spec()->mutable_podfailurepolicy()->add_rules();
    rule.set_action(action);
    rule.mutable_onexitcodes()->set_operator_("In");
    rule.mutable_onexitcodes()->add_values(code);
  }
  make(job);
  fail(0, 42);
  EXPECT_EQ(stored().status().failedindexes(), "0");
  fail(1, 7);
  pass(11s);
  EXPECT_EQ(annotation(pod_of_index(1), "job-index-failure-count"), "0");
  EXPECT_EQ(annotation(pod_of_index(1), "job-index-ignored-failure-count"), "1");
  EXPECT_EQ(stored().status().failedindexes(), "0");
  EXPECT_EQ(stored().status().failed(), 1);
}

TEST_F(IndexedJobTest, ASuccessPolicyEndsItEarly) {
  Job job = indexed_like(3, 3);
  job.mutable_spec()->mutable_successpolicy()->add_rules()->set_succeededindexes("1");
  make(job);
  succeed(1);
  EXPECT_EQ(condition_reason(kJobSuccessCriteriaMet), "SuccessPolicy");
  EXPECT_EQ(condition_reason(kJobComplete), "SuccessPolicy");
  EXPECT_EQ(find_condition(stored(), kJobComplete)->message(), "Matched rules at index 0");
  EXPECT_EQ(stored().status().succeeded(), 1);
  EXPECT_EQ(stored().status().failed(), 0) << "those that were not needed any more have not failed";
  EXPECT_TRUE(active().empty());
}

TEST_F(IndexedJobTest, LongNamesStayWithinWhatANameMayHold) {
  Job job = indexed_like(1, 1);
  job.mutable_metadata()->set_name(std::string(61, 'j'));
  ASSERT_TRUE(kernel_.create("jobs.batch", job));
  settle();
  ASSERT_EQ(pods().size(), 1u);
  EXPECT_EQ(pods()[0].metadata().name().size(), 63u);
}

}  // namespace
}  // namespace orlop::workload
