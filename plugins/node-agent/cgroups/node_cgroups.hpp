// The cgroups of this node's pods: one for all, one for each class below it, one for each pod below that, as the
// kubelet lays them out (kubepods, burstable, besteffort, pod<uid>), with what each may use.
//
// The runtime makes the containers' own and leaves the pods' behind, so they are made and removed here.
//
// Threads: any.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/cgroups/cgroup_tree.hpp"
#include "plugins/node-agent/cgroups/qos.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

class NodeCgroups {
 public:
  // pids_max: for each pod; 0 for no limit.
  NodeCgroups(CgroupTree tree, int64_t pids_max) : tree_(std::move(tree)), pids_max_(pids_max) {}

  // The levels above the pods. `all`: what all pods together may use. kUnavailable: a cgroup cannot be made.
  Status prepare_node(const CgroupLimits& all);
  // kUnavailable: the pod's cgroup cannot be made, or refuses a limit that the pod was promised.
  Status prepare_pod(const kube::Pod& pod);
  // Removes a pod's cgroups; processes that were left in them are killed. kConflict: some would not go; to be tried
  // again.
  Status remove_pod(const std::string& uid);
  // Removes the cgroups of pods that are not among these, unless something runs in them. Returns the uids.
  std::vector<std::string> sweep(const std::set<std::string>& uids);

  [[nodiscard]] const CgroupTree& tree() const { return tree_; }

 private:
  void weigh_burstable();  // under mutex_

  CgroupTree tree_;
  int64_t pids_max_;
  std::mutex mutex_;
  std::map<std::string, int64_t> burstable_milli_;  // requests by uid; guarded by mutex_
};

}  // namespace orlop::agent
