// The world around controllers that make pods, for a Simulation: nodes that come and go, a scheduler that binds,
// kubelets that run pods, a garbage collector, and accidents. Objects behave as in Kubernetes where a controller sees
// it: a bound pod that is deleted stays, terminating, until its kubelet lets it go.
//
// In the storm each of these does one thing at a time, at random; in the calm they do all that is due, at once: every
// pod is bound, runs and becomes ready (but for those that `broken` names), and what is deleted goes.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"
#include "orlop/testing/simulation.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::testing {

struct SimulatedClusterOptions {
  unsigned nodes = 3;
  std::string name_space = "default";
  // Accidents, as weights of actors; 0: never.
  double pods_deleted = 0;  // by a user
  double pods_fail = 0;     // phase Failed, by themselves or evicted
  double pods_unready = 0;  // for a while
  double nodes_lost = 0;    // with all its pods; another joins later
  // For pods whose restartPolicy is not Always: ends with Succeeded; the rest fail as pods_fail says.
  double pods_complete = 0;
};

class SimulatedCluster {
 public:
  using Node = k8s::io::api::core::v1::Node;

  explicit SimulatedCluster(Simulation& sim, SimulatedClusterOptions options = {});
  SimulatedCluster(const SimulatedCluster&) = delete;
  SimulatedCluster& operator=(const SimulatedCluster&) = delete;

  // Pods for which this is true run and never become ready.
  std::function<bool(const kube::Pod&)> broken;
  // Where the owners of pods are looked for: a pod whose owner is in none of them is collected.
  std::vector<std::string> owner_kinds{"replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"};

  [[nodiscard]] std::vector<kube::Pod> pods() const;
  [[nodiscard]] std::vector<kube::Pod> active_pods() const;
  [[nodiscard]] std::vector<std::string> nodes() const;

  // One pod at a time, as its scheduler, its kubelet or an accident would. Each is what an actor does.
  void bind(kube::Pod pod);
  void advance_pod(kube::Pod pod);  // the next thing that its kubelet does: Running, ready, gone
  void end(kube::Pod pod, std::string_view phase);
  void set_ready(kube::Pod pod, bool ready);
  void remove(const kube::Pod& pod);  // gracefully, as a user
  void add_node();
  void lose_node(const std::string& name);

 private:
  void actors();
  void random_pod(const std::function<bool(const kube::Pod&)>& fits, const std::function<void(kube::Pod)>& act);
  void calm();
  void collect_orphans();
  [[nodiscard]] bool is_orphan(const kube::Pod& pod) const;

  Simulation& sim_;
  SimulatedClusterOptions options_;
  unsigned nodes_made_ = 0;
};

}  // namespace orlop::testing
