// A container's last words: what it wrote into its termination message file, or the end of its log.
//
// Follows the kubelet: terminationMessagePath, terminationMessagePolicy (File, FallbackToLogsOnError), at most 4096
// bytes from a file, 2048 bytes and 80 lines from a log, 12 KiB for all containers of a pod together.
//
// Threads: any.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

// Makes the empty file for this attempt in `folder` (the pod's own) and tells how it is mounted. kUnavailable: the
// disk.
Result<Mount> make_termination_file(const std::string& folder, const Container& container, uint32_t attempt);

// Adds to the message of each ended container what it left behind. `log_folder`: the pod's.
void add_termination_messages(const kube::Pod& pod, const std::string& log_folder, RuntimePod& runtime);

}  // namespace orlop::agent
