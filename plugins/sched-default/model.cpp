#include "plugins/sched-default/model.hpp"

#include "orlop/kube/quantity.hpp"

#include <algorithm>
#include <utility>

namespace orlop::sched {
namespace {

template <typename Map>
Resources read_resources(const Map& quantities) {
  Resources out;
  for (const auto& [name, quantity] : quantities) {
    if (name == "cpu") {
      out.cpu_milli = kube::quantity_milli(quantity.string());
    } else if (name == "memory") {
      out.memory = kube::quantity_value(quantity.string());
    } else if (name == "ephemeral-storage") {
      out.ephemeral = kube::quantity_value(quantity.string());
    } else if (name != "pods") {
      out.extended[name] = kube::quantity_value(quantity.string());
    }
  }
  return out;
}

void keep_larger(Resources& into, const Resources& other) {
  into.cpu_milli = std::max(into.cpu_milli, other.cpu_milli);
  into.memory = std::max(into.memory, other.memory);
  into.ephemeral = std::max(into.ephemeral, other.ephemeral);
  for (const auto& [name, amount] : other.extended) into.extended[name] = std::max(into.extended[name], amount);
}

// The containers together, or the largest moment of the init containers (with the sidecars that run by then), whichever
// is more.
Resources requests_of(const core::PodSpec& spec) {
  Resources running, starting, sidecars;
  for (const auto& container : spec.containers()) running.add(read_resources(container.resources().requests()), 1);
  for (const auto& init : spec.initcontainers()) {
    Resources moment = sidecars;
    const Resources own = read_resources(init.resources().requests());
    moment.add(own, 1);
    if (init.restartpolicy() == "Always") sidecars.add(own, 1);
    keep_larger(starting, moment);
  }
  running.add(sidecars, 1);
  keep_larger(running, starting);
  running.add(read_resources(spec.overhead()), 1);
  return running;
}

PodTerm read_term(const core::PodAffinityTerm& term, const std::string& own_namespace, int32_t weight) {
  PodTerm out;
  out.selects_nothing = !term.has_labelselector();
  out.selector = term.labelselector();
  out.topology_key = term.topologykey();
  out.weight = weight;
  out.namespaces.insert(term.namespaces().begin(), term.namespaces().end());
  // An empty namespace selector means all; one with conditions is taken for all too, since namespaces' labels are not
  // kept.
  out.all_namespaces = term.has_namespaceselector();
  if (out.namespaces.empty() && !term.has_namespaceselector()) out.namespaces.insert(own_namespace);
  return out;
}

}  // namespace

void Resources::add(const Resources& other, int sign) {
  cpu_milli += sign * other.cpu_milli;
  memory += sign * other.memory;
  ephemeral += sign * other.ephemeral;
  for (const auto& [name, amount] : other.extended) extended[name] += sign * amount;
}

PodInfo read_pod(kube::Pod pod, bool keep_pod) {
  PodInfo out;
  const auto& metadata = pod.metadata();
  const auto& spec = pod.spec();
  out.name_space = metadata.namespace_();
  out.name = metadata.name();
  out.uid = metadata.uid();
  out.node = spec.nodename();
  out.scheduler_name = spec.schedulername();
  out.priority = spec.priority();
  out.terminating = kube::is_terminating(pod);
  out.ended = kube::is_terminal(pod);
  out.labels.insert(metadata.labels().begin(), metadata.labels().end());
  if (const auto* owner = kube::controller_of(metadata)) out.controller_uid = owner->uid();
  out.requests = requests_of(spec);
  for (const auto& container : spec.containers()) {
    for (const auto& port : container.ports()) {
      if (port.hostport() == 0) continue;
      const std::string address = port.hostip() == "0.0.0.0" ? "" : port.hostip();
      out.host_ports.emplace_back(port.protocol().empty() ? "TCP" : port.protocol(), address, port.hostport());
    }
  }
  const auto& affinity = spec.affinity();
  for (const auto& term : affinity.podaffinity().requiredduringschedulingignoredduringexecution()) {
    out.affinity.push_back(read_term(term, out.name_space, 0));
  }
  for (const auto& term : affinity.podantiaffinity().requiredduringschedulingignoredduringexecution()) {
    out.anti_affinity.push_back(read_term(term, out.name_space, 0));
  }
  for (const auto& term : affinity.podaffinity().preferredduringschedulingignoredduringexecution()) {
    out.preferred_affinity.push_back(read_term(term.podaffinityterm(), out.name_space, term.weight()));
  }
  for (const auto& term : affinity.podantiaffinity().preferredduringschedulingignoredduringexecution()) {
    out.preferred_anti_affinity.push_back(read_term(term.podaffinityterm(), out.name_space, term.weight()));
  }
  if (keep_pod) out.pod = std::make_shared<const kube::Pod>(std::move(pod));
  return out;
}

NodeInfo read_node(const core::Node& node) {
  NodeInfo out;
  out.name = node.metadata().name();
  out.labels.insert(node.metadata().labels().begin(), node.metadata().labels().end());
  out.taints.assign(node.spec().taints().begin(), node.spec().taints().end());
  out.unschedulable = node.spec().unschedulable();
  const auto& allocatable = node.status().allocatable();
  out.allocatable = read_resources(allocatable);
  const auto pods = allocatable.find("pods");
  out.pods_max = pods == allocatable.end() ? 0 : kube::quantity_value(pods->second.string());
  for (const core::Taint& taint : out.taints)
    out.preferring_no_schedule += taint.effect() == "PreferNoSchedule" ? 1 : 0;
  return out;
}

}  // namespace orlop::sched
