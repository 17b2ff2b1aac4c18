#include "plugins/node-agent/stats/disk_usage.hpp"

#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
constexpr uint32_t kDeadlineMs = 10'000;
constexpr uint64_t kBlockBytes = 512;  // of stat's blocks, whatever the file system's own are
constexpr int kDepthMax = 64;          // deeper trees are made to hurt; what is below is not counted

class Walk {
 public:
  SpaceUsed run(const std::string& folder) {
    const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) return {};
    struct statx info {};
    if (::statx(opened, "", AT_EMPTY_PATH, kMask, &info) != 0) {
      ::close(opened);
      return {};
    }
    root_ = info;
    count(info);
    enter(opened, 0);
    return used_;
  }

 private:
  static constexpr unsigned kMask = STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS | STATX_MNT_ID;

  [[nodiscard]] bool is_other_mount(const struct statx& info) const {
    if (info.stx_dev_major != root_.stx_dev_major || info.stx_dev_minor != root_.stx_dev_minor) return true;
    return (info.stx_mask & root_.stx_mask & STATX_MNT_ID) != 0 && info.stx_mnt_id != root_.stx_mnt_id;
  }
  void count(const struct statx& info) {
    if (!S_ISDIR(info.stx_mode) && info.stx_nlink > 1 && !linked_.insert(info.stx_ino).second) return;
    used_.bytes += info.stx_blocks * kBlockBytes;
    ++used_.inodes;
  }
  // Takes the descriptor.
  void enter(int opened, int depth) {
    DIR* folder = ::fdopendir(opened);
    if (folder == nullptr) {
      ::close(opened);
      return;
    }
    while (const dirent* entry = ::readdir(folder)) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      struct statx info {};
      if (::statx(::dirfd(folder), entry->d_name, AT_SYMLINK_NOFOLLOW, kMask, &info) != 0 || is_other_mount(info))
        continue;
      count(info);
      if (!S_ISDIR(info.stx_mode) || depth >= kDepthMax) continue;
      const int inner =
          ::openat(::dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
      if (inner >= 0) enter(inner, depth + 1);
    }
    ::closedir(folder);
  }

  struct statx root_ {};
  std::set<uint64_t> linked_;
  SpaceUsed used_;
};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) out.push_back(entry->path().filename());
  return out;
}

}  // namespace

SpaceUsed PodDisk::total() const {
  SpaceUsed out;
  for (const auto& [name, container] : containers) {
    out += container.layer;
    out += container.logs;
  }
  for (const auto& [name, volume] : volumes) out += volume;
  return out;
}

SpaceUsed folder_usage(const std::string& folder) {
  return Walk().run(folder);
}

std::map<std::string, PodDisk> read_disk_usage(const AgentConfig& config, const RuntimeClient& runtime,
                                               const std::set<std::string>* only) {
  std::map<std::string, PodDisk> out;
  const auto is_wanted = [only](const std::string& uid) { return only == nullptr || only->contains(uid); };
  struct stat disk {};
  ::stat(config.pods_folder.c_str(), &disk);
  for (const std::string& uid : names_in(config.pods_folder)) {
    if (!is_wanted(uid)) continue;
    PodDisk& pod = out[uid];
    for (const std::string& volume : names_in(config.pods_folder + "/" + uid + "/volumes")) {
      const std::string folder = config.pods_folder + "/" + uid + "/volumes/" + volume;
      struct stat info {};
      // A volume with a disk of its own (memory, network) takes nothing of this one.
      if (::lstat(folder.c_str(), &info) != 0 || info.st_dev != disk.st_dev) continue;
      pod.volumes[volume] = folder_usage(folder);
    }
  }
  // <namespace>_<name>_<uid>/<container>
  for (const std::string& folder : names_in(config.logs_folder)) {
    const size_t at = folder.rfind('_');
    if (at == std::string::npos || !is_wanted(folder.substr(at + 1))) continue;
    PodDisk& pod = out[folder.substr(at + 1)];
    for (const std::string& container : names_in(config.logs_folder + "/" + folder))
      pod.containers[container].logs = folder_usage(config.logs_folder + "/" + folder + "/" + container);
  }
  const auto stats = runtime.invoke<cri::ListContainerStatsResponse>("RuntimeService/ListContainerStats",
                                                                     cri::ListContainerStatsRequest(), kDeadlineMs);
  if (!stats) return out;
  for (const cri::ContainerStats& container : stats->stats()) {
    const auto uid = container.attributes().labels().find(kPodUidLabel);
    if (uid == container.attributes().labels().end() || !is_wanted(uid->second)) continue;
    SpaceUsed& layer = out[uid->second].containers[container.attributes().metadata().name()].layer;
    layer += {container.writable_layer().used_bytes().value(), container.writable_layer().inodes_used().value()};
  }
  return out;
}

}  // namespace orlop::agent
