// Which pods of a DaemonSet are to be made and removed, and how it fares. Pure: the clock comes in as a number.
//
// Follows k8s.io/kubernetes pkg/controller/daemon: one pod to a node, two while an update surges; with maxUnavailable
// old pods go first, with maxSurge new ones come first.
#pragma once

#include "plugins/controllers-workload/daemonset/eligibility.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

using DaemonSetStatus = k8s::io::api::apps::v1::DaemonSetStatus;

// What a plan is made of; all of it outlives the plan.
struct Daemons {
  Daemons(const DaemonSet& daemon_set, const std::vector<NodeView>& all_nodes, std::vector<const kube::Pod*> pods,
          std::string revision_hash, int64_t now);

  const DaemonSet& set;
  std::string hash;  // of the present template's revision
  int64_t now_s = 0;
  std::map<std::string, Fit> nodes;  // that exist
  std::map<std::string, std::vector<const kube::Pod*>>
      pods;  // by node, without those that ended and are on their way out
};

struct EndedDaemon {
  const kube::Pod* pod = nullptr;
  std::string node;
};

struct DaemonPlan {
  std::vector<std::string> create_on;
  std::vector<const kube::Pod*> remove;
  // To be removed as well; the failed ones not too often.
  std::vector<EndedDaemon> failed, succeeded;
  [[nodiscard]] bool empty() const {
    return create_on.empty() && remove.empty() && failed.empty() && succeeded.empty();
  }
};

// One pod on each node that should have one, none where none may stay.
DaemonPlan plan_placement(const Daemons& daemons);
// One step of a rolling update; for when plan_placement() has nothing to do.
DaemonPlan plan_update(const Daemons& daemons);

// The set's status, all but collisionCount.
DaemonSetStatus status_of(const Daemons& daemons);
// When plan or status may change by time alone, seconds since 1970; 0: never.
int64_t next_look_s(const Daemons& daemons);

}  // namespace orlop::workload
