// A Job's conditions. Pure.
#pragma once

#include "orlop/kube/batch_v1.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::workload {

using Job = k8s::io::api::batch::v1::Job;
using JobCondition = k8s::io::api::batch::v1::JobCondition;
using JobStatus = k8s::io::api::batch::v1::JobStatus;

inline constexpr std::string_view kJobComplete = "Complete";
inline constexpr std::string_view kJobFailed = "Failed";
inline constexpr std::string_view kJobSuspended = "Suspended";
inline constexpr std::string_view kJobFailureTarget = "FailureTarget";            // it will fail; pods still end
inline constexpr std::string_view kJobSuccessCriteriaMet = "SuccessCriteriaMet";  // it will complete; likewise

JobCondition make_condition(std::string_view type, bool is_true, std::string_view reason, std::string_view message,
                            int64_t now_s);
const JobCondition* find_condition(const Job& job, std::string_view type);
// Present and true.
bool has_condition(const Job& job, std::string_view type);
// The Complete or Failed condition that holds; null while the job is not finished.
const JobCondition* finished_condition(const Job& job);
// Sets the condition; one that would be false and is absent stays absent. True: something changed.
bool ensure_condition(JobStatus& status, const JobCondition& condition);

}  // namespace orlop::workload
