#include "plugins/runtime-containerd/mount_namespace.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::containerd {

namespace {

constexpr const char* kUnified = "/sys/fs/cgroup/unified";

Status failed(std::string_view what) {
  int error = errno;
  Code code = error == EPERM || error == EACCES ? Code::kForbidden : Code::kUnavailable;
  return Status(code, fmt::format("{}: {}", what, std::strerror(error)));
}

bool is_of_type(const std::filesystem::path& path, long magic) {
  struct statfs state {};
  return ::statfs(path.c_str(), &state) == 0 && state.f_type == magic;
}

// mountinfo writes blank, tab, newline and backslash as three octal digits.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<MountEntry> mounts_now() {
  std::ifstream file("/proc/self/mountinfo");
  return parse_mountinfo(std::string((std::istreambuf_iterator<char>(file)), {}));
}

// A process of its own, since a thread of this one cannot leave the namespace alone (it shares its root with the
// others). Says 'y' on `ready` once the namespace stands, and lives until `hold` is closed at the other end.
[[noreturn]] void hold_new_namespace(int ready, int hold) {
  bool ok = ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
  if (ok && has_hybrid_cgroups()) ok = ::umount2(kUnified, MNT_DETACH) == 0;
  // Shared again among those inside, so that mount propagation between containers works.
  ok = ok && ::mount("", "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0;
  int error = ok ? 0 : errno;
  char byte;
  if (::write(ready, &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    while (::read(hold, &byte, 1) < 0 && errno == EINTR) {
    }
  }
  ::_exit(0);
}

Status pin_new_namespace(const Layout& layout) {
  int ready[2];
  int hold[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return failed("pipe");
  OwnedFd ready_read(ready[0]), ready_write(ready[1]);
  if (::pipe2(hold, O_CLOEXEC) != 0) return failed("pipe");
  OwnedFd hold_read(hold[0]), hold_write(hold[1]);
  pid_t child = ::fork();
  if (child < 0) return failed("fork");
  if (child == 0) {
    ::close(ready[0]);
    ::close(hold[1]);
    hold_new_namespace(ready[1], hold[0]);
  }
  ready_write.reset();
  hold_read.reset();
  int error = EIO;
  ssize_t got;
  do {
    got = ::read(ready_read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  Status status;
  if (got != static_cast<ssize_t>(sizeof error) || error != 0) {
    errno = error;
    status = failed("a mount namespace for containerd cannot be made (it needs root)");
  } else {
    std::string source = fmt::format("/proc/{}/ns/mnt", child);
    if (::mount(source.c_str(), layout.namespace_pin.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      status = failed(fmt::format("mount namespace cannot be pinned at {}", layout.namespace_pin.native()));
    }
  }
  hold_write.reset();
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// The pin's parent mount has to be private: the kernel refuses to propagate a namespace's file into that namespace.
Status prepare_pin(const Layout& layout) {
  const auto& folder = layout.namespace_folder;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Status(Code::kUnavailable, fmt::format("{}: {}", folder.native(), error.message()));
  auto mounts = mounts_now();
  bool mounted = std::any_of(mounts.begin(), mounts.end(), [&](const auto& m) { return m.mount_point == folder; });
  if (!mounted && ::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return failed(fmt::format("{} cannot be bound onto itself (it needs root)", folder.native()));
  }
  if (::mount("", folder.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) return failed(folder.native());
  OwnedFd pin(::open(layout.namespace_pin.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600));
  return pin.is_open() ? Status() : failed(layout.namespace_pin.native());
}

}  // namespace

bool has_hybrid_cgroups() {
  struct statfs state {};
  return ::statfs(kUnified, &state) == 0 && state.f_type == CGROUP2_SUPER_MAGIC;
}

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> out;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    MountEntry entry;
    size_t separator = line.find(" - ");
    if (separator == std::string_view::npos) continue;
    std::string_view tail = line.substr(separator + 3);
    entry.file_system = tail.substr(0, tail.find(' '));
    std::string_view head = line.substr(0, separator);
    for (int field = 1; !head.empty(); ++field) {
      size_t blank = std::min(head.find(' '), head.size());
      std::string_view word = head.substr(0, blank);
      if (field == 5) entry.mount_point = unescaped(word);
      if (field > 6 && word.starts_with("shared:")) entry.shared = true;
      head.remove_prefix(std::min(blank + 1, head.size()));
    }
    if (!entry.mount_point.empty()) out.push_back(std::move(entry));
  }
  return out;
}

const MountEntry* covering_mount(const std::vector<MountEntry>& mounts, const std::filesystem::path& path) {
  const MountEntry* best = nullptr;
  for (const MountEntry& entry : mounts) {
    const std::string& point = entry.mount_point.native();
    bool covers = point == "/" || path.native() == point || path.native().starts_with(point + "/");
    if (covers && (best == nullptr || point.size() >= best->mount_point.native().size())) best = &entry;
  }
  return best;
}

Result<OwnedFd> open_mount_namespace(const Layout& layout) {
  if (!is_of_type(layout.namespace_pin, NSFS_MAGIC)) {
    ORLOP_TRY(prepare_pin(layout));
    ORLOP_TRY(pin_new_namespace(layout));
  }
  OwnedFd fd(::open(layout.namespace_pin.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return failed(layout.namespace_pin.native());
  return fd;
}

Status share_folder(const Layout& layout, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::filesystem::path real = std::filesystem::canonical(folder, error);
  if (error) return Status(Code::kUnavailable, fmt::format("{}: {}", folder.native(), error.message()));
  auto mounts = mounts_now();
  const MountEntry* mount = covering_mount(mounts, real);
  if (mount != nullptr && mount->shared) return Status();
  if (mount == nullptr || mount->mount_point != real) {
    {
      // Noted first: a mount that is noted and absent does no harm, one that is there and not noted would stay for
      // ever.
      std::ofstream list(layout.shared_list, std::ios::app);
      list << real.native() << '\n';
    }
    if (::mount(real.c_str(), real.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return failed(fmt::format("{} cannot be bound onto itself (it needs root)", real.native()));
    }
  }
  if (::mount("", real.c_str(), nullptr, MS_SHARED | MS_REC, nullptr) != 0) return failed(real.native());
  return Status();
}

Status remove_mounts(const Layout& layout) {
  std::vector<std::filesystem::path> points = {layout.namespace_pin, layout.namespace_folder};
  std::ifstream list(layout.shared_list);
  for (std::string line; std::getline(list, line);) points.emplace_back(line);
  for (const auto& point : points) {
    // EINVAL: not a mount point; ENOENT: gone already.
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
      return failed(point.native());
    }
  }
  std::error_code ignored;
  std::filesystem::remove(layout.shared_list, ignored);
  return Status();
}

}  // namespace orlop::containerd
