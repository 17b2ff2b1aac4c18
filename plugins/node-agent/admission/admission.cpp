#include "plugins/node-agent/admission/admission.hpp"

#include "orlop/placement.hpp"
#include "plugins/node-agent/cgroups/qos.hpp"

#include <set>
#include <tuple>

namespace orlop::agent {
namespace {

using HostPort = std::tuple<std::string, std::string, int32_t>;  // protocol, address ("" for all), port

Refused predicate(const char* name, const char* why) {
  return {name, std::string("Predicate ") + name + " failed: " + why};
}

Refused out_of(const std::string& resource, int64_t requested, int64_t used, int64_t capacity) {
  return {"OutOf" + resource, "Node didn't have enough resource: " + resource +
                                  ", requested: " + std::to_string(requested) + ", used: " + std::to_string(used) +
                                  ", capacity: " + std::to_string(capacity)};
}

Refused check_resources(const k8s::io::api::core::v1::Node& node, const std::vector<kube::Pod>& others,
                        const kube::Pod& pod) {
  const auto& allocatable = node.status().allocatable();
  const auto pods = allocatable.find("pods");
  const auto count = static_cast<int64_t>(others.size());
  if (pods != allocatable.end()) {
    const int64_t most = kube::quantity_value(pods->second.string());
    if (count + 1 > most) return out_of("pods", 1, count, most);
  }
  const kube::Resources capacity = kube::read_resources(allocatable);
  kube::Resources used;
  for (const kube::Pod& other : others) used.add(kube::pod_requests(other.spec()));
  const kube::Resources asked = kube::pod_requests(pod.spec());
  const std::tuple<const char*, int64_t, int64_t, int64_t> amounts[] = {
      {"cpu", asked.cpu_milli, used.cpu_milli, capacity.cpu_milli},
      {"memory", asked.memory, used.memory, capacity.memory},
      {"ephemeral-storage", asked.ephemeral, used.ephemeral, capacity.ephemeral}};
  for (const auto& [name, wanted, taken, all] : amounts) {
    if (wanted > 0 && wanted > all - taken) return out_of(name, wanted, taken, all);
  }
  for (const auto& [name, wanted] : asked.extended) {
    const auto all = capacity.extended.find(name);
    // What the node does not know of may be the cluster's.
    if (wanted == 0 || (all == capacity.extended.end() && name.find('/') != std::string::npos)) continue;
    const auto taken = used.extended.find(name);
    const int64_t already = taken == used.extended.end() ? 0 : taken->second;
    const int64_t there = all == capacity.extended.end() ? 0 : all->second;
    if (wanted > there - already) return out_of(name, wanted, already, there);
  }
  return {};
}

std::set<HostPort> host_ports(const kube::Pod& pod) {
  std::set<HostPort> out;
  const auto add = [&](const auto& container) {
    for (const auto& port : container.ports()) {
      if (port.hostport() == 0) continue;
      out.emplace(port.protocol().empty() ? "TCP" : port.protocol(), port.hostip() == "0.0.0.0" ? "" : port.hostip(),
                  port.hostport());
    }
  };
  for (const auto& container : pod.spec().containers()) add(container);
  for (const auto& init : pod.spec().initcontainers()) {
    if (init.restartpolicy() == "Always") add(init);
  }
  return out;
}

bool ports_collide(const std::set<HostPort>& wanted, const std::set<HostPort>& taken) {
  for (const auto& [protocol, address, port] : wanted) {
    for (const auto& [other_protocol, other_address, other_port] : taken) {
      if (protocol == other_protocol && port == other_port &&
          (address == other_address || address.empty() || other_address.empty())) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

Refused check_admission(const k8s::io::api::core::v1::Node& node, const std::vector<kube::Pod>& others,
                        const kube::Pod& pod) {
  const auto os = pod.metadata().labels().find("kubernetes.io/os");
  if (os != pod.metadata().labels().end() && os->second != "linux") {
    return {"PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"};
  }
  if (pod.spec().has_os() && pod.spec().os().name() != "linux")
    return {"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"};
  Refused short_of = check_resources(node, others, pod);
  if (!short_of.reason.empty()) return short_of;
  if (!kube::matches_node_affinity(pod.spec(), node.metadata().name(), node.metadata().labels()))
    return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
  if (pod.spec().nodename() != node.metadata().name())
    return predicate("NodeName", "node(s) didn't match the requested node name");
  const std::set<HostPort> wanted = host_ports(pod);
  for (const kube::Pod& other : others) {
    if (!wanted.empty() && ports_collide(wanted, host_ports(other)))
      return predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports");
  }
  if (is_static(pod)) return {};
  for (const auto& taint : node.spec().taints()) {
    if (taint.effect() == "NoExecute" && !kube::tolerates(pod.spec(), taint))
      return predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate");
  }
  return {};
}

Refused check_pressure(const std::set<std::string>& conditions, const kube::Pod& pod) {
  if (conditions.empty() || is_critical(pod)) return {};
  if (conditions.size() == 1 && conditions.contains("MemoryPressure")) {
    k8s::io::api::core::v1::Taint taint;
    taint.set_key("node.kubernetes.io/memory-pressure");
    taint.set_effect("NoSchedule");
    if (qos_of(pod) != Qos::kBestEffort || kube::tolerates(pod.spec(), taint)) return {};
  }
  std::string names;
  for (const std::string& condition : conditions) names += (names.empty() ? "" : " ") + condition;
  return {"Evicted", "The node had condition: [" + names + "]. "};
}

}  // namespace orlop::agent
