#include "plugins/sched-default/model.hpp"

#include "orlop/storage.hpp"

#include <algorithm>
#include <utility>

namespace orlop::sched {
namespace {

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
  out.requests = kube::pod_requests(spec);
  for (const auto& container : spec.containers()) {
    for (const auto& port : container.ports()) {
      if (port.hostport() == 0) continue;
      const std::string address = port.hostip() == "0.0.0.0" ? "" : port.hostip();
      out.host_ports.emplace_back(port.protocol().empty() ? "TCP" : port.protocol(), address, port.hostport());
    }
  }
  for (const auto& volume : spec.volumes()) {
    if (auto claim = storage::claim_name(pod, volume)) out.claims.push_back(std::move(*claim));
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
  out.allocatable = kube::read_resources(allocatable);
  const auto pods = allocatable.find("pods");
  out.pods_max = pods == allocatable.end() ? 0 : kube::quantity_value(pods->second.string());
  for (const core::Taint& taint : out.taints)
    out.preferring_no_schedule += taint.effect() == "PreferNoSchedule" ? 1 : 0;
  return out;
}

}  // namespace orlop::sched
