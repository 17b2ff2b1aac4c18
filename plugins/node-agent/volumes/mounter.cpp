#include "plugins/node-agent/volumes/mounter.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace orlop::agent {
namespace {

Status failed(const std::string& what) {
  return {Code::kUnavailable, what + ": " + std::strerror(errno)};
}

}  // namespace

Status SystemMounter::mount(const std::string& type, const std::string& folder, const std::string& options) {
  if (::mount(type.c_str(), folder.c_str(), type.c_str(), MS_NOSUID | MS_NODEV, options.c_str()) == 0) {
    return Status::ok();
  }
  return failed("cannot mount a " + type + " at " + folder);
}

Status SystemMounter::bind(int descriptor, const std::string& target) {
  const std::string source = "/proc/self/fd/" + std::to_string(descriptor);
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0) return Status::ok();
  return failed("cannot bind to " + target);
}

Status SystemMounter::unmount(const std::string& target) {
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) {
    return Status::ok();
  }
  return failed("cannot unmount " + target);
}

bool SystemMounter::is_mount_point(const std::string& path) {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) != 0) return false;
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace orlop::agent
