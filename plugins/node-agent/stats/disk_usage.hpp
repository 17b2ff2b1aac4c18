// What pods have on the machine's disk: writable layers (the runtime knows), logs and volumes (their folders are
// walked).
//
// Threads: any.
#pragma once

#include "orlop/result.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace orlop::agent {

struct SpaceUsed {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  SpaceUsed& operator+=(const SpaceUsed& other) {
    bytes += other.bytes;
    inodes += other.inodes;
    return *this;
  }
};

struct ContainerDisk {
  SpaceUsed layer;
  SpaceUsed logs;
};

struct PodDisk {
  std::map<std::string, ContainerDisk> containers;  // by name
  std::map<std::string, SpaceUsed> volumes;         // by name; those that are on the disk of the pods' folder
  [[nodiscard]] SpaceUsed total() const;
};

// What is in the folder, itself included, on the folder's own mount alone; a file with several links counts once.
// Symlinks are not followed. What goes meanwhile is not counted.
SpaceUsed folder_usage(const std::string& folder);

// By pod uid: every pod that has a folder for volumes or logs here, or those of `only` alone. Blocks for as long as the
// walk takes.
std::map<std::string, PodDisk> read_disk_usage(const AgentConfig& config, const RuntimeClient& runtime,
                                               const std::set<std::string>* only = nullptr);

}  // namespace orlop::agent
