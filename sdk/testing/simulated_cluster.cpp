#include "orlop/testing/simulated_cluster.hpp"

#include "orlop/object_rules.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace orlop::testing {
namespace {

constexpr char kPods[] = "pods";

// As api-kubernetes does it: a pod on a node is deleted gracefully, any other at once.
v1::Verdict admit(const v1::Review& review) {
  v1::Verdict verdict;
  *verdict.mutable_index_terms() = review.write().index_terms();
  verdict.set_hold(review.write().hold());
  if (review.write().verb() != v1::DELETE) return verdict;
  const auto& options = review.write().delete_options();
  if (review.write().key().kind() != kPods) return verdict;
  kube::Pod pod;
  pod.ParseFromString(review.current());
  const bool at_once = pod.spec().nodename().empty() || kube::is_terminal(pod);
  verdict.set_grace_seconds(at_once ? 0 : options.has_grace_period_seconds() ? options.grace_period_seconds() : 30);
  return verdict;
}

k8s::io::api::core::v1::PodCondition& condition_of(kube::Pod& pod, std::string_view type) {
  for (auto& condition : *pod.mutable_status()->mutable_conditions()) {
    if (condition.type() == type) return condition;
  }
  auto& added = *pod.mutable_status()->add_conditions();
  added.set_type(std::string(type));
  return added;
}

// The one node that a DaemonSet's pod asks for by its name; empty: any.
std::string wanted_node(const kube::Pod& pod) {
  const auto& required = pod.spec().affinity().nodeaffinity().requiredduringschedulingignoredduringexecution();
  for (const auto& term : required.nodeselectorterms()) {
    for (const auto& field : term.matchfields()) {
      if (field.key() == "metadata.name" && field.values_size() == 1) return field.values(0);
    }
  }
  return {};
}

}  // namespace

SimulatedCluster::SimulatedCluster(Simulation& sim, SimulatedClusterOptions options)
    : sim_(sim), options_(std::move(options)) {
  sim_.kernel().on_admit(admit);
  for (unsigned i = 0; i < options_.nodes; ++i) add_node();
  actors();
  sim_.world("cluster", [this] { calm(); });
}

std::vector<kube::Pod> SimulatedCluster::pods() const {
  return sim_.kernel().list<kube::Pod>(kPods, options_.name_space);
}

std::vector<kube::Pod> SimulatedCluster::active_pods() const {
  auto out = pods();
  std::erase_if(out, [](const kube::Pod& pod) { return !kube::is_active(pod); });
  return out;
}

std::vector<std::string> SimulatedCluster::nodes() const {
  std::vector<std::string> out;
  for (const Node& node : sim_.kernel().list<Node>("nodes")) out.push_back(node.metadata().name());
  return out;
}

void SimulatedCluster::bind(kube::Pod pod) {
  const auto known = nodes();
  std::string node = wanted_node(pod);
  if (node.empty() && !known.empty()) node = sim_.pick(known);
  if (std::find(known.begin(), known.end(), node) == known.end()) return;
  pod.mutable_spec()->set_nodename(node);
  condition_of(pod, "PodScheduled").set_status("True");
  sim_.note("bind " + pod.metadata().name() + " to " + node);
  (void)sim_.kernel().update(kPods, pod);
}

void SimulatedCluster::advance_pod(kube::Pod pod) {
  const std::string& name = pod.metadata().name();
  if (kube::is_terminating(pod)) {
    if (pod.metadata().finalizers_size() > 0) return;
    v1::DeleteOptions options;
    options.set_grace_period_seconds(0);
    sim_.note("gone: " + name);
    (void)sim_.kernel().remove(kPods, pod.metadata().namespace_(), name, options);
    return;
  }
  if (kube::is_terminal(pod)) return;
  if (pod.status().phase() != "Running") {
    sim_.note("runs: " + name);
    pod.mutable_status()->set_phase("Running");
    pod.mutable_status()->mutable_starttime()->set_seconds(sim_.now_s());
    (void)sim_.kernel().update(kPods, pod, "status");
  } else if (!kube::is_ready(pod) && !(broken && broken(pod))) {
    set_ready(std::move(pod), true);
  }
}

void SimulatedCluster::end(kube::Pod pod, std::string_view phase) {
  sim_.note(std::string(phase) + ": " + pod.metadata().name());
  pod.mutable_status()->set_phase(std::string(phase));
  condition_of(pod, "Ready").set_status("False");
  (void)sim_.kernel().update(kPods, pod, "status");
}

void SimulatedCluster::set_ready(kube::Pod pod, bool ready) {
  sim_.note((ready ? "ready: " : "not ready: ") + pod.metadata().name());
  auto& condition = condition_of(pod, "Ready");
  condition.set_status(ready ? "True" : "False");
  condition.mutable_lasttransitiontime()->set_seconds(sim_.now_s());
  (void)sim_.kernel().update(kPods, pod, "status");
}

void SimulatedCluster::remove(const kube::Pod& pod) {
  sim_.note("delete " + pod.metadata().name());
  (void)sim_.kernel().remove(kPods, pod.metadata().namespace_(), pod.metadata().name());
}

void SimulatedCluster::add_node() {
  Node node;
  node.mutable_metadata()->set_name("n" + std::to_string(++nodes_made_));
  (*node.mutable_metadata()->mutable_labels())["kubernetes.io/hostname"] = node.metadata().name();
  auto& ready = *node.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("True");
  sim_.note("node " + node.metadata().name() + " joins");
  (void)sim_.kernel().create("nodes", node);
}

void SimulatedCluster::lose_node(const std::string& name) {
  sim_.note("node " + name + " is lost");
  (void)sim_.kernel().remove("nodes", {}, name);
  v1::DeleteOptions options;
  options.set_grace_period_seconds(0);
  for (const kube::Pod& pod : pods()) {
    if (pod.spec().nodename() == name) {
      (void)sim_.kernel().remove(kPods, pod.metadata().namespace_(), pod.metadata().name(), options);
    }
  }
}

void SimulatedCluster::random_pod(const std::function<bool(const kube::Pod&)>& fits,
                                  const std::function<void(kube::Pod)>& act) {
  auto fitting = pods();
  std::erase_if(fitting, [&](const kube::Pod& pod) { return !fits(pod); });
  if (!fitting.empty()) act(sim_.pick(fitting));
}

void SimulatedCluster::actors() {
  const auto bound = [](const kube::Pod& pod) { return !pod.spec().nodename().empty(); };
  const auto runs = [](const kube::Pod& pod) { return kube::is_active(pod) && pod.status().phase() == "Running"; };
  sim_.actor("scheduler", 3, [this, bound] {
    random_pod([&](const kube::Pod& pod) { return !bound(pod) && kube::is_active(pod); },
               [this](kube::Pod pod) { bind(std::move(pod)); });
  });
  sim_.actor("kubelet", 6,
             [this, bound] { random_pod(bound, [this](kube::Pod pod) { advance_pod(std::move(pod)); }); });
  sim_.actor("garbage", 0.5, [this] { collect_orphans(); });
  if (options_.pods_deleted > 0) {
    sim_.actor("user deletes a pod", options_.pods_deleted,
               [this] { random_pod(kube::is_active, [this](const kube::Pod& pod) { remove(pod); }); });
  }
  if (options_.pods_fail > 0) {
    sim_.actor("a pod fails", options_.pods_fail,
               [this, runs] { random_pod(runs, [this](kube::Pod pod) { end(std::move(pod), "Failed"); }); });
  }
  if (options_.pods_unready > 0) {
    sim_.actor("a pod is not ready", options_.pods_unready,
               [this, runs] { random_pod(runs, [this](kube::Pod pod) { set_ready(std::move(pod), false); }); });
  }
  if (options_.pods_complete > 0) {
    sim_.actor("a pod completes", options_.pods_complete, [this, runs] {
      random_pod([&](const kube::Pod& pod) { return runs(pod) && pod.spec().restartpolicy() != "Always"; },
                 [this](kube::Pod pod) { end(std::move(pod), "Succeeded"); });
    });
  }
  if (options_.nodes_lost > 0) {
    sim_.actor("a node is lost", options_.nodes_lost, [this] {
      const auto known = nodes();
      if (known.size() > 1) lose_node(sim_.pick(known));
    });
    sim_.actor("a node joins", options_.nodes_lost, [this] {
      if (nodes().size() < options_.nodes + 1) add_node();
    });
  }
}

void SimulatedCluster::calm() {
  collect_orphans();
  for (kube::Pod& pod : pods()) {
    if (kube::is_terminating(pod) || !pod.spec().nodename().empty()) {
      const bool may_complete = options_.pods_complete > 0 && pod.spec().restartpolicy() != "Always";
      if (may_complete && kube::is_active(pod) && kube::is_ready(pod)) {
        end(std::move(pod), "Succeeded");
      } else {
        advance_pod(std::move(pod));
      }
    } else if (kube::is_active(pod)) {
      bind(std::move(pod));
    }
  }
}

bool SimulatedCluster::is_orphan(const kube::Pod& pod) const {
  const auto* owner = kube::controller_of(pod.metadata());
  if (owner == nullptr) return false;
  for (const std::string& kind : owner_kinds) {
    for (const std::string& value : sim_.kernel().list_values(kind, pod.metadata().namespace_())) {
      const auto meta = meta::parse(value);
      if (meta && meta->uid == owner->uid()) return false;
    }
  }
  return true;
}

void SimulatedCluster::collect_orphans() {
  for (const kube::Pod& pod : pods()) {
    if (kube::is_active(pod) && is_orphan(pod)) remove(pod);
  }
}

}  // namespace orlop::testing
