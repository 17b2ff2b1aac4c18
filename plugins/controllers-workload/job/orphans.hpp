// Takes the tracking finalizer off pods whose job will not do it: it is gone, finished, or no longer theirs.
//
// Keys are pods. Which pods to look at is kept in memory: those with the finalizer, by the uid of their job.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/job/job_pods.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class JobOrphanController final : public Reconciler {
 public:
  explicit JobOrphanController(Host host);

  [[nodiscard]] std::string_view name() const override { return "job-orphan-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"jobs.batch", "pods"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  void observe_job(const ChangeView& change, KeyQueue& queue);
  void observe_pod(const ChangeView& change, KeyQueue& queue);
  // Whether the pod's job still counts it.
  Result<bool> is_looked_after(const kube::Pod& pod) const;

  Objects<Job> jobs_;
  Objects<kube::Pod> pods_;
  // Both on the watch thread only.
  std::set<std::string> unfinished_;                    // uids of jobs
  std::map<std::string, std::set<ObjectKey>> tracked_;  // pods with the finalizer, by their job's uid
};

}  // namespace orlop::workload
