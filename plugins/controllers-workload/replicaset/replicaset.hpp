// Keeps as many pods as a ReplicaSet says, or a ReplicationController, which differs by its selector alone.
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
using ReplicationController = k8s::io::api::core::v1::ReplicationController;

// Set: ReplicaSet or ReplicationController; both are compiled in.
template <typename Set>
class ReplicaController final : public Reconciler {
 public:
  ReplicaController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override;
  [[nodiscard]] std::vector<std::string> kinds() const override { return {std::string(kube::KindOf<Set>::id), "pods"}; }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  // Owned pods, after adoption and release. Terminal ones are left out.
  Result<std::vector<StoredPod>> claim(const Stored<Set>& set);
  Status create(const Stored<Set>& set, int count);
  [[nodiscard]] Result<std::map<std::string, int>> related_on_node(const Set& set) const;
  Status remove(const Stored<Set>& set, std::vector<StoredPod> pods, int count);
  Result<Outcome> update_status(Stored<Set> set, const std::vector<StoredPod>& pods, const Status& managed);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<Set> sets_;
  Objects<kube::Pod> pods_;
  std::map<std::string, std::set<std::string>> names_;  // of all sets, by namespace; watch thread only
};

using ReplicaSetController = ReplicaController<ReplicaSet>;

}  // namespace orlop::workload
