// The agent's settings, as manifest.yaml describes them, with the folders that the kernel gives.
#pragma once

#include "orlop/config.hpp"
#include "plugins/node-agent/resources_config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::agent {

struct AgentConfig {
  std::vector<std::string> node_names;  // one, or the hollow ones
  bool hollow = false;
  std::string runtime;  // instance; empty: the first
  std::string node_ip;
  int64_t pods_max = 110;
  unsigned workers = 8;
  int64_t lease_s = 10;
  std::vector<std::string> cluster_dns;
  std::string cluster_domain;
  std::vector<std::string> taints;
  std::vector<std::string> labels;
  int64_t image_pulls_max = 5;
  int64_t image_gc_high_percent = 85;
  int64_t image_gc_low_percent = 80;
  int64_t image_gc_min_age_s = 120;
  int64_t log_bytes_max = 10ll << 20;  // of a container's log before it is rotated; 0: never
  int64_t log_files_max = 5;
  std::string static_pods_folder;
  ResourcesConfig resources;                        // read_resources_config() fills it
  std::string pods_folder;                          // <data>/pods: volumes, hosts files and the like, by uid
  std::string logs_folder;                          // <data>/logs: <namespace>_<name>_<uid>/<container>/<attempt>.log
  std::string run_folder;                           // sockets
  std::string seccomp_folder;                       // <data>/seccomp: profiles of type Localhost
  std::vector<std::string> allowed_unsafe_sysctls;  // "kernel.msg*", "net.core.somaxconn"
};

AgentConfig read_config(const Config& config);

}  // namespace orlop::agent
