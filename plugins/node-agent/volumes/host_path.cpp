#include "plugins/node-agent/volumes/host_path.hpp"

#include "plugins/node-agent/files.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

struct Wanted {
  const char* type;
  const char* words;
  mode_t format;
};
constexpr Wanted kWanted[] = {{"Directory", "directory", S_IFDIR},
                              {"File", "file", S_IFREG},
                              {"Socket", "socket file", S_IFSOCK},
                              {"CharDevice", "character device", S_IFCHR},
                              {"BlockDevice", "block device", S_IFBLK}};

const char* type_name(mode_t mode) {
  for (const Wanted& wanted : kWanted) {
    if ((mode & S_IFMT) == wanted.format) return wanted.type;
  }
  return "";
}

Status make_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return {Code::kUnavailable, "open " + path + ": " + std::strerror(errno)};
  ::close(file);
  return Status::ok();
}

}  // namespace

Status check_host_path(const k8s::io::api::core::v1::HostPathVolumeSource& source) {
  const std::string& path = source.path();
  std::string type = source.type();
  if (type.empty()) return Status::ok();
  struct stat info {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (type == "DirectoryOrCreate") {
    if (!exists) return make_folder(path, 0755);
    type = "Directory";
  } else if (type == "FileOrCreate") {
    if (!exists) return make_file(path);
    type = "File";
  }
  for (const Wanted& wanted : kWanted) {
    if (type != wanted.type) continue;
    if (!exists) return {Code::kInvalid, "hostPath " + path + " doesn't exist"};
    if ((info.st_mode & S_IFMT) == wanted.format) return Status::ok();
    return {Code::kInvalid, "hostPath type check failed: " + path + " is not a " + wanted.words + ", it's a " +
                                type_name(info.st_mode)};
  }
  return {Code::kInvalid, type + " is an invalid volume type"};
}

}  // namespace orlop::agent
