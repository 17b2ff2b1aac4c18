// Runs pods until as many as a Job asks for have succeeded.
//
// Follows k8s.io/api/batch/v1 Job and the upstream controller's algorithm, reasons, messages and events. Each pod holds
// the finalizer batch.kubernetes.io/job-tracking until it has been counted: see counting.hpp.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/job/plan.hpp"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class JobController final : public Reconciler {
 public:
  JobController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "job-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"jobs.batch", "pods"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override { unfinished_.clear(); }
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  struct KnownBackoff {
    std::string job_uid;
    BackoffRecord record;
  };
  struct Removed {
    int32_t pods = 0;
    int32_t ready = 0;
    Status status;  // the first failure
  };

  BackoffRecord backoff_of(const ObjectKey& key, const std::string& job_uid) const;
  void keep_backoff(const ObjectKey& key, const std::string& job_uid, const BackoffRecord& record);
  void forget_backoff(const ObjectKey& key);

  // Makes and removes pods as the view asks and writes their numbers into its status.
  Status change(JobView& view, int64_t now_ns);
  // uncounted: the pods lose their finalizer first, so that their end is no failure.
  Removed remove(const Job& job, const std::vector<const kube::Pod*>& pods, bool uncounted);
  Status remove_one(const Job& job, const kube::Pod& pod, bool uncounted);
  Status release_active(const kube::Pod& pod);
  Status create(const JobView& view, const PodChanges& changes, int32_t& created);
  void tell_suspension(const JobView& view, Suspension suspension);
  // Counts what has ended, and finishes the job.
  Status track(const ObjectKey& key, Stored<Job>& stored, JobView& view, int64_t now_ns);
  // Writes the view's status. False: it is what is stored.
  Result<bool> flush(Stored<Job>& stored, const JobView& view);
  void tell_finished(const Job& job, const JobCondition& outcome);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<Job> jobs_;
  Objects<kube::Pod> pods_;
  std::map<std::string, std::set<std::string>> unfinished_;  // jobs that may adopt, by namespace; watch thread only
  mutable std::mutex mutex_;
  std::map<ObjectKey, KnownBackoff> backoff_;  // guarded by mutex_
};

}  // namespace orlop::workload
