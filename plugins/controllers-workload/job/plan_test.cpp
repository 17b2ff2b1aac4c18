// What a Job does, as far as no store is needed to see it.
#include "plugins/controllers-workload/job/backoff.hpp"
#include "plugins/controllers-workload/job/counting.hpp"
#include "plugins/controllers-workload/job/indexes.hpp"
#include "plugins/controllers-workload/job/policies.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecondNs = 1'000'000'000;

TEST(Indexes, AreWrittenShortly) {
  EXPECT_EQ(IndexSet().text(), "");
  EXPECT_EQ(IndexSet({3}).text(), "3");
  EXPECT_EQ(IndexSet({3, 4}).text(), "3,4");
  EXPECT_EQ(IndexSet({1, 3, 4, 5, 7}).text(), "1,3-5,7");
}

TEST(Indexes, AreReadAsTheyAreWritten) {
  EXPECT_EQ(IndexSet::parse("1,3-5,7", 10).text(), "1,3-5,7");
  EXPECT_EQ(IndexSet::parse("1,2,3", 10).text(), "1-3");
  EXPECT_EQ(IndexSet::parse("1,3-5,7", 5).text(), "1,3,4");
  EXPECT_EQ(IndexSet::parse("", 5).size(), 0);
  EXPECT_EQ(IndexSet::parse("x,2,-,4-", 5).text(), "2");
}

TEST(Indexes, MergeOverlapAndMissing) {
  IndexSet all({0, 1, 5});
  all.merge(IndexSet({2, 6, 9}));
  EXPECT_EQ(all.text(), "0-2,5,6,9");
  EXPECT_EQ(all.size(), 6);
  EXPECT_TRUE(all.contains(6));
  EXPECT_FALSE(all.contains(4));
  EXPECT_EQ(all.overlap(IndexSet({2, 3, 4, 5, 9})), 3);
  EXPECT_THAT(all.lowest_missing(3, 10), ElementsAre(3, 4, 7));
  EXPECT_THAT(all.lowest_missing(9, 10), ElementsAre(3, 4, 7, 8));
  EXPECT_THAT(all.lowest_missing(0, 10), IsEmpty());
}

kube::Pod ended_at(int64_t seconds, const std::string& phase) {
  kube::Pod pod;
  pod.mutable_status()->set_phase(phase);
  pod.mutable_status()
      ->add_containerstatuses()
      ->mutable_state()
      ->mutable_terminated()
      ->mutable_finishedat()
      ->set_seconds(seconds);
  return pod;
}

TEST(Backoff, DoublesToTenMinutes) {
  EXPECT_EQ(remaining_ns({0, 0}, 0), 0);
  EXPECT_EQ(remaining_ns({1, 100 * kSecondNs}, 100 * kSecondNs), 10 * kSecondNs);
  EXPECT_EQ(remaining_ns({3, 100 * kSecondNs}, 105 * kSecondNs), 35 * kSecondNs);
  EXPECT_EQ(remaining_ns({7, 0}, 0), 600 * kSecondNs);
  EXPECT_EQ(remaining_ns({2'000'000'000, 0}, 0), 600 * kSecondNs);
  EXPECT_EQ(remaining_ns({1, 0}, 11 * kSecondNs), 0);
}

TEST(Backoff, CountsFailuresSinceTheLastSuccess) {
  const kube::Pod early = ended_at(10, "Failed"), late = ended_at(30, "Failed"), success = ended_at(20, "Succeeded");
  BackoffRecord record = advance({}, {}, {&early, &late});
  EXPECT_EQ(record.failures, 2);
  EXPECT_EQ(record.last_failure_ns, 30 * kSecondNs);
  record = advance(record, {}, {});
  EXPECT_EQ(record.failures, 2);
  record = advance(record, {&success}, {&early, &late});
  EXPECT_EQ(record.failures, 1);
  EXPECT_EQ(advance(record, {&success}, {}).failures, 0);
}

TEST(Ended, WhenContainersEndedElseNotReadyElseDeletedElseCreated) {
  kube::Pod pod;
  pod.mutable_metadata()->mutable_creationtimestamp()->set_seconds(1);
  EXPECT_EQ(ended_at_ns(pod), kSecondNs);
  pod.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(40);
  pod.mutable_metadata()->set_deletiongraceperiodseconds(30);
  EXPECT_EQ(ended_at_ns(pod), 10 * kSecondNs);
  auto& ready = *pod.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("False");
  ready.mutable_lasttransitiontime()->set_seconds(12);
  EXPECT_EQ(ended_at_ns(pod), 12 * kSecondNs);
  *pod.mutable_status()->mutable_containerstatuses() = ended_at(13, "Failed").status().containerstatuses();
  EXPECT_EQ(ended_at_ns(pod), 13 * kSecondNs);
}

Job job_with_rule(const std::string& action) {
  Job job;
  job.mutable_spec()->mutable_podfailurepolicy()->add_rules()->set_action(action);
  return job;
}
kube::Pod failed_pod(int32_t exit_code) {
  kube::Pod pod = ended_at(1, "Failed");
  pod.mutable_metadata()->set_name("p");
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_status()->mutable_containerstatuses(0)->set_name("main");
  pod.mutable_status()->mutable_containerstatuses(0)->mutable_state()->mutable_terminated()->set_exitcode(exit_code);
  return pod;
}

TEST(FailurePolicy, ByExitCodes) {
  Job job = job_with_rule("FailJob");
  auto& codes = *job.mutable_spec()->mutable_podfailurepolicy()->mutable_rules(0)->mutable_onexitcodes();
  codes.set_operator_("In");
  codes.add_values(42);
  EXPECT_EQ(match_failure_policy(job, failed_pod(42)).fails_job,
            "Container main for pod default/p failed with exit code 42 matching FailJob rule at index 0");
  EXPECT_FALSE(match_failure_policy(job, failed_pod(1)).fails_job);
  EXPECT_TRUE(match_failure_policy(job, failed_pod(1)).counts);
  codes.set_containername("other");
  EXPECT_FALSE(match_failure_policy(job, failed_pod(42)).fails_job);
  codes.clear_containername();
  codes.set_operator_("NotIn");
  EXPECT_TRUE(match_failure_policy(job, failed_pod(1)).fails_job);
  EXPECT_FALSE(match_failure_policy(job, failed_pod(0)).fails_job) << "0 is no failure";
}

TEST(FailurePolicy, ByConditionsAndTheFirstRuleDecides) {
  Job job = job_with_rule("Ignore");
  auto& pattern = *job.mutable_spec()->mutable_podfailurepolicy()->mutable_rules(0)->add_onpodconditions();
  pattern.set_type("DisruptionTarget");
  pattern.set_status("True");
  auto& second = *job.mutable_spec()->mutable_podfailurepolicy()->add_rules();
  second.set_action("FailJob");
  *second.add_onpodconditions() = pattern;
  kube::Pod pod = failed_pod(1);
  EXPECT_TRUE(match_failure_policy(job, pod).counts);
  auto& condition = *pod.mutable_status()->add_conditions();
  condition.set_type("DisruptionTarget");
  condition.set_status("True");
  EXPECT_FALSE(match_failure_policy(job, pod).counts);
  EXPECT_FALSE(match_failure_policy(job, pod).fails_job);
  job.mutable_spec()->mutable_podfailurepolicy()->mutable_rules(0)->set_action("Count");
  EXPECT_TRUE(match_failure_policy(job, pod).counts);
  job.mutable_spec()->mutable_podfailurepolicy()->mutable_rules(0)->set_action("FailJob");
  EXPECT_EQ(match_failure_policy(job, pod).fails_job,
            "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0");
}

TEST(SuccessPolicy, ByIndexesByCountOrBoth) {
  Job job;
  job.mutable_spec()->set_completions(10);
  auto& rule = *job.mutable_spec()->mutable_successpolicy()->add_rules();
  rule.set_succeededindexes("0-2");
  EXPECT_FALSE(match_success_policy(job, IndexSet({0, 1})));
  EXPECT_EQ(match_success_policy(job, IndexSet({0, 1, 2})), "Matched rules at index 0");
  rule.set_succeededcount(1);
  EXPECT_TRUE(match_success_policy(job, IndexSet({1})));
  EXPECT_FALSE(match_success_policy(job, IndexSet({7})));
  rule.clear_succeededindexes();
  EXPECT_TRUE(match_success_policy(job, IndexSet({7})));
  EXPECT_FALSE(match_success_policy(job, IndexSet()));
}

TEST(Counting, OnlyThoseThatLostTheirFinalizer) {
  JobStatus status;
  status.set_succeeded(2);
  for (const char* uid : {"a", "b"}) status.mutable_uncountedterminatedpods()->add_succeeded(uid);
  for (const char* uid : {"c", "d"}) status.mutable_uncountedterminatedpods()->add_failed(uid);
  count_released(status, {"b", "c"});
  EXPECT_EQ(status.succeeded(), 3);
  EXPECT_EQ(status.failed(), 1);
  EXPECT_THAT(status.uncountedterminatedpods().succeeded(), ElementsAre("b"));
  EXPECT_THAT(status.uncountedterminatedpods().failed(), ElementsAre("c"));
}

TEST(Removal, RepeatedAndSenselessIndexesFirst) {
  Job job;
  job.mutable_spec()->set_completions(2);
  job.mutable_spec()->set_completionmode("Indexed");
  std::vector<kube::Pod> pods(4);
  const char* indexes[] = {"0", "0", "1", "5"};
  for (size_t i = 0; i < pods.size(); ++i) {
    pods[i].mutable_metadata()->set_name("p" + std::to_string(i));
    (*pods[i].mutable_metadata()->mutable_annotations())["batch.kubernetes.io/job-completion-index"] = indexes[i];
  }
  pods[1].mutable_spec()->set_nodename("n");
  const std::vector<const kube::Pod*> active{&pods[0], &pods[1], &pods[2], &pods[3]};
  EXPECT_THAT(choose_for_removal(job, active, 0), ElementsAre(&pods[3], &pods[0]));
  EXPECT_THAT(choose_for_removal(job, active, 3), ElementsAre(&pods[3], &pods[0], &pods[2]));
}

TEST(Conditions, AbsentAndFalseStaysAbsent) {
  JobStatus status;
  EXPECT_FALSE(ensure_condition(status, make_condition(kJobSuspended, false, "r", "m", 1)));
  EXPECT_TRUE(ensure_condition(status, make_condition(kJobSuspended, true, "r", "m", 1)));
  EXPECT_FALSE(ensure_condition(status, make_condition(kJobSuspended, true, "r", "m", 2)));
  EXPECT_EQ(status.conditions(0).lasttransitiontime().seconds(), 1);
  EXPECT_TRUE(ensure_condition(status, make_condition(kJobSuspended, false, "r", "m", 3)));
  EXPECT_EQ(status.conditions_size(), 1);
}

}  // namespace
}  // namespace orlop::workload
