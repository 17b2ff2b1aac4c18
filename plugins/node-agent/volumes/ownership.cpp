#include "plugins/node-agent/volumes/ownership.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kReadWrite = 0660, kReadOnly = 0440, kEnter = 0110;
constexpr uid_t kSameUser = static_cast<uid_t>(-1);

Status failed(const std::string& path) {
  if (errno == ENOENT) return Status::ok();  // a pod's process may remove what it likes meanwhile
  return {Code::kUnavailable, "cannot give " + path + " to the group: " + std::strerror(errno)};
}

mode_t wanted_bits(const GroupOwnership& ownership, mode_t mode) {
  const mode_t bits = ownership.read_only ? kReadOnly : kReadWrite;
  return S_ISDIR(mode) ? (bits | S_ISGID | kEnter) : bits;
}

Status give_one(const std::string& path, const GroupOwnership& ownership) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return failed(path);
  if (::lchown(path.c_str(), kSameUser, ownership.group) != 0) return failed(path);
  if (S_ISLNK(info.st_mode)) return Status::ok();
  const mode_t mode = (info.st_mode & 07777) | wanted_bits(ownership, info.st_mode);
  if (::fchmodat(AT_FDCWD, path.c_str(), mode, 0) != 0) return failed(path);
  return Status::ok();
}

bool root_matches(const std::string& folder, const GroupOwnership& ownership) {
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0 || info.st_gid != ownership.group) return false;
  const mode_t bits = wanted_bits(ownership, info.st_mode);
  return (info.st_mode & bits) == bits;
}

}  // namespace

std::optional<uint32_t> fs_group_of(const kube::Pod& pod) {
  const auto& security = pod.spec().securitycontext();
  if (!security.has_fsgroup()) return std::nullopt;
  return static_cast<uint32_t>(security.fsgroup());
}

Status give_to_group(const std::string& folder, const GroupOwnership& ownership) {
  if (ownership.on_root_mismatch && root_matches(folder, ownership)) return Status::ok();
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    ORLOP_TRY(give_one(entry->path().string(), ownership));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return {Code::kUnavailable, "cannot read " + folder + ": " + error.message()};
  }
  // The root last: its look tells that all below has been done.
  return give_one(folder, ownership);
}

std::optional<uint32_t> common_user_of(const kube::Pod& pod) {
  const auto& shared = pod.spec().securitycontext();
  std::optional<int64_t> common;
  const auto agrees = [&](const auto& containers) {
    for (const auto& container : containers) {
      const auto& own = container.securitycontext();
      if (!own.has_runasuser() && !shared.has_runasuser()) return false;
      const int64_t user = own.has_runasuser() ? own.runasuser() : shared.runasuser();
      if (common && *common != user) return false;
      common = user;
    }
    return true;
  };
  if (!agrees(pod.spec().initcontainers()) || !agrees(pod.spec().containers()) || !common) return std::nullopt;
  return static_cast<uint32_t>(*common);
}

}  // namespace orlop::agent
