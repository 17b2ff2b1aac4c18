// Removes what is in a folder, safely where somebody else may change the folder meanwhile: nothing is removed through a
// symlink, and nothing on another mount.
//
// Threads: any.
#pragma once

#include "orlop/result.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace orlop {

// Owns a file descriptor.
class OwnDescriptor {
 public:
  explicit OwnDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnDescriptor(OwnDescriptor&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  OwnDescriptor(const OwnDescriptor&) = delete;
  OwnDescriptor& operator=(const OwnDescriptor&) = delete;
  ~OwnDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// A folder in a folder: no symlink, on the same mount. Not open: errno says why.
inline OwnDescriptor open_folder_at(int parent, const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  return OwnDescriptor(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
}

// kUnavailable: the file system's own words, with the path below the folder.
inline Status remove_content(int folder, const std::string& shown = {}) {
  const auto failed = [](const std::string& path) {
    return Status(Code::kUnavailable, "cannot remove " + path + ": " + std::strerror(errno));
  };
  const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = again < 0 ? nullptr : ::fdopendir(again);
  if (stream == nullptr) {
    const Status status = failed(shown.empty() ? "." : shown);
    if (again >= 0) ::close(again);
    return status;
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(stream);
  for (const std::string& name : names) {
    const std::string path = shown.empty() ? name : shown + "/" + name;
    if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return failed(path);
    const OwnDescriptor inner = open_folder_at(folder, name);
    if (!inner.is_open()) {
      if (errno == ENOENT) continue;
      return failed(path);
    }
    ORLOP_TRY(remove_content(inner.get(), path));
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return failed(path);
  }
  return Status::ok();
}

}  // namespace orlop
