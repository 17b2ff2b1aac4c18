// Makes a Job of a CronJob's template whenever its schedule says so.
//
// Follows k8s.io/api/batch/v1 CronJob and the upstream controller (v2): names, events, messages, what becomes of
// moments that were missed. Times are the wall clock's, which is looked at once a minute at least, so that one that was
// set is noticed.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/cronjob/due.hpp"

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class CronJobController final : public Reconciler {
 public:
  CronJobController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "cronjob-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"cronjobs.batch", "jobs.batch"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using Job = k8s::io::api::batch::v1::Job;
  using Jobs = std::vector<Stored<Job>>;

  // What an earlier pass made and could not note: it counts as started, and as active while it runs.
  static void recall(CronJob& cron, const Jobs& jobs);
  // Removes the oldest finished jobs beyond the limits of its history.
  void clean_up(CronJob& cron, Jobs& jobs);
  void remove_oldest(CronJob& cron, std::vector<const Job*> jobs, int32_t kept);
  // Brings status.active and lastSuccessfulTime to what the jobs are.
  Status note_jobs(CronJob& cron, const Jobs& jobs);
  // Starts the job that is due, if any. Nanoseconds until the next look; 0: none.
  Result<int64_t> start_due(CronJob& cron);
  Status replace_active(CronJob& cron);
  // True: the job is there now, and the status says so.
  Result<bool> create(CronJob& cron, int64_t scheduled_s);
  bool remove_job(CronJob& cron, const Job& job);
  // Once for each scheduled time (and subject), however often it is looked at.
  void tell_once(const CronJob& cron, EventType type, std::string_view reason, int64_t scheduled_s,
                 std::string_view message, std::string_view subject = {});

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<CronJob> crons_;
  Objects<Job> jobs_;
  std::mutex mutex_;
  // By key, reason and subject: the scheduled time that was told of. Guarded by mutex_.
  std::map<ObjectKey, std::map<std::string, int64_t, std::less<>>> told_;
};

}  // namespace orlop::workload
