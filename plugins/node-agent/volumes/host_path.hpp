// hostPath: a file or folder of the machine, looked at before it is mounted.
//
// Threads: any.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"

namespace orlop::agent {

// Makes what the type says to make. kInvalid: it is something else or is not there, in the kubelet's words.
Status check_host_path(const k8s::io::api::core::v1::HostPathVolumeSource& source);

}  // namespace orlop::agent
