// What pods ask for, as the scheduler counts it and a node admits it: sums of requests and limits. Pure functions.
// Definitions are Kubernetes' own (k8s.io/component-helpers/resource).
//
// Threads: any.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/quantity.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

namespace orlop::kube {

// cpu in thousandths, memory and ephemeral storage in bytes, everything else by name in whole units.
struct Resources {
  int64_t cpu_milli = 0;
  int64_t memory = 0;
  int64_t ephemeral = 0;
  std::map<std::string, int64_t> extended;

  void add(const Resources& other, int sign = 1) {
    cpu_milli += sign * other.cpu_milli;
    memory += sign * other.memory;
    ephemeral += sign * other.ephemeral;
    for (const auto& [name, amount] : other.extended) extended[name] += sign * amount;
  }
  void keep_larger(const Resources& other) {
    cpu_milli = std::max(cpu_milli, other.cpu_milli);
    memory = std::max(memory, other.memory);
    ephemeral = std::max(ephemeral, other.ephemeral);
    for (const auto& [name, amount] : other.extended) extended[name] = std::max(extended[name], amount);
  }
  bool operator==(const Resources&) const = default;
};

// Of a map of quantities by name (a ResourceList). "pods" is left out: each pod is one.
template <typename Quantities>
Resources read_resources(const Quantities& quantities) {
  Resources out;
  for (const auto& [name, quantity] : quantities) {
    if (name == "cpu") {
      out.cpu_milli = quantity_milli(quantity.string());
    } else if (name == "memory") {
      out.memory = quantity_value(quantity.string());
    } else if (name == "ephemeral-storage") {
      out.ephemeral = quantity_value(quantity.string());
    } else if (name != "pods") {
      out.extended[name] = quantity_value(quantity.string());
    }
  }
  return out;
}

// The containers together, or the largest moment of the init containers (with the sidecars that run by then), whichever
// is more; then the overhead. `of` gives a container's Resources.
template <typename Of>
Resources pod_total(const k8s::io::api::core::v1::PodSpec& spec, const Of& of) {
  Resources running, starting, sidecars;
  for (const auto& container : spec.containers()) running.add(of(container));
  for (const auto& init : spec.initcontainers()) {
    Resources moment = sidecars;
    const Resources own = of(init);
    moment.add(own);
    if (init.restartpolicy() == "Always") sidecars.add(own);
    starting.keep_larger(moment);
  }
  running.add(sidecars);
  running.keep_larger(starting);
  running.add(read_resources(spec.overhead()));
  return running;
}

inline Resources pod_requests(const k8s::io::api::core::v1::PodSpec& spec) {
  return pod_total(spec, [](const auto& container) { return read_resources(container.resources().requests()); });
}
// A container without a limit counts as 0: ask has_limit_everywhere() before this is taken for a limit.
inline Resources pod_limits(const k8s::io::api::core::v1::PodSpec& spec) {
  return pod_total(spec, [](const auto& container) { return read_resources(container.resources().limits()); });
}
// Whether each container, and each sidecar, has a limit of that name.
inline bool has_limit_everywhere(const k8s::io::api::core::v1::PodSpec& spec, const std::string& name) {
  const auto has = [&](const auto& container) {
    const auto found = container.resources().limits().find(name);
    return found != container.resources().limits().end() && quantity_milli(found->second.string()) > 0;
  };
  for (const auto& container : spec.containers()) {
    if (!has(container)) return false;
  }
  for (const auto& init : spec.initcontainers()) {
    if (!has(init)) return false;
  }
  return true;
}

}  // namespace orlop::kube
