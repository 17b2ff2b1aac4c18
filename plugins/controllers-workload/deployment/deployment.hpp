// Rolls a Deployment out through ReplicaSets, one for each version of its pod template.
//
// What it follows: k8s.io/api/apps/v1 Deployment and the upstream controller: RollingUpdate and Recreate, pause,
// progressDeadlineSeconds, minReadySeconds, revisionHistoryLimit, the revision annotations that `kubectl rollout`
// reads, conditions and events with its reasons and words. The arithmetic stands in plan.hpp.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/deployment/plan.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

class DeploymentController final : public Reconciler {
 public:
  DeploymentController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "deployment-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"deployments.apps", "replicasets.apps", "pods"};
  }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredDeployment = Stored<Deployment>;
  using StoredSet = Stored<ReplicaSet>;
  struct Rollout {
    StoredDeployment deployment;
    std::vector<StoredSet> old;     // oldest first
    std::vector<StoredSet> newest;  // none or one
  };
  struct Sizes {
    SetSize newest;  // means nothing when there is none
    std::vector<SetSize> old;
  };

  void observe_deployment(const ChangeView& change, const ObjectKey& key);
  void observe_set(const ChangeView& change, const ObjectKey& key);

  Result<std::vector<StoredSet>> claim_sets(const StoredDeployment& deployment);
  Status release(StoredSet& set, const std::string& owner_uid);
  Result<Rollout> gather(StoredDeployment deployment);
  Status ensure_newest(Rollout& rollout);
  Status create_newest(Rollout& rollout, int64_t revision);
  Status number_newest(Rollout& rollout, int64_t revision);
  [[nodiscard]] Result<SetSize> size_of(const ReplicaSet& set, bool count_pods) const;
  [[nodiscard]] Result<Sizes> sizes_of(const Rollout& rollout) const;
  [[nodiscard]] Result<bool> runs(const ReplicaSet& set) const;
  Status hold_back(const Rollout& rollout, SetSize& size) const;
  Status scale_all(Rollout& rollout);
  Status roll(Rollout& rollout);
  Result<bool> recreate(Rollout& rollout);
  Status apply_sizes(Rollout& rollout, const SetSize* newest, const std::vector<SetSize>& old);
  Status scale_one(const Deployment& deployment, StoredSet& set, int32_t replicas);
  Status clean_history(Rollout& rollout);
  Result<Outcome> update_status(Rollout& rollout);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<Deployment> deployments_;
  Objects<ReplicaSet> sets_;
  Objects<kube::Pod> pods_;
  // The watch thread's own.
  std::map<std::string, std::set<std::string>> names_;               // of all Deployments, by namespace
  std::set<ObjectKey> recreated_;                                    // the Deployments with strategy Recreate
  std::map<std::string, ObjectKey, std::less<>> deployment_of_set_;  // by the ReplicaSet's uid
};

}  // namespace orlop::workload
