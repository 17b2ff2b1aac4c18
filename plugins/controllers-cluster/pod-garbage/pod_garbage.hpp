// Removes pods that nobody else will (upstream's pkg/controller/podgc).
//
// Keys are pods; the key without a name stands for the ended pods of the whole cluster.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::cluster {

class PodGarbageCollector final : public Reconciler {
 public:
  // ended_kept: so many ended pods stay; 0: all.
  PodGarbageCollector(Host host, int64_t ended_kept);

  [[nodiscard]] std::string_view name() const override { return "pod-garbage-collector"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"nodes", "pods"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  void observe_node(const ChangeView& change, KeyQueue& queue);
  void observe_pod(const ChangeView& change, KeyQueue& queue);
  void forget(const ObjectKey& pod);
  Result<Outcome> reconcile_ended();
  // Since when the node is missed, by the monotonic clock.
  int64_t missed_since_ns(const std::string& node);
  // As failed, and without grace.
  Status remove(Stored<kube::Pod> pod, bool node_is_gone);

  Host host_;
  int64_t ended_kept_;
  Objects<k8s::io::api::core::v1::Node> nodes_;
  Objects<kube::Pod> pods_;
  // On the watch thread only.
  std::set<std::string> known_nodes_;
  std::map<std::string, std::set<ObjectKey>> on_node_;
  std::map<ObjectKey, std::string> node_of_;
  std::set<ObjectKey> ended_;
  std::mutex mutex_;
  std::map<std::string, int64_t> missed_;  // nodes that pods name and that are not there; guarded by mutex_
};

}  // namespace orlop::cluster
