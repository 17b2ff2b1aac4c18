// What a pod's claims ask of the node that it is placed on: volumes can be had on some nodes alone, and a claim of a
// class with WaitForFirstConsumer gets its volume only once a node has been noted on it.
//
// Follows the Kubernetes scheduler's VolumeBinding and VolumeRestrictions; the reasons are upstream's own words.
#pragma once

#include "orlop/host.hpp"
#include "orlop/objects.hpp"
#include "orlop/storage.hpp"
#include "plugins/sched-default/cluster_state.hpp"

#include <string>
#include <vector>

namespace orlop::sched {

// A claim that gets the node noted.
struct UnplacedClaim {
  Stored<storage::Claim> claim;
  bool by_hand = false;  // nobody makes a volume for it: one of `pool` must do
  std::vector<storage::PersistentVolume> pool;
};

struct VolumeWishes {
  std::string refusal;    // why the pod can go nowhere now; empty: it can
  std::string each_node;  // the same, as a reason that every node has
  bool waits = false;     // a claim's volume is on its way, at the node that was noted
  std::vector<storage::PersistentVolume> bound;
  std::vector<UnplacedClaim> unplaced;
};

// Reads the claims and what they lead to. Blocking, short.
Result<VolumeWishes> read_volume_wishes(const Host& host, const PodInfo& pod, const ClusterState& state);
// Empty when all of the pod's volumes can be had there. Pure.
std::string why_not(const VolumeWishes& wishes, const NodeInfo& node);

}  // namespace orlop::sched
