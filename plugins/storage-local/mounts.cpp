#include "plugins/storage-local/mounts.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace orlop::local {
namespace {

Status failed(const std::string& what) {
  return {Code::kUnavailable, what + ": " + std::strerror(errno)};
}

}  // namespace

Status SystemMounts::bind(int folder, const std::string& target, bool read_only) {
  const std::string source = "/proc/self/fd/" + std::to_string(folder);
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return failed("cannot mount at " + target);
  }
  if (!read_only) return Status::ok();
  if (::mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0) return Status::ok();
  const Status status = failed("cannot mount read-only at " + target);
  ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  return status;
}

Status SystemMounts::unmount(const std::string& target) {
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) {
    return Status::ok();
  }
  return failed("cannot unmount " + target);
}

bool SystemMounts::is_bound(int folder, const std::string& target, bool* read_only) {
  struct statx mounted {};
  struct stat there {};
  struct stat own {};
  if (::statx(AT_FDCWD, target.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &mounted) != 0) return false;
  if ((mounted.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return false;
  if (::lstat(target.c_str(), &there) != 0 || ::fstat(folder, &own) != 0) return false;
  struct statvfs flags {};
  *read_only = ::statvfs(target.c_str(), &flags) == 0 && (flags.f_flag & ST_RDONLY) != 0;
  return there.st_dev == own.st_dev && there.st_ino == own.st_ino;
}

}  // namespace orlop::local
