// fsGroup: a volume's tree belongs to the group, which may read it and, where the volume is not read-only, write it;
// what is made in it later belongs to the group too (k8s.io/kubernetes/pkg/volume SetVolumeOwnership).
//
// Threads: any.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace orlop::agent {

struct GroupOwnership {
  uint32_t group = 0;
  bool read_only = false;
  bool on_root_mismatch = false;  // leave a tree alone whose root is as it should be
};

// The group that the pod asks for; nothing when it asks for none.
std::optional<uint32_t> fs_group_of(const kube::Pod& pod);
// Follows no symlink and leaves their targets alone. kUnavailable: the file system's own words.
Status give_to_group(const std::string& folder, const GroupOwnership& ownership);

// The user that all of the pod's containers run as, when they agree on one: only that user needs to read a token.
std::optional<uint32_t> common_user_of(const kube::Pod& pod);

}  // namespace orlop::agent
