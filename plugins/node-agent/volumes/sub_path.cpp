#include "plugins/node-agent/volumes/sub_path.hpp"

#include "plugins/node-agent/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 1000;  // a rename anywhere on the machine may make the kernel ask to try again

PathDescriptor open_beneath(int root, const char* path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const int found = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
    if (found >= 0 || errno != EAGAIN || attempt >= kAttempts) return PathDescriptor(found);
  }
}

Status failed(const std::string& root, const std::string& inner) {
  const Code code = errno == EXDEV || errno == ELOOP ? Code::kInvalid
                    : errno == ENOENT                ? Code::kNotFound
                                                     : Code::kUnavailable;
  return {code, "cannot resolve " + inner + " in " + root + ": " + std::strerror(errno)};
}

Status make_folders(int root, const std::string& inner) {
  struct stat info {};
  const mode_t mode = ::fstat(root, &info) == 0 ? info.st_mode & 07777 : 0755;
  std::string walked;
  for (const auto& part : fs::path(inner)) {
    if (part.empty() || part == ".") continue;
    const PathDescriptor parent = open_beneath(root, walked.empty() ? "." : walked.c_str(), O_PATH | O_DIRECTORY);
    if (!parent.is_open()) return failed("the volume", walked);
    walked += (walked.empty() ? "" : "/") + part.string();
    if (::mkdirat(parent.get(), part.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return failed("the volume", walked);
    }
    // Past the umask, and on what was made, not on what may stand there by now.
    const PathDescriptor made(::openat(parent.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (made.is_open()) ::fchmod(made.get(), mode);
  }
  return Status::ok();
}

Status make_target(const std::string& target, bool is_folder) {
  ORLOP_TRY(make_folder(fs::path(target).parent_path().string(), 0750));
  struct stat info {};
  if (::lstat(target.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode) == is_folder) return Status::ok();
    if ((S_ISDIR(info.st_mode) ? ::rmdir(target.c_str()) : ::unlink(target.c_str())) != 0) {
      return {Code::kUnavailable, "cannot remove " + target + ": " + std::strerror(errno)};
    }
  }
  if (is_folder) return make_folder(target, 0750);
  return write_file(target, "", 0640);
}

}  // namespace

PathDescriptor& PathDescriptor::operator=(PathDescriptor&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

PathDescriptor::~PathDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<PathDescriptor> open_inside(const std::string& root, const std::string& inner, bool create) {
  if (!is_inner_path(inner)) return Status(Code::kInvalid, "subPath \"" + inner + "\" leaves its volume");
  const PathDescriptor volume(::open(root.c_str(), O_PATH | O_CLOEXEC));
  if (!volume.is_open()) return failed(root, ".");
  PathDescriptor found = open_beneath(volume.get(), inner.c_str(), O_PATH);
  if (!found.is_open() && errno == ENOENT && create) {
    ORLOP_TRY(make_folders(volume.get(), inner));
    found = open_beneath(volume.get(), inner.c_str(), O_PATH);
  }
  if (!found.is_open()) return failed(root, inner);
  return found;
}

Status mount_inside(Mounter& mounter, const std::string& root, const std::string& inner, bool create,
                    const std::string& target) {
  auto found = open_inside(root, inner, create);
  if (!found) return found.status();
  struct stat info {};
  if (::fstat(found->get(), &info) != 0) return failed(root, inner);
  if (mounter.is_mount_point(target)) ORLOP_TRY(mounter.unmount(target));
  ORLOP_TRY(make_target(target, S_ISDIR(info.st_mode)));
  return mounter.bind(found->get(), target);
}

}  // namespace orlop::agent
