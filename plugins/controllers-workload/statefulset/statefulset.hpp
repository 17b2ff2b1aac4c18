// Keeps a StatefulSet's pods and claims: reads, asks plan.hpp what is next, writes.
//
// What it follows: k8s.io/api/apps/v1 StatefulSet and the upstream controller, with its events and words.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/revisions/history.hpp"
#include "plugins/controllers-workload/statefulset/plan.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class StatefulSetController final : public Reconciler {
 public:
  StatefulSetController(Host host, unsigned workers);

  [[nodiscard]] std::string_view name() const override { return "statefulset-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"statefulsets.apps", "pods", "persistentvolumeclaims"};
  }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return workers_; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override { names_.clear(); }
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredSet = Stored<StatefulSet>;
  using Claims = std::map<std::string, Stored<Claim>>;
  // A set with all that its plan is made of.
  struct World {
    StoredSet set;
    std::vector<StoredPod> pods;
    Claims claims;
    std::vector<StoredRevision> revisions;
    PodTemplateSpec current_template;
    std::string current_revision, update_revision;
    int32_t collisions = 0;
  };

  Result<World> gather(StoredSet set);
  Status settle_revisions(World& world);
  Result<Claims> read_claims(const StatefulSet& set, const std::vector<StoredPod>& pods);
  [[nodiscard]] Members members_of(const World& world) const;

  Status carry_out(World& world, const Step& step);
  Status create(World& world, const Step& step);
  Status make_claims(World& world, const Step& step, const kube::Pod& pod);
  Status mend(World& world, const Step& step);
  Status mend_claims(World& world, const Step& step);
  Status remove(World& world, const Step& step);
  // "create Pod web-0 in StatefulSet web successful", or why it was not.
  void tell(const StatefulSet& set, std::string_view verb, const std::string& pod_name, const Status& status);
  Result<Outcome> finish(World& world, const Status& carried_out);

  Host host_;
  unsigned workers_;
  EventRecorder events_;
  Objects<StatefulSet> sets_;
  Objects<kube::Pod> pods_;
  Objects<Claim> claims_;
  RevisionHistory history_;
  std::map<std::string, std::set<std::string>> names_;  // of all StatefulSets, by namespace; watch thread only
};

}  // namespace orlop::workload
