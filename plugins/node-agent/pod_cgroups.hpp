// The cgroup folders of pods, version 1 (each controller its own tree) and 2: the runtime makes them and leaves them
// behind.
#pragma once

#include "orlop/pods.hpp"

#include <string>

namespace orlop::agent {

// Makes the pod's cgroup and sets what all of its containers together may use.
void prepare_pod_cgroup(const kube::Pod& pod);
// Removes the empty cgroups of a pod; what still has processes stays.
void remove_pod_cgroup(const std::string& uid);

}  // namespace orlop::agent
