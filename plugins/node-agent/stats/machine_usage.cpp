#include "plugins/node-agent/stats/machine_usage.hpp"

#include <charconv>

#include <sys/statvfs.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

// "Name:   123 kB"
uint64_t kib_field(std::string_view text, std::string_view name) {
  size_t at = text.starts_with(name) ? 0 : text.find("\n" + std::string(name));
  if (at == std::string_view::npos) return 0;
  at = text.find(':', at);
  if (at == std::string_view::npos) return 0;
  at = text.find_first_of("0123456789", at);
  if (at == std::string_view::npos) return 0;
  uint64_t value = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value * 1024;
}

}  // namespace

CgroupUsage memory_of_machine(std::string_view meminfo) {
  CgroupUsage out;
  const uint64_t total = kib_field(meminfo, "MemTotal:");
  const uint64_t free = kib_field(meminfo, "MemFree:");
  const uint64_t inactive = kib_field(meminfo, "Inactive(file):");
  out.memory_usage_bytes = total > free ? total - free : 0;
  out.memory_working_set_bytes = out.memory_usage_bytes > inactive ? out.memory_usage_bytes - inactive : 0;
  out.memory_rss_bytes = kib_field(meminfo, "AnonPages:");
  return out;
}

uint64_t memory_available(std::string_view meminfo) {
  const uint64_t total = kib_field(meminfo, "MemTotal:");
  const uint64_t working_set = memory_of_machine(meminfo).memory_working_set_bytes;
  return total > working_set ? total - working_set : 0;
}

uint64_t cpu_of_machine(std::string_view proc_stat, int64_t ticks_per_second) {
  // cpu user nice system idle iowait irq softirq steal …
  std::string_view line = proc_stat.substr(0, proc_stat.find('\n'));
  uint64_t ticks = 0;
  for (int column = 0; column < 8; ++column) {
    const size_t begin = line.find_first_of("0123456789");
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    line.remove_prefix(static_cast<size_t>(end - line.data()));
    const bool is_idle = column == 3 || column == 4;
    const bool is_stolen = column == 7;
    if (!is_idle && !is_stolen) ticks += value;
  }
  return ticks * (1'000'000'000 / static_cast<uint64_t>(ticks_per_second));
}

CgroupUsage machine_usage(const CgroupTree& tree) {
  CgroupUsage out = memory_of_machine(read_small_file("/proc/meminfo"));
  const auto root = tree.usage("/");
  out.cpu_ns = root ? root->cpu_ns : 0;
  if (out.cpu_ns == 0) out.cpu_ns = cpu_of_machine(read_small_file("/proc/stat"), ::sysconf(_SC_CLK_TCK));
  return out;
}

uint64_t machine_memory_available() {
  return memory_available(read_small_file("/proc/meminfo"));
}

DiskSpace disk_space(const std::string& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return {};
  return {info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize, info.f_files, info.f_favail};
}

}  // namespace orlop::agent
