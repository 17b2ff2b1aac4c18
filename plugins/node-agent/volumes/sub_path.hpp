// A path below a volume, mounted so that nobody can turn it elsewhere.
//
// What a volume holds belongs to the pod's processes: between a look at a path and the runtime's mount of it they could
// replace a folder by a symlink into the machine. So the path is resolved once, by the kernel and never above the
// volume (openat2 RESOLVE_BENEATH), and what was found is mounted from its descriptor to a path of the agent's own,
// which is what the runtime gets (as the kubelet's subpath does, CVE-2017-1002101, CVE-2021-25741).
//
// Threads: any, one at a time for one target.
#pragma once

#include "orlop/result.hpp"
#include "plugins/node-agent/volumes/mounter.hpp"

#include <string>

namespace orlop::agent {

// Owns a descriptor.
class PathDescriptor {
 public:
  PathDescriptor() = default;
  explicit PathDescriptor(int descriptor) : descriptor_(descriptor) {}
  PathDescriptor(PathDescriptor&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  PathDescriptor& operator=(PathDescriptor&& other) noexcept;
  ~PathDescriptor();
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// `inner` below `root`, as a descriptor that stands for it whatever happens to its name. A missing folder is made when
// `create` is set, with the mode of the root. kInvalid: it leads out of `root`. kNotFound: it is not there.
Result<PathDescriptor> open_inside(const std::string& root, const std::string& inner, bool create);

// Mounts it at `target`, in place of what an earlier container had there. kInvalid, kNotFound: as above.
Status mount_inside(Mounter& mounter, const std::string& root, const std::string& inner, bool create,
                    const std::string& target);

}  // namespace orlop::agent
