// The mount namespace that containerd and its shims live in.
//
// It is a slave of the machine's: mounts of the machine reach it, where the machine shares them, and mounts made by
// containerd never reach the machine, so that they vanish with the namespace. It is pinned by a bind mount of its file:
// a containerd that was killed is started in the same namespace again and finds its containers' mounts. See
// mount_namespaces(7).
#pragma once

#include "orlop/result.hpp"
#include "plugins/runtime-containerd/process.hpp"
#include "plugins/runtime-containerd/settings.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::containerd {

// One line of /proc/self/mountinfo (proc(5)).
struct MountEntry {
  std::filesystem::path mount_point;
  bool shared = false;
  std::string file_system;
};
std::vector<MountEntry> parse_mountinfo(std::string_view text);

// The mount that a path is on: the last one of those with the longest mount point. `path` is absolute and normal.
const MountEntry* covering_mount(const std::vector<MountEntry>& mounts, const std::filesystem::path& path);

// Whether the machine mounts cgroups of both versions, as crun does not accept it.
bool has_hybrid_cgroups();

// Gives the namespace's descriptor: that of the pin, or of a new one that is pinned then. In a new one the second
// hierarchy of a hybrid cgroup layout is not mounted: crun refuses to start anything when it sees both. kForbidden: not
// root, or no CAP_SYS_ADMIN.
Result<OwnedFd> open_mount_namespace(const Layout& layout);

// Makes the mounts below a folder propagate into the namespace; to be called before open_mount_namespace. Where the
// machine shares its mounts anyway (systemd does so) nothing is done; else the folder is bound onto itself, which is
// noted in Layout::shared_list.
Status share_folder(const Layout& layout, const std::filesystem::path& folder);

// Takes back all mounts that the two functions above made. Nothing to do is not a failure.
Status remove_mounts(const Layout& layout);

}  // namespace orlop::containerd
