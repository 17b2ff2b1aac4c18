// A ReplicaSet by itself in a storm: users who scale, strays that it takes in, pods whose labels change, accidents,
// faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace orlop::workload {
namespace {

class World final : public testing::SimulatedWorld<ReplicaSet> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.steps = 200, .accidents = seed % 2 == 0}) {
    controller<ReplicaSetController>("replicaset", 1U);
    begin(first());
    users();
    sim_.invariant("no more than replicas", [this] { return check_count(); });
    sim_.invariant("whose a pod is", [this] { return check_owners(); });
    sim_.at_rest("as many as asked for", [this] { return check_at_rest(); });
    sim_.show([this] { return state(); });
  }

 private:
  ReplicaSet first() {
    ReplicaSet out = with_template();
    out.mutable_spec()->set_replicas(static_cast<int32_t>(sim_.below(6)));
    out.mutable_spec()->set_minreadyseconds(sim_.chance(0.3) ? 5 : 0);
    return out;
  }
  static bool is_selected(const kube::Pod& pod) {
    const auto found = pod.metadata().labels().find("app");
    return found != pod.metadata().labels().end() && found->second == "web";
  }
  std::vector<kube::Pod> active(bool owned) {
    auto out = cluster_.active_pods();
    std::erase_if(out, [&](const kube::Pod& pod) { return (kube::controller_of(pod.metadata()) != nullptr) != owned; });
    return out;
  }
  int32_t count(bool owned) { return static_cast<int32_t>(active(owned).size()); }
  std::string state() {
    std::string out = "x" + std::to_string(stored().spec().replicas()) + ":";
    for (const kube::Pod& pod : cluster_.pods()) {
      out += std::string(" ") + (kube::controller_of(pod.metadata()) == nullptr ? "stray" : "") + mark_of(pod);
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what happens

  void edited() override { most_ = std::max(most_, stored().spec().replicas()); }
  void add_stray() {
    kube::Pod pod;
    pod.mutable_metadata()->set_name("stray-" + std::to_string(++strays_));
    pod.mutable_metadata()->set_namespace_("default");
    (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
    pod.mutable_spec()->add_containers()->set_image("stray");
    sim_.note("user: " + pod.metadata().name());
    (void)sim_.kernel().create("pods", pod);
    ++most_;  // until it is seen that there is one too many
  }
  // As one does to look into a pod in peace: the set makes another.
  void set_aside() {
    auto pods = active(true);
    if (pods.empty()) return;
    kube::Pod pod = sim_.pick(pods);
    (*pod.mutable_metadata()->mutable_labels())["app"] = "aside";
    sim_.note("user: sets aside " + pod.metadata().name());
    (void)sim_.kernel().update("pods", pod);
  }
  void users() {
    sim_.actor("scale", 0.6, [this] {
      const auto replicas = static_cast<int32_t>(sim_.below(7));
      edit_spec("scale to " + std::to_string(replicas), [&](auto& spec) { spec.set_replicas(replicas); });
    });
    sim_.actor("stray", 0.15, [this] { add_stray(); });
    sim_.actor("set aside", 0.15, [this] { set_aside(); });
    sim_.before_calm([this] { edit_spec("scale to 3", [](auto& spec) { spec.set_replicas(3); }); });
  }

  // ------------------------------------------------------------------------------------------ what must hold

  // It never makes one too many; one that was taken in or is no longer asked for is there a little longer.
  std::string check_count() {
    const ReplicaSet set = stored();
    const int32_t now = count(true);
    if (now > most_) return std::to_string(now) + " pods where " + std::to_string(most_) + " may be";
    most_ = std::max(now + count(false), set.spec().replicas());
    return "";
  }
  std::string check_owners() {
    const std::string uid = stored().metadata().uid();
    for (const kube::Pod& pod : cluster_.pods()) {
      int controllers = 0;
      for (const auto& owner : pod.metadata().ownerreferences()) {
        controllers += owner.controller() ? 1 : 0;
        if (owner.uid() != uid) return pod.metadata().name() + " belongs to somebody else";
      }
      if (controllers > 1) return pod.metadata().name() + " has two controllers";
    }
    return "";
  }
  std::string check_at_rest() {
    const ReplicaSet set = stored();
    const int32_t wanted = set.spec().replicas();
    for (const kube::Pod& pod : cluster_.active_pods()) {
      const bool owned = kube::controller_of(pod.metadata()) != nullptr;
      if (owned != is_selected(pod)) return pod.metadata().name() + (owned ? " was not released" : " was not taken in");
      if (owned && !kube::is_ready(pod)) return pod.metadata().name() + " is not ready";
    }
    if (count(true) != wanted) return std::to_string(count(true)) + " pods";
    const auto& status = set.status();
    const bool counts =
        status.replicas() == wanted && status.readyreplicas() == wanted && status.availablereplicas() == wanted;
    if (!counts || status.observedgeneration() != set.metadata().generation()) return status.ShortDebugString();
    return "";
  }

  int32_t most_ = 0;
  int strays_ = 0;
};

ORLOP_SIMULATION(ReplicaSetSimulation, World, "replicasets")

}  // namespace
}  // namespace orlop::workload
