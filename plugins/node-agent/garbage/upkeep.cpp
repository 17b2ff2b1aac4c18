#include "plugins/node-agent/garbage/upkeep.hpp"

#include <utility>

namespace orlop::agent {

Upkeep::Upkeep(Host host, const AgentConfig& config, const RuntimeClient& runtime, ContainerGarbage::WantedPods wanted,
               ContainerGarbage::RemovePod remove_pod, std::function<void()> on_images)
    : events_(host, "kubelet", config.node_names.front()),
      logs_(host, runtime, config.logs_folder, {config.log_bytes_max, config.log_files_max}),
      containers_(host, runtime, {config.logs_folder, config.pods_folder}, std::move(wanted), std::move(remove_pod)),
      images_(host, runtime, events_, config.node_names.front(),
              {config.image_gc_high_percent, config.image_gc_low_percent, config.image_gc_min_age_s}, disk_space),
      housekeeper_(host, logs_, containers_, images_, std::move(on_images)) {}

}  // namespace orlop::agent
