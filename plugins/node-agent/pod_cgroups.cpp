#include "plugins/node-agent/pod_cgroups.hpp"

#include "orlop/kube/quantity.hpp"
#include "plugins/node-agent/pod_config.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
constexpr char kRoot[] = "/sys/fs/cgroup";

bool is_unified() {
  return ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
}

void write_value(const fs::path& file, const std::string& value) {
  std::ofstream stream(file);
  stream << value;
}

// The sum of the containers' limits; nothing when one of them has none.
std::optional<int64_t> total_limit(const kube::Pod& pod, const char* name, bool milli) {
  int64_t total = 0;
  for (const auto& container : pod.spec().containers()) {
    const auto found = container.resources().limits().find(name);
    if (found == container.resources().limits().end()) return std::nullopt;
    total += milli ? kube::quantity_milli(found->second.string()) : kube::quantity_value(found->second.string());
  }
  return total;
}

void remove_below(const fs::path& root, const std::string& uid) {
  std::error_code error;
  for (const char* tier : {"orlop", "orlop/burstable", "orlop/besteffort"}) {
    const fs::path pod = root / tier / ("pod" + uid);
    if (!fs::exists(pod, error)) continue;
    for (const auto& entry : fs::directory_iterator(pod, error)) {
      if (entry.is_directory(error)) ::rmdir(entry.path().c_str());
    }
    ::rmdir(pod.c_str());
  }
}

}  // namespace

void prepare_pod_cgroup(const kube::Pod& pod) {
  const std::string inner = pod_cgroup(pod).substr(1);
  const auto memory = total_limit(pod, "memory", false);
  const auto cpu = total_limit(pod, "cpu", true);
  std::error_code error;
  if (is_unified()) {
    const fs::path folder = fs::path(kRoot) / inner;
    fs::create_directories(folder, error);
    if (memory) write_value(folder / "memory.max", std::to_string(*memory));
    if (cpu) write_value(folder / "cpu.max", std::to_string(std::max<int64_t>(1000, *cpu * 100)) + " 100000");
    return;
  }
  if (memory) {
    const fs::path folder = fs::path(kRoot) / "memory" / inner;
    fs::create_directories(folder, error);
    write_value(folder / "memory.limit_in_bytes", std::to_string(*memory));
  }
  if (cpu) {
    const fs::path folder = fs::path(kRoot) / "cpu" / inner;
    fs::create_directories(folder, error);
    write_value(folder / "cpu.cfs_period_us", "100000");
    write_value(folder / "cpu.cfs_quota_us", std::to_string(std::max<int64_t>(1000, *cpu * 100)));
  }
}

void remove_pod_cgroup(const std::string& uid) {
  if (is_unified()) {
    remove_below(kRoot, uid);
    return;
  }
  std::error_code error;
  for (const auto& controller : fs::directory_iterator(kRoot, error)) {
    if (controller.is_directory(error) && !controller.is_symlink(error)) remove_below(controller.path(), uid);
  }
}

}  // namespace orlop::agent
