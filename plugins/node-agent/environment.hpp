// The variables that a container starts with: its own (literal, from fields, ConfigMaps, Secrets, resources) and those
// of the Services that existed when it starts (k8s.io/api/core/v1 EnvVar, EnvFromSource; enableServiceLinks).
//
// Threads: any; reads the store.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/expand.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orlop::agent {

struct EnvironmentInputs {
  const kube::Pod* pod = nullptr;
  const Container* container = nullptr;
  std::string pod_ip;
  std::string host_ip;
  int64_t cpu_milli_total = 0;
  int64_t memory_total = 0;
  int64_t disk_total = 0;
  std::vector<std::string> pod_ips;  // with pod_ip; empty: that one alone
};

// kNotFound: a ConfigMap, Secret or key that is not optional is absent; the message is the kubelet's
// ("configmap \"x\" not found", "couldn't find key k in ConfigMap ns/x"). Keys of envFrom that are no names of
// variables are left out, each source's in a sentence in `skipped` when that is given.
Result<Environment> make_environment(const Host& host, const EnvironmentInputs& inputs,
                                     std::vector<std::string>* skipped = nullptr);

// What a fieldRef names: "metadata.name", "metadata.labels['x']", "spec.nodeName", "status.podIP", …; nothing for an
// unknown path.
std::optional<std::string> field_value(const EnvironmentInputs& inputs, const std::string& path);

// What a resourceFieldRef names, divided by its divisor and rounded up, e.g. "limits.cpu".
Result<std::string> resource_value(const EnvironmentInputs& inputs, const Container& container,
                                   const std::string& resource, const std::string& divisor);
// The same of the container that the reference names, or of that of the inputs. kInvalid: there is no such container.
Result<std::string> resource_of(const EnvironmentInputs& inputs,
                                const k8s::io::api::core::v1::ResourceFieldSelector& reference);

}  // namespace orlop::agent
