// When a CronJob's next Job is due, and whether one has been missed. Pure.
#pragma once

#include "orlop/kube/batch_v1.hpp"
#include "orlop/result.hpp"
#include "orlop/schedule.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace orlop::workload {

using CronJob = k8s::io::api::batch::v1::CronJob;

enum class Missed { kNone, kFew, kMany };  // many: more than a hundred

struct MostRecent {
  int64_t earliest_ns = 0;        // nothing before it counts: the last scheduled time, or the creation
  std::optional<int64_t> time_s;  // the latest scheduled time that has passed since, in seconds since 1970
  Missed missed = Missed::kNone;
};

// kInvalid: the schedule makes sense to a reader, but never comes. `with_deadline`: what lies further back than
// startingDeadlineSeconds does not count.
Result<MostRecent> most_recent(const CronJob& job, const Schedule& schedule, int64_t now_ns, bool with_deadline);

// Nanoseconds until the controller should look again: the next scheduled time and a little.
int64_t until_next_ns(const CronJob& job, const Schedule& schedule, int64_t now_ns);

// The schedule in the zone that the job asks for; UTC when it asks for none. kInvalid.
Result<Schedule> schedule_of(const CronJob& job);

// "NAME-MINUTES", the same for the same scheduled time: so no Job is made twice.
std::string job_name_at(const CronJob& job, int64_t scheduled_s);

// The Job for a scheduled time. kInvalid: the time zone is unknown.
Result<k8s::io::api::batch::v1::Job> job_at(const CronJob& job, int64_t scheduled_s);

// The scheduled time that a Job of job_at() was made for; nothing: its name or annotation says that it is no such Job.
std::optional<int64_t> scheduled_of(const CronJob& job, const k8s::io::api::batch::v1::Job& made);

// "Tue, 14 Nov 2023 22:13:00 +0000".
std::string rfc1123(int64_t unix_s);

}  // namespace orlop::workload
