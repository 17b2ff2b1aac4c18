#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> to_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

void fill_memory(CgroupUsage& out, uint64_t usage, uint64_t inactive_file, uint64_t rss) {
  out.memory_usage_bytes = usage;
  out.memory_working_set_bytes = usage > inactive_file ? usage - inactive_file : 0;
  out.memory_rss_bytes = rss;
}

// Controllers of version 1 in which limits are set here; the runtime makes the others.
constexpr const char* kLimiting[] = {"memory", "cpu", "pids", "hugetlb"};
// Of version 2, for those below to be limited by.
constexpr const char* kDelegated[] = {"+memory", "+cpu", "+pids", "+hugetlb", "+cpuset", "+io"};
constexpr int kRemoveTries = 40;
constexpr auto kRemovePause = std::chrono::milliseconds(5);

Status write_value(const std::string& file, const std::string& value) {
  // Where the kernel has no such file it lets nobody make one.
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written = opened >= 0 && ::write(opened, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  const int error = errno;
  if (opened >= 0) ::close(opened);
  if (written) return Status::ok();
  return {Code::kUnavailable, "cannot write " + value + " to " + file + ": " + std::strerror(error)};
}

// "2Mi" as the kernel's files call it.
std::string page_size_name(const std::string& size) {
  return size == "1Gi" ? "1GB" : "2MB";
}

void kill_processes(const std::string& folder) {
  std::istringstream pids(read_small_file(folder + "/cgroup.procs"));
  for (pid_t pid = 0; pids >> pid;) {
    if (pid > 1) ::kill(pid, SIGKILL);
  }
}

// Depth first. False: something stays.
bool remove_folder(const std::string& folder, bool kill) {
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  std::vector<std::string> inner;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->is_directory(error) && !entry->is_symlink(error)) inner.push_back(entry->path());
  }
  for (const std::string& below : inner) {
    if (!remove_folder(below, kill)) return false;
  }
  for (int attempt = 0; attempt < kRemoveTries; ++attempt) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY || !kill) return false;
    kill_processes(folder);
    std::this_thread::sleep_for(kRemovePause);
  }
  return false;
}

}  // namespace

std::string read_small_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::string out;
  char buffer[8192];
  for (;;) {
    const ssize_t got = ::read(file, buffer, sizeof buffer);
    if (got <= 0) break;
    out.append(buffer, static_cast<size_t>(got));
  }
  ::close(file);
  return out;
}

std::optional<uint64_t> stat_field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return to_number(line.substr(name.size() + 1));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<uint64_t> read_number(const std::string& path) {
  return to_number(read_small_file(path));
}

CgroupTree::CgroupTree(std::string root)
    : root_(std::move(root)), unified_(::access((root_ + "/cgroup.controllers").c_str(), F_OK) == 0) {}

std::string CgroupTree::folder(const char* controller, const std::string& cgroup) const {
  std::string out = root_;
  if (!unified_) out += std::string("/") + controller;
  if (cgroup != "/") out += cgroup;
  return out;
}

bool CgroupTree::exists(const std::string& cgroup) const {
  return ::access(folder("memory", cgroup).c_str(), F_OK) == 0;
}

Result<CgroupUsage> CgroupTree::usage(const std::string& cgroup) const {
  const std::string memory = folder("memory", cgroup);
  if (::access(memory.c_str(), F_OK) != 0) return Status(Code::kNotFound, "no cgroup " + cgroup);
  CgroupUsage out;
  const std::string stat = read_small_file(memory + "/memory.stat");
  out.processes = read_number(folder("pids", cgroup) + "/pids.current").value_or(0);
  if (unified_) {
    const std::string cpu = read_small_file(memory + "/cpu.stat");
    out.cpu_ns = stat_field(cpu, "usage_usec").value_or(0) * 1000;
    fill_memory(out, read_number(memory + "/memory.current").value_or(0), stat_field(stat, "inactive_file").value_or(0),
                stat_field(stat, "anon").value_or(0));
    return out;
  }
  out.cpu_ns = read_number(folder("cpuacct", cgroup) + "/cpuacct.usage").value_or(0);
  fill_memory(out, read_number(memory + "/memory.usage_in_bytes").value_or(0),
              stat_field(stat, "total_inactive_file").value_or(0), stat_field(stat, "total_rss").value_or(0));
  return out;
}

std::vector<std::string> CgroupTree::children(const std::string& cgroup) const {
  std::vector<std::string> out;
  std::error_code error;
  fs::directory_iterator entry(folder("memory", cgroup), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->is_directory(error)) out.push_back(entry->path().filename());
  }
  return out;
}

Status CgroupTree::make(const std::string& cgroup) const {
  if (!unified_) {
    for (const char* controller : kLimiting) {
      if (!fs::is_directory(root_ + "/" + controller)) continue;
      std::error_code error;
      fs::create_directories(folder(controller, cgroup), error);
      if (error) {
        return {Code::kUnavailable, "cannot make the cgroup " + folder(controller, cgroup) + ": " + error.message()};
      }
    }
    return Status::ok();
  }
  // From the top: a controller must be handed down at each level.
  for (size_t at = 0; at != std::string::npos; at = cgroup.find('/', at + 1)) {
    const std::string above = root_ + cgroup.substr(0, at);
    if (at != 0 && ::mkdir(above.c_str(), 0755) != 0 && errno != EEXIST) {
      return {Code::kUnavailable, "cannot make the cgroup " + above + ": " + std::strerror(errno)};
    }
    for (const char* controller : kDelegated)
      static_cast<void>(write_value(above + "/cgroup.subtree_control", controller));
  }
  const std::string whole = folder("", cgroup);
  if (::mkdir(whole.c_str(), 0755) != 0 && errno != EEXIST) {
    return {Code::kUnavailable, "cannot make the cgroup " + whole + ": " + std::strerror(errno)};
  }
  for (const char* controller : kDelegated)
    static_cast<void>(write_value(whole + "/cgroup.subtree_control", controller));
  return Status::ok();
}

Status CgroupTree::set_unified(const std::string& folder, const CgroupLimits& limits) const {
  if (limits.cpu_shares) {
    static_cast<void>(write_value(folder + "/cpu.weight", std::to_string(cpu_weight(*limits.cpu_shares))));
  }
  if (limits.cpu_quota_us) {
    ORLOP_TRY(
        write_value(folder + "/cpu.max", std::to_string(*limits.cpu_quota_us) + " " + std::to_string(kCpuPeriodUs)));
  }
  if (limits.memory_bytes) ORLOP_TRY(write_value(folder + "/memory.max", std::to_string(*limits.memory_bytes)));
  if (limits.pids) ORLOP_TRY(write_value(folder + "/pids.max", std::to_string(*limits.pids)));
  for (const auto& [size, bytes] : limits.hugepages) {
    static_cast<void>(write_value(folder + "/hugetlb." + page_size_name(size) + ".max", std::to_string(bytes)));
  }
  return Status::ok();
}

Status CgroupTree::set(const std::string& cgroup, const CgroupLimits& limits) const {
  if (unified_) return set_unified(folder("", cgroup), limits);
  const std::string cpu = folder("cpu", cgroup);
  if (limits.cpu_shares) static_cast<void>(write_value(cpu + "/cpu.shares", std::to_string(*limits.cpu_shares)));
  if (limits.cpu_quota_us) {
    ORLOP_TRY(write_value(cpu + "/cpu.cfs_period_us", std::to_string(kCpuPeriodUs)));
    ORLOP_TRY(write_value(cpu + "/cpu.cfs_quota_us", std::to_string(*limits.cpu_quota_us)));
  }
  if (limits.memory_bytes) {
    ORLOP_TRY(write_value(folder("memory", cgroup) + "/memory.limit_in_bytes", std::to_string(*limits.memory_bytes)));
  }
  if (limits.pids) ORLOP_TRY(write_value(folder("pids", cgroup) + "/pids.max", std::to_string(*limits.pids)));
  for (const auto& [size, bytes] : limits.hugepages) {
    static_cast<void>(write_value(folder("hugetlb", cgroup) + "/hugetlb." + page_size_name(size) + ".limit_in_bytes",
                                  std::to_string(bytes)));
  }
  return Status::ok();
}

std::vector<std::string> CgroupTree::folders(const std::string& cgroup) const {
  if (unified_) return {folder("", cgroup)};
  std::vector<std::string> out;
  std::error_code error;
  fs::directory_iterator entry(root_, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->is_directory(error) && !entry->is_symlink(error)) out.push_back(entry->path().string() + cgroup);
  }
  return out;
}

Status CgroupTree::remove(const std::string& cgroup, bool kill) const {
  bool gone = true;
  for (const std::string& one : folders(cgroup)) {
    if (::access(one.c_str(), F_OK) == 0) gone = remove_folder(one, kill) && gone;
  }
  return gone ? Status::ok() : Status(Code::kConflict, "the cgroup " + cgroup + " still has processes");
}

}  // namespace orlop::agent
