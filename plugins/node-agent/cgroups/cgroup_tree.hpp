// The machine's cgroups, version 1 (each controller a tree of its own) and version 2 (one tree), as one tree of names:
// "/orlop/burstable/pod…" is below memory/, cpu/ and so on in the one, and directly below the root in the other.
//
// Threads: any; it keeps nothing but the root's path. What was made and set stays until it is removed.
#pragma once

#include "orlop/result.hpp"
#include "plugins/node-agent/cgroups/qos.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

// What a cgroup and all below it use.
struct CgroupUsage {
  uint64_t cpu_ns = 0;  // since it was made
  uint64_t memory_usage_bytes = 0;
  uint64_t memory_working_set_bytes = 0;  // usage without what the kernel can drop (inactive file pages)
  uint64_t memory_rss_bytes = 0;
  uint64_t processes = 0;
};

class CgroupTree {
 public:
  // `root`: where the cgroups are mounted; a test gives a folder of its own that looks so.
  explicit CgroupTree(std::string root = "/sys/fs/cgroup");

  [[nodiscard]] bool unified() const { return unified_; }

  // kNotFound: there is no such cgroup. What its controllers do not tell is 0.
  [[nodiscard]] Result<CgroupUsage> usage(const std::string& cgroup) const;
  // Names of the cgroups directly below; none when it is not there.
  [[nodiscard]] std::vector<std::string> children(const std::string& cgroup) const;
  [[nodiscard]] bool exists(const std::string& cgroup) const;
  // Where its files about memory are.
  [[nodiscard]] std::string memory_folder(const std::string& cgroup) const { return folder("memory", cgroup); }

  // Makes it, with those above it, where limits can be set. kUnavailable: the kernel's own words.
  [[nodiscard]] Status make(const std::string& cgroup) const;
  // kUnavailable: a limit of memory, processor time or processes is refused, in the kernel's words. Shares and huge
  // pages are set where the kernel has them.
  [[nodiscard]] Status set(const std::string& cgroup, const CgroupLimits& limits) const;
  // Removes it with all below. What still has processes stays, unless they are to be killed. kConflict: it stays.
  [[nodiscard]] Status remove(const std::string& cgroup, bool kill) const;

 private:
  [[nodiscard]] Status set_unified(const std::string& folder, const CgroupLimits& limits) const;
  // Where the cgroup is, in every hierarchy that there is.
  [[nodiscard]] std::vector<std::string> folders(const std::string& cgroup) const;
  // Of a controller of version 1; with version 2 all are the same.
  [[nodiscard]] std::string folder(const char* controller, const std::string& cgroup) const;

  std::string root_;
  bool unified_;
};

// The whole of a small file; empty when it cannot be read.
std::string read_small_file(const std::string& path);
// "name value" lines, as in memory.stat and cpu.stat.
std::optional<uint64_t> stat_field(std::string_view text, std::string_view name);
// A file that holds one number; nothing when it is not there or says something else ("max").
std::optional<uint64_t> read_number(const std::string& path);

}  // namespace orlop::agent
