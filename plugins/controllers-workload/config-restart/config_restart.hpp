// Rolls workloads out when their configuration has changed, and keeps each revision's: see README.md.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/kube/apps_v1.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/config-restart/references.hpp"
#include "plugins/controllers-workload/config-restart/snapshots.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

// Workload: Deployment, StatefulSet or DaemonSet; all three are compiled in. One worker: what waits is its own.
template <typename Workload>
class ConfigRestartController final : public Reconciler {
 public:
  explicit ConfigRestartController(Host host);

  [[nodiscard]] std::string_view name() const override { return "config-restart-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {std::string(kube::KindOf<Workload>::id), "configmaps", "secrets"};
  }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredWorkload = Stored<Workload>;
  struct Source {
    std::string name_space;
    ConfigName name;
    auto operator<=>(const Source&) const = default;
  };
  // What the template should say, and what of it has changed since it was last seen.
  struct Wanted {
    ConfigSnapshots snapshots;
    std::map<ConfigName, std::string> news;  // and the snapshot that holds it
  };
  struct Waiting {
    std::string text;
    int64_t since_ns = 0;
  };

  void forget_sources(const ObjectKey& key);
  Result<Wanted> look(const Workload& workload) const;
  Result<Outcome> keep(const ObjectKey& key, StoredWorkload workload);
  Result<Outcome> give_up(StoredWorkload workload);
  // How long the change has to wait still; 0: not at all.
  int64_t settle(const ObjectKey& key, const std::string& text);
  Status remove_unused(const StoredWorkload& workload) const;
  [[nodiscard]] Result<std::set<std::string>> named_by_history(const Workload& workload) const;
  static kube::OwnerReference owner_of(const Workload& workload);

  Host host_;
  EventRecorder events_;
  Objects<Workload> workloads_;
  Snapshots<k8s::io::api::core::v1::ConfigMap> config_maps_;
  Snapshots<k8s::io::api::core::v1::Secret> secrets_;
  // The watch thread's own: which workloads use an object, and which objects a workload uses.
  std::map<Source, std::set<ObjectKey>> users_;
  std::map<ObjectKey, std::set<Source>> sources_;
  // The worker's own: changes that may not be the last ones yet.
  std::map<ObjectKey, Waiting> waiting_;
};

}  // namespace orlop::workload
