#include "plugins/node-agent/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

Status failed(const std::string& what, const std::string& path) {
  return {Code::kUnavailable, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

// A folder in a folder, on the same mount.
int open_folder(int parent, const char* name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, parent, name, &how, sizeof how));
}

Status remove_entry(int parent, const char* name, const std::string& path);

Status remove_content(int folder, const std::string& path) {
  DIR* stream = ::fdopendir(folder);
  if (stream == nullptr) {
    ::close(folder);
    return failed("read", path);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  Status status;
  for (const std::string& name : names) {
    status = remove_entry(::dirfd(stream), name.c_str(), path + "/" + name);
    if (!status) break;
  }
  ::closedir(stream);
  return status;
}

Status remove_entry(int parent, const char* name, const std::string& path) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return Status::ok();
  if (errno != EISDIR && errno != EPERM) return failed("remove", path);
  const int folder = open_folder(parent, name);
  if (folder < 0) return errno == ENOENT ? Status::ok() : failed("remove", path);
  ORLOP_TRY(remove_content(folder, path));
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return failed("remove", path);
  return Status::ok();
}

// As mountinfo writes them: blanks and the like in octal.
std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::vector<std::string> out;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point;
    words >> id >> parent >> device >> root >> point;
    point = unescaped(point);
    if (point == path || point.starts_with(path + "/")) out.push_back(point);
  }
  return out;
}

}  // namespace

bool is_inner_path(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  for (const auto& part : fs::path(path)) {
    if (part == "..") return false;
  }
  return !path.starts_with("..");
}

Status make_folder(const std::string& path, uint32_t mode) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failed("create the folder", path);
  return Status::ok();
}

Status write_file(const std::string& path, std::string_view bytes, uint32_t mode) {
  const std::string beside = path + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return failed("write", path);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) {
      const Status status = failed("write", path);
      ::close(file);
      return status;
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  ::fchmod(file, mode);
  ::close(file);
  if (::rename(beside.c_str(), path.c_str()) != 0) return failed("rename to", path);
  return Status::ok();
}

Status remove_tree(const std::string& path) {
  std::error_code error;
  const fs::path parent = fs::canonical(fs::path(path).parent_path(), error);
  if (error) return Status::ok();
  const fs::path name = fs::path(path).filename();
  const std::vector<std::string> mounted = mounts_below((parent / name).string());
  for (auto point = mounted.rbegin(); point != mounted.rend(); ++point) {
    if (::umount2(point->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
      return failed("unmount", *point);
    }
  }
  const int folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failed("open", parent);
  const Status removed = remove_entry(folder, name.c_str(), path);
  ::close(folder);
  return removed;
}

}  // namespace orlop::agent
