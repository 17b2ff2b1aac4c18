// The ConfigMaps and Secrets that a pod names, and waiting for them.
#pragma once

#include "plugins/node-agent/pod_pass.hpp"

#include <set>
#include <string>

namespace orlop::agent {

// Of its variables and volumes: "configmaps/NAME", "secrets/NAME", as PodRegistry::wake_waiting() knows them. Pure.
std::set<std::string> config_of(const kube::Pod& pod);

// One of them is missing: the pod is looked at again as soon as one of its own changes.
void wait_for_config(AgentContext& context, Pass& pass);

}  // namespace orlop::agent
