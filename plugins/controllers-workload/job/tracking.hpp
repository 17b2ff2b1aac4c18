// Takes the tracking finalizer off pods.
#pragma once

#include "orlop/objects.hpp"
#include "plugins/controllers-workload/job/job_pods.hpp"

#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

struct Released {
  std::set<std::string> uids;  // those that have it no more, or are gone
  Status status;               // the first failure
};

// A hundred to a transaction; where one of a hundred stands in the way, one by one. Blocks. Threads: any.
Released release_pods(const Objects<kube::Pod>& pods, const std::vector<const kube::Pod*>& which);

}  // namespace orlop::workload
