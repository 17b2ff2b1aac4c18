// What this machine is and has; read once at the start, but for what changes.
#pragma once

#include "plugins/node-agent/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::agent {

struct Machine {
  std::string ip;  // as the Node tells it
  std::string host_name;
  int64_t cpus = 1;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;
  std::string machine_id, system_uuid, boot_id, kernel, os_image, architecture;
  std::vector<std::string> dns_servers, dns_searches;
};

// Reads /proc, /etc and the addresses of the interfaces; what cannot be read stays empty.
Machine read_machine(const AgentConfig& config);
// Bytes that may be used without swapping, and those free for data on the disk that holds `folder`.
int64_t available_memory();
int64_t available_disk(const std::string& folder);

}  // namespace orlop::agent
