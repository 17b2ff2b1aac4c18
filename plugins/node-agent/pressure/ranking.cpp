#include "plugins/node-agent/pressure/ranking.hpp"

#include "orlop/pod_resources.hpp"

#include <algorithm>
#include <tuple>

namespace orlop::agent {
namespace {

using Container = k8s::io::api::core::v1::Container;
constexpr char kEphemeral[] = "ephemeral-storage";

std::string binary(int64_t amount) {
  return kube::Quantity::of(amount, kube::Quantity::Format::kBinarySi).to_string();
}

int64_t used_of(const PodMeasure& use, Signal signal) {
  switch (signal) {
    case Signal::kMemoryAvailable:
      return static_cast<int64_t>(use.memory_bytes);
    case Signal::kNodeFsAvailable:
    case Signal::kImageFsAvailable:
      return static_cast<int64_t>(use.disk.total().bytes);
    case Signal::kNodeFsInodesFree:
    case Signal::kImageFsInodesFree:
      return static_cast<int64_t>(use.disk.total().inodes);
    case Signal::kPidAvailable:
      return static_cast<int64_t>(use.processes);
  }
  return 0;
}

int64_t asked_of(const kube::Pod& pod, Signal signal) {
  const kube::Resources requests = kube::pod_requests(pod.spec());
  if (signal == Signal::kMemoryAvailable) return requests.memory;
  return signal == Signal::kNodeFsAvailable || signal == Signal::kImageFsAvailable ? requests.ephemeral : 0;
}

template <typename Quantities>
const std::string* find_quantity(const Quantities& quantities, const char* name) {
  const auto found = quantities.find(name);
  return found == quantities.end() ? nullptr : &found->second.string();
}

// A container that uses more than it asked for, in the message's words; empty for one that does not.
std::string blame(const Candidate& candidate, const Container& container, const std::string& resource) {
  int64_t used = 0;
  if (resource == "memory") {
    const auto found = candidate.use.container_memory.find(container.name());
    if (found == candidate.use.container_memory.end()) return {};
    used = static_cast<int64_t>(found->second);
  } else {
    const auto found = candidate.use.disk.containers.find(container.name());
    if (found == candidate.use.disk.containers.end()) return {};
    used = static_cast<int64_t>(found->second.layer.bytes + found->second.logs.bytes);
  }
  const std::string* asked = find_quantity(container.resources().requests(), resource.c_str());
  if (used <= (asked == nullptr ? 0 : kube::quantity_value(*asked))) return {};
  return "Container " + container.name() + " was using " + binary(used) + ", request is " +
         (asked == nullptr ? "0" : *asked) + ", has larger consumption of " + resource + ". ";
}

bool is_on_disk(const k8s::io::api::core::v1::Volume& volume) {
  return volume.volumesource().has_emptydir() && volume.volumesource().emptydir().medium().empty();
}

int64_t ephemeral_limit(const Container& container) {
  const std::string* limit = find_quantity(container.resources().limits(), kEphemeral);
  return limit == nullptr ? 0 : kube::quantity_value(*limit);
}

}  // namespace

void rank(std::vector<Candidate>& candidates, Signal signal) {
  // Smaller goes first: unmeasured, above its request, of lower priority, with more beyond its request.
  const auto key = [signal](const Candidate& candidate) {
    const int64_t beyond = used_of(candidate.use, signal) - asked_of(candidate.pod, signal);
    const bool exceeds = signal != Signal::kPidAvailable && beyond > 0;
    return std::tuple(candidate.use.measured, !exceeds, candidate.pod.spec().priority(), -beyond);
  };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return key(a) < key(b); });
}

std::string eviction_message(const Candidate& candidate, const Threshold& threshold, const Observations& observations) {
  const std::string resource = resource_of(threshold.signal);
  std::string out = "The node was low on resource: " + resource + ". ";
  const auto observed = observations.find(threshold.signal);
  if (observed != observations.end()) {
    const int64_t quantity = threshold.value.of(observed->second.capacity);
    out += "Threshold quantity: " + binary(quantity) + ", available: " + binary(observed->second.available) + ". ";
  }
  if (resource != "memory" && resource != kEphemeral) return out;
  for (const Container& container : candidate.pod.spec().containers()) out += blame(candidate, container, resource);
  for (const Container& init : candidate.pod.spec().initcontainers()) out += blame(candidate, init, resource);
  return out;
}

bool has_local_storage_limit(const kube::Pod& pod) {
  const auto& volumes = pod.spec().volumes();
  const auto& containers = pod.spec().containers();
  return std::any_of(volumes.begin(), volumes.end(),
                     [](const auto& volume) {
                       return is_on_disk(volume) &&
                              kube::quantity_value(volume.volumesource().emptydir().sizelimit().string()) > 0;
                     }) ||
         std::any_of(containers.begin(), containers.end(),
                     [](const Container& container) { return ephemeral_limit(container) > 0; });
}

std::optional<std::string> local_storage_excess(const kube::Pod& pod, const PodDisk& disk) {
  for (const auto& volume : pod.spec().volumes()) {
    if (!is_on_disk(volume)) continue;
    const std::string& limit = volume.volumesource().emptydir().sizelimit().string();
    const auto used = disk.volumes.find(volume.name());
    if (limit.empty() || used == disk.volumes.end()) continue;
    const int64_t most = kube::quantity_value(limit);
    if (most > 0 && static_cast<int64_t>(used->second.bytes) > most)
      return "Usage of EmptyDir volume \"" + volume.name() + "\" exceeds the limit \"" + limit + "\". ";
  }
  if (kube::has_limit_everywhere(pod.spec(), kEphemeral)) {
    const int64_t most = kube::pod_limits(pod.spec()).ephemeral;
    if (static_cast<int64_t>(disk.total().bytes) > most)
      return "Pod ephemeral local storage usage exceeds the total limit of containers " + binary(most) + ". ";
  }
  for (const Container& container : pod.spec().containers()) {
    const int64_t most = ephemeral_limit(container);
    const auto used = disk.containers.find(container.name());
    if (most == 0 || used == disk.containers.end()) continue;
    if (static_cast<int64_t>(used->second.layer.bytes + used->second.logs.bytes) > most) {
      return "Container " + container.name() + " exceeded its local ephemeral storage limit \"" +
             *find_quantity(container.resources().limits(), kEphemeral) + "\". ";
    }
  }
  return std::nullopt;
}

}  // namespace orlop::agent
