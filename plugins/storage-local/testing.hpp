// What the tests of this folder share: a temporary folder, and mounts that are only noted.
#pragma once

#include "plugins/storage-local/folders.hpp"
#include "plugins/storage-local/service.hpp"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <sys/stat.h>

namespace orlop::local {

class TestFolder {
 public:
  TestFolder() {
    char name[] = "/tmp/orlop-storage-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TestFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  std::string operator/(const std::string& inner) const { return path_ + "/" + inner; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

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
