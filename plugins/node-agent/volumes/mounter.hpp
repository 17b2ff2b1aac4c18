// The machine's mounts. The folders that are mounted on are below one that the runtime's mount namespace follows.
//
// Threads: any.
#pragma once

#include "orlop/result.hpp"

#include <string>

namespace orlop::agent {

class Mounter {
 public:
  virtual ~Mounter() = default;
  // Mounts a new file system; nosuid and nodev. kUnavailable: the kernel's own words.
  virtual Status mount(const std::string& type, const std::string& folder, const std::string& options) = 0;
  // Mounts what the descriptor stands for (a file or a folder) onto `target`.
  virtual Status bind(int descriptor, const std::string& target) = 0;
  // At once for whoever looks for the path, though a container may still use what was mounted there.
  virtual Status unmount(const std::string& target) = 0;
  // Whether something is mounted at exactly this path.
  virtual bool is_mount_point(const std::string& path) = 0;
};

class SystemMounter final : public Mounter {
 public:
  Status mount(const std::string& type, const std::string& folder, const std::string& options) override;
  Status bind(int descriptor, const std::string& target) override;
  Status unmount(const std::string& target) override;
  bool is_mount_point(const std::string& path) override;
};

}  // namespace orlop::agent
