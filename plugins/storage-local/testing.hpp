// What the tests of this folder share: a temporary folder, and mounts that are only noted.
#pragma once

#include "orlop/testing/temporary_folder.hpp"
#include "plugins/storage-local/folders.hpp"
#include "plugins/storage-local/service.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include <sys/stat.h>

namespace orlop::local {

using testing::TemporaryFolder;

// Mounts nothing; knows a folder by its inode.
class NotedMounts final : public Mounts {
 public:
  Status bind(int folder, const std::string& target, bool read_only) override {
    if (!fails) return fails;
    mounted[target] = {inode(folder), read_only};
    return Status::ok();
  }
  Status unmount(const std::string& target) override {
    mounted.erase(target);
    return Status::ok();
  }
  bool is_bound(int folder, const std::string& target, bool* read_only) override {
    const auto found = mounted.find(target);
    if (found == mounted.end() || found->second.first != inode(folder)) return false;
    *read_only = found->second.second;
    return true;
  }

  std::map<std::string, std::pair<ino_t, bool>> mounted;
  Status fails;

 private:
  static ino_t inode(int folder) {
    struct stat info {};
    return ::fstat(folder, &info) == 0 ? info.st_ino : 0;
  }
};

}  // namespace orlop::local
