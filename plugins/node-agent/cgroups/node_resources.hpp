// What a node has and what of it pods may ask for. Pure but for read_hugepages().
//
// Follows the kubelet: allocatable is capacity without what is reserved for the system and for Orlop and without what
// hard eviction thresholds keep free; huge pages are taken out of memory.
#pragma once

#include "orlop/pod_resources.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orlop::agent {

// "cpu=100m", "memory=256Mi", "ephemeral-storage=1Gi", "pid=1000". kInvalid: it cannot be read.
Result<kube::Resources> parse_reserved(const std::string& option, const std::vector<std::string>& entries);

// Bytes set aside by size, "2Mi" and "1Gi", as the kernel has them; sizes that it does not know are absent.
std::map<std::string, int64_t> read_hugepages(const std::string& folder = "/sys/kernel/mm/hugepages");

struct NodeResources {
  kube::Resources amounts;
  int64_t pods = 0;
};

// `kept_free`: what hard eviction thresholds say of memory and ephemeral storage. Nothing falls below 0.
NodeResources allocatable_of(const NodeResources& capacity, const kube::Resources& system_reserved,
                             const kube::Resources& own_reserved, const kube::Resources& kept_free);

// As a ResourceList: memory and storage in Ki where whole, huge pages as quantities.
std::map<std::string, std::string> to_quantities(const NodeResources& resources);

}  // namespace orlop::agent
