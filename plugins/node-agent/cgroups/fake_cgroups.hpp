// For tests: a folder that looks like the machine's cgroups, of either version; removed at its end.
#pragma once

#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace orlop::agent {

class FakeCgroups {
 public:
  explicit FakeCgroups(bool unified) : unified_(unified) {
    char name[] = "/tmp/orlop-cgroups-XXXXXX";
    root_ = ::mkdtemp(name);
    if (unified) write("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
  }
  ~FakeCgroups() {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }
  FakeCgroups(const FakeCgroups&) = delete;
  FakeCgroups& operator=(const FakeCgroups&) = delete;

  [[nodiscard]] const std::string& root() const { return root_; }

  // The files that a cgroup of this version has; cgroup: "/orlop/…".
  void make(const std::string& cgroup, uint64_t cpu_ns = 0, uint64_t usage = 0, uint64_t inactive_file = 0,
            uint64_t rss = 0) {
    if (unified_) {
      write(cgroup + "/cpu.stat", "usage_usec " + std::to_string(cpu_ns / 1000) + "\nuser_usec 0\n");
      write(cgroup + "/memory.current", std::to_string(usage) + "\n");
      write(cgroup + "/memory.stat",
            "anon " + std::to_string(rss) + "\nfile 0\ninactive_file " + std::to_string(inactive_file) + "\n");
      return;
    }
    write("/cpuacct" + cgroup + "/cpuacct.usage", std::to_string(cpu_ns) + "\n");
    write("/memory" + cgroup + "/memory.usage_in_bytes", std::to_string(usage) + "\n");
    write("/memory" + cgroup + "/memory.stat", "rss 1\ninactive_file 1\ntotal_rss " + std::to_string(rss) +
                                                   "\ntotal_inactive_file " + std::to_string(inactive_file) + "\n");
  }
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = root_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  [[nodiscard]] std::string read(const std::string& file) const { return read_small_file(root_ + "/" + file); }
  [[nodiscard]] bool has(const std::string& file) const { return std::filesystem::exists(root_ + "/" + file); }

 private:
  bool unified_;
  std::string root_;
};

}  // namespace orlop::agent
