// A PodDisruptionBudget in a storm of evictions: pods that come back late, budgets that change, faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/disruption/disruption.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace orlop::workload {
namespace {

constexpr char kBudgets[] = "poddisruptionbudgets.policy";

class World final : public testing::SimulatedWorld<ReplicaSet> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.steps = 250}) {
    controller<ReplicaSetController>("replicaset", 1U);
    controller<DisruptionController>("disruption");
    ReplicaSet set = with_template();
    set.mutable_spec()->set_replicas(static_cast<int32_t>(1 + sim_.below(5)));
    begin(set);
    (void)sim_.kernel().create(kBudgets, first());
    sim_.actor("evict", 3, [this] { evict(); });
    sim_.actor("budget", 0.3, [this] { change_budget(); });
    sim_.invariant("no eviction below the budget", [this] { return wrong_; });
    sim_.at_rest("status", [this] { return check_at_rest(); });
  }

 private:
  Budget first() {
    Budget out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    (*out.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
    set_least(out);
    return out;
  }
  void set_least(Budget& budget) {
    budget.mutable_spec()->mutable_minavailable()->set_intval(static_cast<int32_t>(sim_.below(5)));
  }
  Budget budget() { return *sim_.kernel().get<Budget>(kBudgets, "default", "web"); }
  int32_t healthy() {
    const auto pods = cluster_.active_pods();
    return static_cast<int32_t>(
        std::count_if(pods.begin(), pods.end(), [](const auto& pod) { return kube::is_ready(pod); }));
  }

  // ------------------------------------------------------------------------------------------ what happens

  void change_budget() {
    Budget object = budget();
    set_least(object);
    sim_.note("user: at least " + std::to_string(object.spec().minavailable().intval()));
    (void)sim_.kernel().update(kBudgets, object);
  }
  // As the Eviction API: one disruption is taken from the status in the same transaction.
  void evict() {
    auto pods = cluster_.active_pods();
    std::erase_if(pods, [](const kube::Pod& pod) { return !kube::is_ready(pod); });
    if (pods.empty()) return;
    const kube::Pod& pod = sim_.pick(pods);
    Budget object = budget();
    auto& status = *object.mutable_status();
    if (status.observedgeneration() < object.metadata().generation() || status.disruptionsallowed() <= 0) return;
    status.set_disruptionsallowed(status.disruptionsallowed() - 1);
    (*status.mutable_disruptedpods())[pod.metadata().name()].set_seconds(sim_.now_s());
    v1::CommitRequest request;
    auto& update = *request.add_writes();
    update = make_write<Budget>(v1::UPDATE, "default", "web");
    update.set_subresource("status");
    update.set_value(serialize(object));
    auto& removal = *request.add_writes();
    removal = make_write<kube::Pod>(v1::DELETE, "default", pod.metadata().name());
    removal.set_if_uid(pod.metadata().uid());
    sim_.note("evicted: " + pod.metadata().name());
    if (!sim_.kernel().commit(request)) return;
    const int32_t least = object.spec().minavailable().intval();
    if (healthy() < least) {
      wrong_ = std::to_string(healthy()) + " are left of at least " + std::to_string(least);
    }
  }

  // ------------------------------------------------------------------------------------------ what must hold

  std::string check_at_rest() {
    const Budget object = budget();
    const auto& status = object.status();
    const int32_t wanted = stored().spec().replicas();
    const int32_t least = object.spec().minavailable().intval();
    const bool counts = status.currenthealthy() == wanted && status.expectedpods() == wanted &&
                        status.desiredhealthy() == least &&
                        status.disruptionsallowed() == std::max(0, wanted - least) && status.disruptedpods().empty();
    if (!counts || status.observedgeneration() != object.metadata().generation()) return status.ShortDebugString();
    return "";
  }

  std::string wrong_;
};

ORLOP_SIMULATION(DisruptionSimulation, World, "disruption budgets")

}  // namespace
}  // namespace orlop::workload
