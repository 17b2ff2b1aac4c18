// Keeps a DaemonSet's pods: reads, asks plan.hpp what is next, writes.
//
// What it follows: k8s.io/api/apps/v1 DaemonSet and the upstream controller, with its events and words.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/daemonset/backoff.hpp"
#include "plugins/controllers-workload/daemonset/plan.hpp"
#include "plugins/controllers-workload/owned_pods.hpp"
#include "plugins/controllers-workload/revisions/history.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class DaemonSetController final : public Reconciler {
 public:
  DaemonSetController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "daemonset-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"daemonsets.apps", "controllerrevisions.apps", "nodes", "pods"};
  }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override { names_.clear(); }
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredDaemonSet = Stored<DaemonSet>;
  // A set with all that its plan is made of.
  struct World {
    StoredDaemonSet set;
    std::vector<NodeView> nodes;
    std::vector<StoredPod> pods;
    std::vector<StoredRevision> revisions;
    std::string revision, hash;  // of the present template
    int32_t collisions = 0;
  };

  void enqueue_all(const std::string& name_space, KeyQueue& queue);
  Result<World> gather(StoredDaemonSet set);
  Status settle_revisions(World& world);
  // Pods of revisions that hold the same as the present one become its own; the revisions go.
  Status merge_equal(World& world);
  Status truncate(const World& world);
  [[nodiscard]] Daemons daemons_of(const World& world) const;

  struct Work {
    bool done = false;           // something was written
    int64_t again_after_ns = 0;  // a pod that failed is replaced then
    Status status;
  };
  Work carry_out(const World& world, const DaemonPlan& plan);
  Status create(const World& world, const std::vector<std::string>& nodes);
  Status remove(const World& world, const std::vector<const kube::Pod*>& pods);
  Status write_status(const World& world, const Daemons& daemons);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<DaemonSet> sets_;
  Objects<kube::Pod> pods_;
  Objects<Node> nodes_;
  RevisionHistory history_;
  Backoff failed_pods_;
  std::map<std::string, std::set<std::string>> names_;  // of all DaemonSets, by namespace; watch thread only
};

}  // namespace orlop::workload
