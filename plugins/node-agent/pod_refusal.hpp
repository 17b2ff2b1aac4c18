// Pods that this machine does not take, whatever the scheduler said. Pure.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/admission/admission.hpp"
#include "plugins/node-agent/config.hpp"

namespace orlop::agent {

// Nothing, or the reason: sysctls that are neither safe nor allowed by the settings; AppArmor profiles where the kernel
// has no AppArmor.
Refused refusal_of(const AgentConfig& config, const kube::Pod& pod, bool has_app_armor);

// Whether the running kernel enforces AppArmor.
bool kernel_has_app_armor();

}  // namespace orlop::agent
