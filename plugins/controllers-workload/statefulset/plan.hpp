// What is to be done next for a StatefulSet, and how it fares. Pure: no kernel, the clock comes in as a number.
//
// Follows k8s.io/kubernetes pkg/controller/statefulset. OrderedReady: one thing at a time; a pod is made only when all
// before it are available, and removed only when all that are to stay are, the last ordinal first. Parallel: pods are
// made and removed at once; updates come one by one all the same.
#pragma once

#include "plugins/controllers-workload/statefulset/identity.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::workload {

using StatefulSetStatus = k8s::io::api::apps::v1::StatefulSetStatus;

// What a plan is made of; all of it outlives the plan.
struct Members {
  const StatefulSet* set = nullptr;
  std::vector<const kube::Pod*> pods;          // the set's, in any order, terminal and terminating ones too
  std::map<std::string, const Claim*> claims;  // that exist, by name
  std::string current_revision, update_revision;
  int64_t now_s = 0;
};

struct Step {
  enum class Action {
    kCreate,      // the pod of this ordinal, with its claims
    kMakeClaims,  // that the pod misses
    kMend,        // identity, storage, and to whom its claims belong
    kMendClaims,  // to whom the claims of a pod that is to go belong
    kDelete,
  };
  Action action = Action::kCreate;
  int ordinal = 0;
  const kube::Pod* pod = nullptr;  // of Members::pods; none for kCreate
  bool of_update = false;          // kCreate: by the update revision, and not by the current one
  bool operator==(const Step&) const = default;
};

// In the order in which they are to be done; the first that fails ends it.
std::vector<Step> plan_members(const Members& members);

// The set's status: counts, revisions, and that an update is complete when it is.
StatefulSetStatus status_of(const Members& members, int32_t collisions);

// When the plan or status may change by time alone (a pod has been ready long enough), seconds since 1970; 0: never.
int64_t next_look_s(const Members& members);

}  // namespace orlop::workload
