// The machine's mounts, as far as publishing a folder needs them. Threads: any.
#pragma once

#include "orlop/result.hpp"

#include <string>

namespace orlop::local {

class Mounts {
 public:
  virtual ~Mounts() = default;
  // Mounts the folder that the descriptor stands for onto `target`. kUnavailable: the kernel's own words.
  virtual Status bind(int folder, const std::string& target, bool read_only) = 0;
  // At once for whoever looks for the path, though a process may still use what was mounted there.
  virtual Status unmount(const std::string& target) = 0;
  // Whether exactly this folder is mounted at the path; `read_only` tells how.
  virtual bool is_bound(int folder, const std::string& target, bool* read_only) = 0;
};

class SystemMounts final : public Mounts {
 public:
  Status bind(int folder, const std::string& target, bool read_only) override;
  Status unmount(const std::string& target) override;
  bool is_bound(int folder, const std::string& target, bool* read_only) override;
};

}  // namespace orlop::local
