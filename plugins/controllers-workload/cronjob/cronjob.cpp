#include "plugins/controllers-workload/cronjob/cronjob.hpp"

#include "plugins/controllers-workload/job/conditions.hpp"
#include "plugins/controllers-workload/ownership.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kLookAgainMaxNs = 60 * kSecondNs;

bool is_active(const CronJob& cron, const std::string& uid) {
  const auto& active = cron.status().active();
  return std::any_of(active.begin(), active.end(), [&](const auto& reference) { return reference.uid() == uid; });
}

void remove_active(CronJob& cron, const std::string& uid) {
  auto* active = cron.mutable_status()->mutable_active();
  active->erase(
      std::remove_if(active->begin(), active->end(), [&](const auto& reference) { return reference.uid() == uid; }),
      active->end());
}

bool is_too_late(const CronJob& cron, int64_t scheduled_s, int64_t now_ns) {
  if (!cron.spec().has_startingdeadlineseconds()) return false;
  const int64_t late_ns = now_ns - scheduled_s * kSecondNs;
  const int64_t deadline_s = cron.spec().startingdeadlineseconds();
  return late_ns / kSecondNs >= deadline_s && late_ns > deadline_s * kSecondNs;
}

k8s::io::api::core::v1::ObjectReference reference_to(const Stored<Job>& job) {
  const auto& metadata = job.object.metadata();
  k8s::io::api::core::v1::ObjectReference reference;
  reference.set_kind("Job");
  reference.set_apiversion("batch/v1");
  reference.set_namespace_(metadata.namespace_());
  reference.set_name(metadata.name());
  reference.set_uid(metadata.uid());
  reference.set_resourceversion(std::to_string(job.revision));
  return reference;
}

bool is_complete(const Job& job) {
  return has_condition(job, kJobComplete);
}

}  // namespace

CronJobController::CronJobController(Host host, unsigned workers)
    : host_(host), workers_(workers), events_(host, "cronjob-controller"), crons_(host), jobs_(host) {}

void CronJobController::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.record.kind == "cronjobs.batch") {
    queue.add({std::string(change.record.name_space), std::string(change.record.name)});
  } else {
    enqueue_controllers<Job>(change, "CronJob", queue);
  }
}

Result<Outcome> CronJobController::reconcile(const ObjectKey& key) {
  auto stored = crons_.get(key.name_space, key.name);
  if (!stored) {
    if (stored.code() != Code::kNotFound) return stored.status();
    const std::lock_guard lock(mutex_);
    told_.erase(key);
    return Outcome{};
  }
  CronJob& cron = stored->object;
  const std::string before = cron.status().SerializeAsString();
  ORLOP_ASSIGN(auto jobs, jobs_.list(key.name_space, "owner/" + cron.metadata().uid()));
  std::erase_if(jobs, [&](const Stored<Job>& job) {
    const auto* controller = kube::controller_of(job.object.metadata());
    return controller == nullptr || controller->uid() != cron.metadata().uid();
  });
  recall(cron, jobs);
  // The last trace of a job that has run may go only when the status says that it has.
  if (cron.status().SerializeAsString() != before) {
    ORLOP_ASSIGN(*stored, crons_.update_status(*stored));
  }
  const std::string noted = cron.status().SerializeAsString();
  clean_up(cron, jobs);
  ORLOP_TRY(note_jobs(cron, jobs));
  const auto next_ns = start_due(cron);
  if (cron.status().SerializeAsString() != noted) ORLOP_TRY(crons_.update_status(*stored).status());
  if (!next_ns) return next_ns.status();
  return Outcome{std::min(*next_ns, kLookAgainMaxNs)};
}

void CronJobController::recall(CronJob& cron, const Jobs& jobs) {
  auto& status = *cron.mutable_status();
  const int64_t last_s = status.has_lastscheduletime() ? status.lastscheduletime().seconds() : 0;
  for (const Stored<Job>& job : jobs) {
    const auto scheduled_s = scheduled_of(cron, job.object);
    if (!scheduled_s || *scheduled_s <= last_s) continue;
    if (*scheduled_s > status.lastscheduletime().seconds())
      status.mutable_lastscheduletime()->set_seconds(*scheduled_s);
    const auto& metadata = job.object.metadata();
    const bool runs = finished_condition(job.object) == nullptr && !metadata.has_deletiontimestamp();
    if (runs && !is_active(cron, metadata.uid())) *status.add_active() = reference_to(job);
  }
}

void CronJobController::clean_up(CronJob& cron, Jobs& jobs) {
  std::vector<const Job*> complete, failed;
  for (const Stored<Job>& job : jobs) {
    if (finished_condition(job.object) == nullptr) continue;
    (is_complete(job.object) ? complete : failed).push_back(&job.object);
  }
  const auto& spec = cron.spec();
  if (spec.has_successfuljobshistorylimit()) remove_oldest(cron, complete, spec.successfuljobshistorylimit());
  if (spec.has_failedjobshistorylimit()) remove_oldest(cron, failed, spec.failedjobshistorylimit());
}

void CronJobController::remove_oldest(CronJob& cron, std::vector<const Job*> jobs, int32_t kept) {
  const auto surplus = static_cast<int64_t>(jobs.size()) - kept;
  if (surplus <= 0) return;
  std::sort(jobs.begin(), jobs.end(), [](const Job* a, const Job* b) {
    const auto key = [](const Job& job) {
      return std::make_tuple(!job.status().has_starttime(), job.status().starttime().seconds(), job.metadata().name());
    };
    return key(*a) < key(*b);
  });
  for (int64_t i = 0; i < surplus; ++i) {
    const Job& job = *jobs[static_cast<size_t>(i)];
    if (!job.metadata().has_deletiontimestamp()) remove_job(cron, job);
  }
}

Status CronJobController::note_jobs(CronJob& cron, const Jobs& jobs) {
  std::set<std::string> children;
  for (const Stored<Job>& stored : jobs) {
    const Job& job = stored.object;
    const std::string& uid = job.metadata().uid();
    children.insert(uid);
    const JobCondition* finished = finished_condition(job);
    const bool active = is_active(cron, uid);
    if (!active && finished == nullptr) {
      tell_once(cron, EventType::kWarning, "UnexpectedJob", job.metadata().creationtimestamp().seconds(),
                "Saw a job that the controller did not create or forgot: " + job.metadata().name(),
                job.metadata().name());
    } else if (active && finished != nullptr) {
      remove_active(cron, uid);
      events_.about(cron, EventType::kNormal, "SawCompletedJob",
                    "Saw completed job: " + job.metadata().name() + ", status: " + finished->type());
    }
    if (!is_complete(job) || !job.status().has_completiontime()) continue;
    if (!cron.status().has_lastsuccessfultime() ||
        job.status().completiontime().seconds() > cron.status().lastsuccessfultime().seconds()) {
      *cron.mutable_status()->mutable_lastsuccessfultime() = job.status().completiontime();
    }
  }
  const auto active = cron.status().active();
  for (const auto& reference : active) {
    if (children.contains(reference.uid())) continue;
    const auto job = jobs_.get(reference.namespace_(), reference.name());
    if (job) continue;
    if (job.code() != Code::kNotFound) return job.status();
    events_.about(cron, EventType::kNormal, "MissingJob", "Active job went missing: " + reference.name());
    remove_active(cron, reference.uid());
  }
  return Status::ok();
}

Result<int64_t> CronJobController::start_due(CronJob& cron) {
  const auto& spec = cron.spec();
  if (cron.metadata().has_deletiontimestamp()) return 0;
  if (spec.has_timezone()) {
    const auto zone = TimeZone::load(spec.timezone());
    if (!zone) {
      events_.about(cron, EventType::kWarning, "UnknownTimeZone",
                    "invalid timeZone: \"" + spec.timezone() + "\": " + zone.message());
      return 0;
    }
  }
  if (spec.suspend()) return 0;
  if (spec.schedule().find("TZ") != std::string::npos) {
    tell_once(cron, EventType::kWarning, "UnsupportedSchedule", 0,
              "CRON_TZ or TZ used in schedule \"" + spec.schedule() +
                  "\" is not officially supported, see "
                  "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
  }
  const auto schedule = schedule_of(cron);
  if (!schedule) {
    events_.about(cron, EventType::kWarning, "UnparseableSchedule",
                  "unparseable schedule: \"" + spec.schedule() + "\" : " + schedule.message());
    return 0;
  }
  const int64_t now_ns = host_.wall_now_ns();
  const auto recent = most_recent(cron, *schedule, now_ns, true);
  if (!recent) {
    events_.about(cron, EventType::kWarning, "InvalidSchedule",
                  "invalid schedule: " + spec.schedule() + " : " + recent.message());
    return 0;
  }
  if (!recent->time_s) return until_next_ns(cron, *schedule, now_ns);
  const int64_t scheduled_s = *recent->time_s;
  if (recent->missed == Missed::kMany) {
    tell_once(cron, EventType::kWarning, "TooManyMissedTimes", scheduled_s,
              "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
  }
  if (is_too_late(cron, scheduled_s, now_ns)) {
    tell_once(cron, EventType::kWarning, "MissSchedule", scheduled_s,
              "Missed scheduled time to start a job: " + rfc1123(scheduled_s));
    return until_next_ns(cron, *schedule, now_ns);
  }
  const std::string name = job_name_at(cron, scheduled_s);
  const auto& active = cron.status().active();
  const bool is_started =
      std::any_of(active.begin(), active.end(), [&](const auto& reference) { return reference.name() == name; }) ||
      (cron.status().has_lastscheduletime() && cron.status().lastscheduletime().seconds() == scheduled_s);
  if (is_started) return until_next_ns(cron, *schedule, now_ns);
  if (spec.concurrencypolicy() == "Forbid" && !active.empty()) {
    tell_once(cron, EventType::kNormal, "JobAlreadyActive", scheduled_s,
              "Not starting job because prior execution is running and concurrency policy is Forbid");
    return until_next_ns(cron, *schedule, now_ns);
  }
  if (spec.concurrencypolicy() == "Replace") ORLOP_TRY(replace_active(cron));
  ORLOP_ASSIGN(const bool started, create(cron, scheduled_s));
  return started ? until_next_ns(cron, *schedule, now_ns) : 0;
}

Status CronJobController::replace_active(CronJob& cron) {
  const auto active = cron.status().active();
  for (const auto& reference : active) {
    const auto job = jobs_.get(reference.namespace_(), reference.name());
    if (!job) {
      events_.about(cron, EventType::kWarning, "FailedGet", "Get job: " + job.message());
      return job.status();
    }
    if (!remove_job(cron, job->object)) {
      return {Code::kUnavailable, "could not replace job " + reference.namespace_() + "/" + reference.name()};
    }
  }
  return Status::ok();
}

Result<bool> CronJobController::create(CronJob& cron, int64_t scheduled_s) {
  ORLOP_ASSIGN(const Job wanted, job_at(cron, scheduled_s));
  auto made = jobs_.create(wanted);
  if (made.code() == Code::kAlreadyExists) {
    // Made before, by a pass that could not write the status; or somebody else's.
    made = jobs_.get(wanted.metadata().namespace_(), wanted.metadata().name());
    if (!made) return made.status();
    const auto* controller = kube::controller_of(made->object.metadata());
    if (controller == nullptr || controller->uid() != cron.metadata().uid()) return false;
    if (is_active(cron, made->object.metadata().uid())) return false;
  } else if (!made) {
    const auto& causes = made.status().causes();
    const bool namespace_goes = std::any_of(causes.begin(), causes.end(),
                                            [](const Cause& cause) { return cause.reason == "NamespaceTerminating"; });
    if (!namespace_goes) {
      events_.about(cron, EventType::kWarning, "FailedCreate", "Error creating job: " + made.message());
    }
    return made.status();
  } else {
    events_.about(cron, EventType::kNormal, "SuccessfulCreate", "Created job " + made->object.metadata().name());
  }
  auto& status = *cron.mutable_status();
  // A finished one would be taken off the list again, and told of, in the next pass.
  auto& reference = *status.add_active();
  reference = reference_to(*made);
  status.mutable_lastscheduletime()->set_seconds(scheduled_s);
  return true;
}

bool CronJobController::remove_job(CronJob& cron, const Job& job) {
  const auto& metadata = job.metadata();
  v1::DeleteOptions options;
  options.set_propagation_policy("Background");
  const Status removed = jobs_.remove(metadata.namespace_(), metadata.name(), options, metadata.uid());
  if (!removed && removed.code() != Code::kNotFound) {
    events_.about(cron, EventType::kWarning, "FailedDelete", "Deleted job: " + removed.message());
    return false;
  }
  remove_active(cron, metadata.uid());
  events_.about(cron, EventType::kNormal, "SuccessfulDelete", "Deleted job " + metadata.name());
  return true;
}

void CronJobController::tell_once(const CronJob& cron, EventType type, std::string_view reason, int64_t scheduled_s,
                                  std::string_view message, std::string_view subject) {
  {
    const std::lock_guard lock(mutex_);
    auto& told = told_[{cron.metadata().namespace_(), cron.metadata().name()}];
    const auto [entry, is_new] = told.try_emplace(std::string(reason) + "/" + std::string(subject), scheduled_s);
    if (!is_new && entry->second == scheduled_s) return;
    entry->second = scheduled_s;
  }
  events_.about(cron, type, reason, message);
}

}  // namespace orlop::workload
