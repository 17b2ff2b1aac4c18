#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <charconv>
#include <filesystem>
#include <utility>

#include <fcntl.h>
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

}  // namespace orlop::agent
