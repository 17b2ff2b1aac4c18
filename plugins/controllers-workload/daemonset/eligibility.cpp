#include "plugins/controllers-workload/daemonset/eligibility.hpp"

#include "plugins/controllers-workload/owned_pods.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

using Toleration = k8s::io::api::core::v1::Toleration;

constexpr char kGenerationAnnotation[] = "deprecated.daemonset.template.generation";
constexpr char kGenerationLabel[] = "pod-template-generation";
constexpr char kNameField[] = "metadata.name";

void add_toleration(kube::PodSpec& spec, const std::string& key, const std::string& effect) {
  for (Toleration& there : *spec.mutable_tolerations()) {
    if (there.key() != key || there.effect() != effect || there.operator_() != "Exists" || !there.value().empty()) {
      continue;
    }
    there.clear_tolerationseconds();  // for ever
    return;
  }
  Toleration& toleration = *spec.add_tolerations();
  toleration.set_key(key);
  toleration.set_operator_("Exists");
  toleration.set_effect(effect);
}

// The scheduler must find no other node; what the template asked of nodes is known to hold for this one.
void pin(kube::PodSpec& spec, const std::string& node) {
  auto& required =
      *spec.mutable_affinity()->mutable_nodeaffinity()->mutable_requiredduringschedulingignoredduringexecution();
  required.clear_nodeselectorterms();
  auto& field = *required.add_nodeselectorterms()->add_matchfields();
  field.set_key(kNameField);
  field.set_operator_("In");
  field.add_values(node);
}

std::string label_of(const kube::Pod& pod, const char* name) {
  const auto found = pod.metadata().labels().find(name);
  return found == pod.metadata().labels().end() ? std::string() : found->second;
}

}  // namespace

NodeView view_of(const Node& node) {
  NodeView view;
  view.name = node.metadata().name();
  view.labels.insert(node.metadata().labels().begin(), node.metadata().labels().end());
  view.taints.assign(node.spec().taints().begin(), node.spec().taints().end());
  return view;
}

bool same_view(const Node& a, const Node& b) {
  const NodeView left = view_of(a);
  const NodeView right = view_of(b);
  const auto same_taint = [](const kube::Taint& x, const kube::Taint& y) {
    return x.key() == y.key() && x.value() == y.value() && x.effect() == y.effect();
  };
  return left.labels == right.labels &&
         std::equal(left.taints.begin(), left.taints.end(), right.taints.begin(), right.taints.end(), same_taint);
}

Eligibility::Eligibility(const DaemonSet& set) : spec_(set.spec().template_().spec()) {
  add_daemon_tolerations(spec_);
}

Fit Eligibility::on(const NodeView& node) const {
  if (!spec_.nodename().empty() && spec_.nodename() != node.name) return {};
  if (!kube::matches_node_affinity(spec_, node.name, node.labels)) return {};
  Fit fit{true, true};
  for (const kube::Taint& taint : node.taints) {
    if (taint.effect() != "NoSchedule" && taint.effect() != "NoExecute") continue;
    if (kube::tolerates(spec_, taint)) continue;
    fit.should_run = false;
    if (taint.effect() == "NoExecute") fit.may_stay = false;
  }
  return fit;
}

void add_daemon_tolerations(kube::PodSpec& spec) {
  add_toleration(spec, "node.kubernetes.io/not-ready", "NoExecute");
  add_toleration(spec, "node.kubernetes.io/unreachable", "NoExecute");
  add_toleration(spec, "node.kubernetes.io/disk-pressure", "NoSchedule");
  add_toleration(spec, "node.kubernetes.io/memory-pressure", "NoSchedule");
  add_toleration(spec, "node.kubernetes.io/pid-pressure", "NoSchedule");
  add_toleration(spec, "node.kubernetes.io/unschedulable", "NoSchedule");
  if (spec.hostnetwork()) add_toleration(spec, "node.kubernetes.io/network-unavailable", "NoSchedule");
}

std::string template_generation(const DaemonSet& set) {
  const auto& annotations = set.metadata().annotations();
  const auto found = annotations.find(kGenerationAnnotation);
  if (found == annotations.end()) return {};
  const std::string& text = found->second;
  const bool number =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return number ? text : std::string();
}

kube::Pod new_daemon(const DaemonSet& set, const std::string& hash, const std::string& node) {
  kube::Pod pod = pod_from_template(set.spec().template_(), set.metadata().namespace_(), controller_reference(set));
  auto& labels = *pod.mutable_metadata()->mutable_labels();
  const std::string generation = template_generation(set);
  if (!generation.empty()) labels[kGenerationLabel] = generation;
  labels[kPodRevisionLabel] = hash;
  add_daemon_tolerations(*pod.mutable_spec());
  pin(*pod.mutable_spec(), node);
  return pod;
}

std::string target_node(const kube::Pod& pod) {
  if (!pod.spec().nodename().empty()) return pod.spec().nodename();
  const auto& required = pod.spec().affinity().nodeaffinity().requiredduringschedulingignoredduringexecution();
  for (const auto& term : required.nodeselectorterms()) {
    for (const auto& field : term.matchfields()) {
      if (field.key() == kNameField && field.operator_() == "In" && field.values_size() == 1) return field.values(0);
    }
  }
  return {};
}

bool is_updated(const DaemonSet& set, const kube::Pod& pod, const std::string& hash) {
  if (!hash.empty() && label_of(pod, kPodRevisionLabel) == hash) return true;
  const std::string generation = template_generation(set);
  return !generation.empty() && label_of(pod, kGenerationLabel) == generation;
}

}  // namespace orlop::workload
