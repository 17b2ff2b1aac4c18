// The history of a Deployment (its ReplicaSets), StatefulSet or DaemonSet (their ControllerRevisions).
//
// Threads: one; the functions ask the server.
#pragma once

#include "cli/commands/session.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace orlop::cli {

inline constexpr char kChangeCause[] = "kubernetes.io/change-cause";

struct Revision {
  json::value pod_template;  // as the workload would name it, see plain_template()
  std::string cause;
  json::value patch;  // a strategic merge patch that puts it back; of sets alone
};

// The kinds that `rollout` knows.
bool has_rollouts(const ResourceInfo& kind);

// By number, of the revisions that the object controls.
Result<std::map<int64_t, Revision>> revisions_of(Session& session, const ResourceInfo& kind, const json::value& object);

// Without what says nothing: the hash of a version, an empty creation time, the directive of a patch.
json::value plain_template(json::value pod_template);

}  // namespace orlop::cli
