// A Deployment whose configuration changes in a storm: which snapshots its pods use, and that they are there.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/config-restart/config_restart.hpp"
#include "plugins/controllers-workload/deployment/deployment.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using ConfigMap = k8s::io::api::core::v1::ConfigMap;

constexpr char kConfigMaps[] = "configmaps";

class World final : public testing::SimulatedWorld<Deployment> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.steps = 120}) {
    cluster_.owner_kinds = {"replicasets.apps"};
    controller<DeploymentController>("deployment", 1U);
    controller<ReplicaSetController>("replicaset", 1U);
    controller<ConfigRestartController<Deployment>>("config");
    if (sim_.chance(0.8)) set_config("0");
    begin(first());
    users();
    sim_.invariant("what pods use is there", [this] { return check_snapshots(); });
    sim_.at_rest("pods see one configuration, the last one", [this] { return check_values(); });
    sim_.at_rest("no snapshots but those of the history", [this] { return check_count(); });
  }

 private:
  Deployment first() {
    Deployment out = with_template();
    (*out.mutable_metadata()->mutable_annotations())[kRestartOnConfigChange] = "true";
    auto& spec = *out.mutable_spec();
    spec.set_replicas(2);
    spec.set_progressdeadlineseconds(60);
    spec.set_revisionhistorylimit(2);
    auto& container = *spec.mutable_template_()->mutable_spec()->mutable_containers(0);
    container.add_envfrom()->mutable_configmapref()->mutable_localobjectreference()->set_name("app");
    spec.mutable_strategy()->set_type("RollingUpdate");
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxsurge()->set_intval(1);
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxunavailable()->set_intval(0);
    return out;
  }

  std::optional<std::string> value_of(const std::string& name) {
    const auto map = sim_.kernel().get<ConfigMap>(kConfigMaps, "default", name);
    if (!map) return std::nullopt;
    return map->data().at("key");
  }
  static std::string config_of(const kube::Pod& pod) {
    return pod.spec().containers(0).envfrom(0).configmapref().localobjectreference().name();
  }

  void set_config(const std::string& value) {
    ConfigMap map;
    map.mutable_metadata()->set_name("app");
    map.mutable_metadata()->set_namespace_("default");
    (*map.mutable_data())["key"] = value;
    sim_.note("user: config " + value);
    if (!sim_.kernel().update(kConfigMaps, map)) (void)sim_.kernel().create(kConfigMaps, map);
  }
  // As kubectl: the set's template, and its annotations in place of the Deployment's.
  std::string undo() {
    const auto history = all<ReplicaSet>();
    if (history.empty()) return "";
    const ReplicaSet& to = sim_.pick(history);
    edit("undo to " + to.metadata().name(), [&](Deployment& object) {
      *object.mutable_spec()->mutable_template_() = to.spec().template_();
      object.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_labels()->erase(kHashLabel);
    });
    const ConfigSnapshots snapshots = snapshots_of(to.spec().template_());
    return snapshots.empty() ? "" : snapshots.begin()->second;
  }
  void users() {
    sim_.actor("config", 0.8, [this] { set_config(std::to_string(sim_.below(4))); });
    sim_.actor("config away", 0.15, [this] { (void)sim_.kernel().remove(kConfigMaps, "default", "app"); });
    sim_.actor("undo", 0.3, [this] { undo(); });
    sim_.actor("scale", 0.3, [this] {
      const auto replicas = static_cast<int32_t>(1 + sim_.below(4));
      edit("scale", [&](Deployment& object) { object.mutable_spec()->set_replicas(replicas); });
    });
    sim_.before_calm([this] {
      if (sim_.chance(0.6)) {
        set_config("last");
        allowed_ = {"last"};
        return;
      }
      const std::string snapshot = undo();
      // A change that had not been seen yet comes after the undo all the same.
      for (const std::string& name : {snapshot, std::string("app")}) {
        const auto value = value_of(name);
        if (value) allowed_.insert(*value);
      }
    });
  }

  std::string check_snapshots() {
    for (const kube::Pod& pod : cluster_.active_pods()) {
      const std::string name = config_of(pod);
      if (name != "app" && !value_of(name)) return pod.metadata().name() + " uses " + name + ", which is gone";
    }
    return "";
  }
  std::string check_values() {
    std::set<std::string> seen;
    for (const kube::Pod& pod : cluster_.active_pods()) seen.insert(config_of(pod));
    if (seen.size() != 1) return std::to_string(seen.size()) + " configurations";
    const auto value = value_of(*seen.begin());
    if (allowed_.empty()) return "";
    if (!value || !allowed_.contains(*value)) return "pods see " + value.value_or("nothing") + " by " + *seen.begin();
    return "";
  }
  std::string check_count() {
    std::set<std::string> named;
    for (const ReplicaSet& set : all<ReplicaSet>()) {
      for (const auto& [object, snapshot] : snapshots_of(set.spec().template_())) named.insert(snapshot);
    }
    const auto kept = sim_.kernel().list<ConfigMap>(kConfigMaps, "default", "label/orlop.dev/config-snapshot=true");
    // One more may be left: the one that was seen last.
    return kept.size() <= named.size() + 1 ? "" : std::to_string(kept.size()) + " snapshots";
  }

  std::set<std::string> allowed_;
};

ORLOP_SIMULATION(ConfigRestartSimulation, World, "changed configuration")

}  // namespace
}  // namespace orlop::workload
