// Nodes: their part of the pod network, whether they live, and what becomes of their pods when they do not.
//
// Follows upstream's node lifecycle: a node whose Lease is too old gets condition Ready=Unknown and the taint
// node.kubernetes.io/unreachable (not-ready for one that says so itself), NoSchedule and NoExecute; its pods are marked
// not ready and deleted when their toleration of the taint has run out.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-cluster/nodes/pod_cidrs.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orlop::cluster {

struct NodeSettings {
  std::string pod_cidr = "10.244.0.0/16";
  int node_mask_bits = 24;
  int64_t lost_after_s = 40;
};
Status check(const NodeSettings& settings);

class NodeController final : public Reconciler {
 public:
  using Node = k8s::io::api::core::v1::Node;
  NodeController(Host host, NodeSettings settings);

  [[nodiscard]] std::string_view name() const override { return "node-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"nodes"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Status assign_cidr(Stored<Node>& node);
  // When the node was last heard of, in nanoseconds since 1970; nothing when it never was.
  std::optional<int64_t> last_heard_ns(const std::string& node) const;
  Status mark_lost(Stored<Node>& node, int64_t now_s);
  // Sets or clears the taints that its condition calls for.
  Status taint(Stored<Node>& node, int64_t now_s);
  // Deletes pods whose toleration has run out. Returns after how many seconds the next one does; 0: none.
  Result<int64_t> evict(const Node& node, int64_t now_s);
  Status mark_pods_unready(const Node& node, int64_t now_s);

  Host host_;
  NodeSettings settings_;
  EventRecorder events_;
  Objects<Node> nodes_;
  Objects<kube::Pod> pods_;
  std::mutex mutex_;
  PodCidrs cidrs_;                               // guarded by mutex_
  std::map<std::string, std::string> assigned_;  // by node; guarded by mutex_
};

}  // namespace orlop::cluster
