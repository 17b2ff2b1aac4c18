// Jobs and CronJobs: what they become, and the words of each refusal.
#include "orlop/kube/batch_v1.hpp"
#include "plugins/api-kubernetes/kinds/rules_fixture.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace batchv1 = k8s::io::api::batch::v1;
using ::testing::HasSubstr;

class BatchRulesTest : public RulesFixture {
 protected:
  // `spec`: members beside the template.
  std::string job_refusal(const std::string& spec, const std::string& restart = "Never") {
    return create("jobs.batch", R"({"metadata":{"name":"j","namespace":"default","uid":"u-1"},"spec":{)" + spec +
                                    (spec.empty() ? "" : ",") + R"("template":{"spec":{"restartPolicy":")" + restart +
                                    R"(","containers":[{"name":"c","image":"i"}]}}}})")
        .message();
  }
  std::string cron_refusal(const std::string& spec) {
    return create("cronjobs.batch", R"({"metadata":{"name":"c","namespace":"default"},"spec":{)" + spec +
                                        R"(,"jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",)"
                                        R"("containers":[{"name":"c","image":"i"}]}}}}}})")
        .message();
  }
};

TEST_F(BatchRulesTest, AJobSelectsByItsUid) {
  auto admitted = create("jobs.batch",
                         R"({"metadata":{"name":"j","namespace":"default","uid":"u-1"},"spec":{"template":{"spec":{
      "restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
  ASSERT_TRUE(admitted.is_ok()) << admitted.message();
  batchv1::Job job;
  ASSERT_TRUE(job.ParseFromString(admitted->value));
  EXPECT_EQ(job.spec().selector().matchlabels().at("batch.kubernetes.io/controller-uid"), "u-1");
  EXPECT_EQ(job.spec().template_().metadata().labels().at("job-name"), "j");
  EXPECT_FALSE(job.spec().has_podfailurepolicy());
  EXPECT_THAT(job_refusal(R"("selector":{"matchLabels":{"app":"x"}})"), HasSubstr("`selector` not auto-generated"));
}

TEST_F(BatchRulesTest, AJobMayBeChangedThoughItsOwnUidIsAnother) {
  const auto admitted = create("jobs.batch",
                               R"({"metadata":{"name":"j","namespace":"default"},"spec":{"template":{"spec":{
      "restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
  ASSERT_TRUE(admitted.is_ok()) << admitted.message();
  batchv1::Job job;
  ASSERT_TRUE(job.ParseFromString(admitted->value));
  job.mutable_metadata()->set_uid("the-gate-s");
  AdmitRequest change;
  change.kind = kube::find_storage("jobs.batch");
  change.name_space = "default";
  change.operation = Operation::kUpdate;
  change.current = job.SerializeAsString();
  job.mutable_spec()->set_suspend(true);
  change.value = job.SerializeAsString();
  EXPECT_EQ(rules_->admit(change).message(), "");
  job.mutable_spec()->set_completions(3);
  change.value = job.SerializeAsString();
  EXPECT_THAT(rules_->admit(change).message(), HasSubstr("spec.completions: Invalid value: 3: field is immutable"));
}

TEST_F(BatchRulesTest, IndexedJobs) {
  EXPECT_THAT(job_refusal(R"("completionMode":"Indexed")"), ::testing::Not(HasSubstr("completions: Required")));
  EXPECT_THAT(job_refusal(R"("completionMode":"Indexed","parallelism":2)"),
              HasSubstr("spec.completions: Required value: when completion mode is Indexed"));
  EXPECT_THAT(job_refusal(R"("completionMode":"Indexed","completions":3,"maxFailedIndexes":4)"),
              HasSubstr("spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"));
  EXPECT_THAT(job_refusal(R"("completions":3,"backoffLimitPerIndex":4)"),
              HasSubstr("spec.backoffLimitPerIndex: Invalid value: 4: requires indexed completion mode"));
}

TEST_F(BatchRulesTest, FailurePolicies) {
  EXPECT_EQ(job_refusal(R"("podFailurePolicy":{"rules":[{"action":"Ignore","onPodConditions":[
      {"type":"DisruptionTarget"}]}]})"),
            "");
  EXPECT_THAT(job_refusal(R"("podFailurePolicy":{"rules":[{"action":"Stop","onExitCodes":{"operator":"In",
      "values":[3,1,0]}}]})"),
              ::testing::AllOf(HasSubstr(R"(spec.podFailurePolicy.rules[0].action: Unsupported value: "Stop": )"
                                         R"(supported values: "Count", "FailIndex", "FailJob", "Ignore")"),
                               HasSubstr("values[2]: Invalid value: 0: must not be 0 for the In operator"),
                               HasSubstr("values: Invalid value: []int32{3, 1, 0}: must be ordered")));
  EXPECT_THAT(job_refusal(R"("podFailurePolicy":{"rules":[{"action":"FailIndex"}]})"),
              ::testing::AllOf(HasSubstr("requires the backoffLimitPerIndex to be set"),
                               HasSubstr("specifying one of OnExitCodes and OnPodConditions is required")));
  EXPECT_THAT(job_refusal(R"("podFailurePolicy":{"rules":[]})", "OnFailure"),
              HasSubstr("only \"Never\" is supported when podFailurePolicy is specified"));
  EXPECT_THAT(job_refusal(R"("podReplacementPolicy":"Soon")"),
              HasSubstr(R"(Unsupported value: "Soon": supported values: "Failed", "TerminatingOrFailed")"));
}

TEST_F(BatchRulesTest, SuccessPolicies) {
  const std::string indexed = R"("completionMode":"Indexed","completions":5,)";
  EXPECT_EQ(job_refusal(indexed + R"("successPolicy":{"rules":[{"succeededIndexes":"0-2,4","succeededCount":1}]})"),
            "");
  EXPECT_THAT(job_refusal(R"("successPolicy":{"rules":[{"succeededCount":1}]})"),
              HasSubstr("requires indexed completion mode"));
  EXPECT_THAT(job_refusal(indexed + R"("successPolicy":{"rules":[{"succeededIndexes":"3-7"}]})"),
              HasSubstr("error parsing succeededIndexes: too large index: \"7\""));
  EXPECT_THAT(job_refusal(indexed + R"("successPolicy":{"rules":[{"succeededIndexes":"2,1"}]})"),
              HasSubstr("non-increasing order, previous: 2, current: 1"));
  EXPECT_THAT(job_refusal(indexed + R"("successPolicy":{"rules":[{}]})"),
              HasSubstr("at least one of succeededCount or succeededIndexes must be specified"));
}

TEST_F(BatchRulesTest, Schedules) {
  EXPECT_EQ(cron_refusal(R"("schedule":"*/5 0-12 * jan-mar ?","timeZone":"Europe/Berlin")"), "");
  EXPECT_EQ(cron_refusal(R"("schedule":"@hourly","timeZone":"Etc/GMT+5")"), "");
  EXPECT_EQ(cron_refusal(R"("schedule":"")"), "CronJob.batch \"c\" is invalid: spec.schedule: Required value");
  EXPECT_EQ(cron_refusal(R"("schedule":"61 * * * *")"),
            "CronJob.batch \"c\" is invalid: spec.schedule: Invalid value: \"61 * * * *\": "
            "end of range (61) above maximum (59): 61");
  EXPECT_THAT(cron_refusal(R"("schedule":"CRON_TZ=UTC * * * * *")"),
              HasSubstr("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  EXPECT_THAT(cron_refusal(R"("schedule":"* * * * *","timeZone":"Mars/Olympus")"),
              HasSubstr("spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus"));
  EXPECT_THAT(cron_refusal(R"("schedule":"* * * * *","timeZone":"../etc")"), HasSubstr("unknown time zone ../etc"));
  EXPECT_THAT(cron_refusal(R"("schedule":"* * * * *","timeZone":"")"),
              HasSubstr("timeZone must be nil or non-empty string"));
  EXPECT_THAT(cron_refusal(R"("schedule":"* * * * *","timeZone":"Local")"),
              HasSubstr("timeZone must be an explicit time zone"));
}

}  // namespace
}  // namespace orlop::apikube
