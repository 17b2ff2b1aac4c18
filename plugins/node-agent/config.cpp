#include "plugins/node-agent/config.hpp"

#include "orlop/kube/quantity.hpp"

#include <algorithm>
#include <cctype>

namespace orlop::agent {
namespace {

// Hollow pods cost no work, only waiting for writes.
constexpr unsigned kHollowWorkers = 64;

}  // namespace

AgentConfig read_config(const Config& config) {
  AgentConfig out;
  const int64_t hollow_nodes = config.integer("hollow_nodes");
  out.hollow = hollow_nodes > 0;
  for (int64_t i = 0; i < hollow_nodes; ++i) out.node_names.push_back("hollow-" + std::to_string(i));
  if (!out.hollow) {
    std::string name = config.node_name();
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    out.node_names.push_back(std::move(name));
  }
  out.runtime = config.text("runtime");
  out.node_ip = config.text("node_ip");
  out.pods_max = config.integer("pods_max", 110);
  out.workers = static_cast<unsigned>(config.integer("workers", 8));
  if (out.hollow) out.workers = std::max(out.workers, kHollowWorkers);
  out.lease_s = config.integer("lease_seconds", 10);
  out.cluster_dns = config.texts("cluster_dns");
  out.cluster_domain = config.text("cluster_domain", "cluster.local");
  out.taints = config.texts("taints");
  out.labels = config.texts("labels");
  out.image_pulls_max = config.integer("image_pulls_max", 5);
  out.image_gc_high_percent = config.integer("image_gc_high_percent", 85);
  out.image_gc_low_percent = config.integer("image_gc_low_percent", 80);
  out.image_gc_min_age_s = config.integer("image_gc_min_age_seconds", 120);
  out.log_bytes_max = kube::quantity_value(config.text("container_log_size_max", "10Mi"));
  out.log_files_max = config.integer("container_log_files_max", 5);
  out.static_pods_folder = config.text("static_pods_folder");
  if (out.static_pods_folder.empty()) out.static_pods_folder = config.folder("config") + "/manifests";
  out.pods_folder = config.folder("own_data") + "/pods";
  out.logs_folder = config.folder("own_data") + "/logs";
  out.run_folder = config.folder("own_run");
  out.seccomp_folder = config.folder("own_data") + "/seccomp";
  out.allowed_unsafe_sysctls = config.texts("allowed_unsafe_sysctls");
  return out;
}

}  // namespace orlop::agent
