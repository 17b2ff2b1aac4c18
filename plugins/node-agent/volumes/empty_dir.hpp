// emptyDir: a folder on the disk, a tmpfs (medium Memory), or huge pages (medium HugePages, HugePages-2Mi); and the
// tmpfs that secrets are kept in.
//
// Threads: any, one at a time for one folder.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"
#include "plugins/node-agent/volumes/mounter.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

using EmptyDirSource = k8s::io::api::core::v1::EmptyDirVolumeSource;

// How many bytes a tmpfs of the pod may hold: its size limit, no more than the memory limit of the pod (where every
// container has one), no more than the machine's memory.
int64_t memory_volume_bytes(const kube::Pod& pod, const EmptyDirSource& source, int64_t machine_memory_bytes);

// Makes the folder, or leaves one that is there as it is. kInvalid: a medium that there is not, or a page size that the
// pod does not say. kUnavailable: the kernel's own words.
Status make_empty_dir(Mounter& mounter, const kube::Pod& pod, const EmptyDirSource& source, const std::string& folder,
                      int64_t machine_memory_bytes);

}  // namespace orlop::agent
