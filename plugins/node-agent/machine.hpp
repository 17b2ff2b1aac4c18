// What this machine is and has; read once at the start, but for what changes.
#pragma once

#include "orlop/pod_resources.hpp"
#include "plugins/node-agent/config.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::agent {

struct Machine {
  // All that pods could ask for.
  [[nodiscard]] kube::Resources capacity() const;

  std::string ip;  // as the Node tells it
  std::string host_name;
  int64_t cpus = 1;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;                    // of the disk that holds the pods' volumes and logs
  std::map<std::string, int64_t> hugepages;  // bytes by size, "2Mi" and "1Gi"
  std::string machine_id, system_uuid, boot_id, kernel, os_image, architecture;
  std::vector<std::string> dns_servers, dns_searches;
};

// Reads /proc, /etc and the addresses of the interfaces; what cannot be read stays empty.
Machine read_machine(const AgentConfig& config);

}  // namespace orlop::agent
