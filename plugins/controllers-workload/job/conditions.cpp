#include "plugins/controllers-workload/job/conditions.hpp"

namespace orlop::workload {

JobCondition make_condition(std::string_view type, bool is_true, std::string_view reason, std::string_view message,
                            int64_t now_s) {
  JobCondition condition;
  condition.set_type(std::string(type));
  condition.set_status(is_true ? "True" : "False");
  condition.mutable_lastprobetime()->set_seconds(now_s);
  condition.mutable_lasttransitiontime()->set_seconds(now_s);
  condition.set_reason(std::string(reason));
  condition.set_message(std::string(message));
  return condition;
}

const JobCondition* find_condition(const Job& job, std::string_view type) {
  for (const JobCondition& condition : job.status().conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

bool has_condition(const Job& job, std::string_view type) {
  const JobCondition* found = find_condition(job, type);
  return found != nullptr && found->status() == "True";
}

const JobCondition* finished_condition(const Job& job) {
  for (const std::string_view type : {kJobComplete, kJobFailed}) {
    const JobCondition* found = find_condition(job, type);
    if (found != nullptr && found->status() == "True") return found;
  }
  return nullptr;
}

bool ensure_condition(JobStatus& status, const JobCondition& condition) {
  for (JobCondition& present : *status.mutable_conditions()) {
    if (present.type() != condition.type()) continue;
    if (present.status() == condition.status() && present.reason() == condition.reason() &&
        present.message() == condition.message()) {
      return false;
    }
    present = condition;
    return true;
  }
  if (condition.status() == "False") return false;
  *status.add_conditions() = condition;
  return true;
}

}  // namespace orlop::workload
