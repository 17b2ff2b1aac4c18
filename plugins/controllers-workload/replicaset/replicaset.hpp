// Keeps as many pods as a ReplicaSet says.
//
// Pods are found by their owner, not by their labels; a pod without a controller that matches the selector is adopted,
// one that no longer matches is released. What it follows: k8s.io/api/apps/v1 ReplicaSet, and the upstream controller's
// rules for adoption, deletion order, events and status.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/kube/apps_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/replicaset/ranking.hpp"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

using ReplicaSet = k8s::io::api::apps::v1::ReplicaSet;

class ReplicaSetController final : public Reconciler {
 public:
  ReplicaSetController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "replicaset-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"replicasets.apps", "pods"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  // Owned pods, after adoption and release. Terminal ones are left out.
  Result<std::vector<StoredPod>> claim(const Stored<ReplicaSet>& set);
  Status create(const Stored<ReplicaSet>& set, int count);
  Status delete_pods(const Stored<ReplicaSet>& set, std::vector<StoredPod> pods, int count);
  Result<Outcome> update_status(Stored<ReplicaSet> set, const std::vector<StoredPod>& pods, const Status& managed);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<ReplicaSet> sets_;
  Objects<kube::Pod> pods_;
  std::map<std::string, std::set<std::string>> names_;  // of all ReplicaSets, by namespace; watch thread only
};

}  // namespace orlop::workload
