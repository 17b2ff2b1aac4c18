#include "plugins/node-agent/files.hpp"

#include "plugins/node-agent/volumes.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

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
  const Code code = errno == EXDEV || errno == ELOOP ? Code::kInvalid : Code::kUnavailable;
  return {code, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

int open_beneath(int root, const char* path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
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

bool is_mount_point(const std::string& path) {
  struct stat own {
  }, parent{};
  if (::lstat(path.c_str(), &own) != 0 || ::lstat((path + "/..").c_str(), &parent) != 0) return false;
  return own.st_dev != parent.st_dev;
}

Status remove_tree(const std::string& path) {
  std::vector<std::string> mounted;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point;
    words >> id >> parent >> device >> root >> point;
    if (point == path || point.starts_with(path + "/")) mounted.push_back(point);
  }
  for (auto point = mounted.rbegin(); point != mounted.rend(); ++point) {
    if (::umount2(point->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return failed("unmount", *point);
  }
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return {Code::kUnavailable, "cannot remove " + path + ": " + error.message()};
  return Status::ok();
}

Status give_to_group(const std::string& folder, uint32_t group) {
  std::error_code error;
  if (::lchown(folder.c_str(), static_cast<uid_t>(-1), group) != 0) return failed("change the group of", folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (::lchown(entry.path().c_str(), static_cast<uid_t>(-1), group) != 0) {
      return failed("change the group of", entry.path());
    }
  }
  return Status::ok();
}

Result<std::string> resolve_inside(const std::string& root, const std::string& inner, bool create) {
  if (!is_inner_path(inner)) return Status(Code::kInvalid, "subPath \"" + inner + "\" leaves its volume");
  const int folder = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failed("open", root);
  int found = open_beneath(folder, inner.c_str(), O_PATH);
  if (found < 0 && errno == ENOENT && create) {
    std::string walked;
    for (const auto& part : fs::path(inner)) {
      walked += (walked.empty() ? "" : "/") + part.string();
      const std::string parent = fs::path(walked).parent_path().empty() ? "." : fs::path(walked).parent_path().string();
      const int at = open_beneath(folder, parent.c_str(), O_PATH | O_DIRECTORY);
      if (at < 0) break;
      ::mkdirat(at, part.c_str(), 0755);
      ::close(at);
    }
    found = open_beneath(folder, inner.c_str(), O_PATH);
  }
  if (found < 0) {
    const Status status = failed("resolve subPath", root + "/" + inner);
    ::close(folder);
    return status;
  }
  std::error_code error;
  const std::string path = fs::read_symlink("/proc/self/fd/" + std::to_string(found), error);
  ::close(found);
  ::close(folder);
  if (error) return Status(Code::kUnavailable, "cannot resolve subPath " + inner + ": " + error.message());
  return path;
}

bool has_same_files(const std::string& folder, const std::map<std::string, FileContent>& files) {
  std::error_code error;
  const fs::path target = fs::canonical(folder, error);
  if (error) return false;
  size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(target, error)) {
    if (!entry.is_regular_file()) continue;
    ++count;
    const auto wanted = files.find(fs::relative(entry.path(), target).string());
    if (wanted == files.end()) return false;
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    if (bytes != wanted->second.bytes) return false;
  }
  return count == files.size();
}

}  // namespace orlop::agent
