#include "plugins/node-agent/volumes/empty_dir.hpp"

#include "orlop/kube/quantity.hpp"
#include "plugins/node-agent/files.hpp"

#include <algorithm>
#include <set>

#include <sys/stat.h>

namespace orlop::agent {
namespace {

constexpr char kPagesPrefix[] = "hugepages-";
constexpr char kMediumPrefix[] = "HugePages-";

template <typename Containers>
bool add_limits(const Containers& containers, int64_t& sum, int64_t& largest) {
  for (const auto& container : containers) {
    const auto limit = container.resources().limits().find("memory");
    if (limit == container.resources().limits().end()) return false;
    const int64_t bytes = kube::quantity_value(limit->second.string());
    sum += bytes;
    largest = std::max(largest, bytes);
  }
  return true;
}

// 0: some container has none.
int64_t pod_memory_limit(const kube::Pod& pod) {
  int64_t together = 0, one = 0, unused = 0, ignored = 0;
  if (!add_limits(pod.spec().containers(), together, unused)) return 0;
  if (!add_limits(pod.spec().initcontainers(), ignored, one)) return 0;
  return std::max(together, one);
}

Result<std::string> page_size(const kube::Pod& pod, const std::string& medium) {
  if (medium.starts_with(kMediumPrefix)) return medium.substr(sizeof kMediumPrefix - 1);
  std::set<std::string> sizes;
  const auto collect = [&](const auto& containers) {
    for (const auto& container : containers) {
      for (const auto& [name, quantity] : container.resources().requests()) {
        if (name.starts_with(kPagesPrefix)) sizes.insert(name.substr(sizeof kPagesPrefix - 1));
      }
    }
  };
  collect(pod.spec().containers());
  collect(pod.spec().initcontainers());
  if (sizes.size() == 1) return *sizes.begin();
  return Status(Code::kInvalid, sizes.empty() ? "no resources.requests for huge pages in the pod: medium \"HugePages\" "
                                                "cannot be mounted"
                                              : "medium \"HugePages\" cannot be mounted: the pod requests several "
                                                "huge page sizes");
}

Status mount_memory(Mounter& mounter, const std::string& folder, int64_t bytes) {
  const std::string size = "size=" + std::to_string(bytes);
  // Not into swap, where the kernel can promise it (since 6.4).
  if (mounter.mount("tmpfs", folder, size + ",noswap")) return Status::ok();
  return mounter.mount("tmpfs", folder, size);
}

}  // namespace

int64_t memory_volume_bytes(const kube::Pod& pod, const EmptyDirSource& source, int64_t machine_memory_bytes) {
  int64_t bytes = machine_memory_bytes;
  const int64_t of_pod = pod_memory_limit(pod);
  if (of_pod > 0) bytes = std::min(bytes, of_pod);
  if (!source.sizelimit().string().empty()) {
    const int64_t asked = kube::quantity_value(source.sizelimit().string());
    if (asked > 0) bytes = std::min(bytes, asked);
  }
  return bytes;
}

Status make_empty_dir(Mounter& mounter, const kube::Pod& pod, const EmptyDirSource& source, const std::string& folder,
                      int64_t machine_memory_bytes) {
  struct stat before {};
  const bool is_new = ::lstat(folder.c_str(), &before) != 0;
  ORLOP_TRY(make_folder(folder, 0777));
  const std::string& medium = source.medium();
  if (medium.empty()) {
    if (is_new) ::chmod(folder.c_str(), 0777);  // past the umask: any user of the pod may write
    return Status::ok();
  }
  if (mounter.is_mount_point(folder)) return Status::ok();
  if (medium == "Memory") {
    return mount_memory(mounter, folder, memory_volume_bytes(pod, source, machine_memory_bytes));
  }
  if (medium == "HugePages" || medium.starts_with(kMediumPrefix)) {
    ORLOP_ASSIGN(const std::string size, page_size(pod, medium));
    return mounter.mount("hugetlbfs", folder, "mode=0777,pagesize=" + std::to_string(kube::quantity_value(size)));
  }
  return {Code::kInvalid, "unknown storage medium \"" + medium + "\""};
}

}  // namespace orlop::agent
