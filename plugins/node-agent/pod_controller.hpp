// Brings each pod that is bound to this machine from what the runtime has to what the API says, and tells its status.
//
// Level-triggered: each reconcile looks at the store and at the runtime and takes the next steps. Nothing but back-offs
// and running stops is remembered, so a restarted agent adopts what runs: containers are found by the pod's uid in
// their labels. The steps themselves are in the parts: sandbox, containers, container_start, lifecycle_hooks, probes,
// backoff, termination.
//
// Threads: see Reconciler. A pod is with one worker at a time.
#pragma once

#include "orlop/controller.hpp"
#include "plugins/node-agent/backoff.hpp"
#include "plugins/node-agent/container_start.hpp"
#include "plugins/node-agent/containers.hpp"
#include "plugins/node-agent/images/images.hpp"
#include "plugins/node-agent/lifecycle_hooks.hpp"
#include "plugins/node-agent/node_admission.hpp"
#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/probes/agent_checks.hpp"
#include "plugins/node-agent/probes/network_checks.hpp"
#include "plugins/node-agent/probes/prober.hpp"
#include "plugins/node-agent/sandbox.hpp"
#include "plugins/node-agent/static_pods/mirror_pods.hpp"
#include "plugins/node-agent/static_pods/static_pods.hpp"
#include "plugins/node-agent/termination.hpp"
#include "plugins/node-agent/volumes/volumes.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

class PodController final : public Reconciler {
 public:
  // `network`: where checks over the network go, and the timer of probes; null on hollow nodes' tests, which call
  // tick() themselves.
  PodController(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine,
                NetworkChecks* network = nullptr);

  [[nodiscard]] std::string_view name() const override { return "kubelet"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"pods", "configmaps", "secrets", "persistentvolumeclaims"};
  }
  [[nodiscard]] unsigned workers() const override { return context_.config.workers; }
  void attach(KeyQueue& queue) override { context_.registry.set_queue(queue); }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

  // The cgroups above the pods' own; what pods that are gone have left is removed. Once, before the first pod.
  Status prepare_node();
  // Pods of this machine's own; before anything is reconciled. They outlive the controller's use.
  void set_static_pods(StaticPods& pods) { static_pods_ = &pods; }
  // These static pods have come, changed or gone. Any thread.
  void static_changed(const std::set<ObjectKey>& keys) { context_.registry.wake(keys); }
  // Under which conditions the node is; no pod is admitted under pressure that would add to it.
  [[nodiscard]] NodeConditions& conditions() { return context_.conditions; }
  [[nodiscard]] const CgroupTree& cgroups() const { return context_.cgroups.tree(); }
  // Something happened to this container or sandbox; empty: to anything (look at every pod). Any thread.
  void runtime_changed(const std::string& container_id);
  // Asks the probes that are due; the moment (monotonic clock) at which the next one is, 0 for none. Any thread.
  int64_t tick() { return prober_.tick().value_or(0); }
  // Stops pods that run here without standing in the store. Called at the start and now and then.
  Status sweep();
  // The uids of all pods that this node should have.
  [[nodiscard]] Result<std::set<std::string>> uids() const;
  // Removes what is left on the machine of a pod that nobody knows and of which the runtime has nothing.
  Status remove_leftovers(const std::string& uid);
  // Ends the pod's containers, within the pod's own grace or this one, and leaves the pod Failed with this reason and
  // message and a DisruptionTarget condition (TerminationByKubelet), as the kubelet evicts under node pressure. Returns
  // at once; the status is written when nothing runs any more. kNotFound: no such pod is here. Any thread.
  Status evict(const ObjectKey& key, const std::string& uid, const std::string& reason, const std::string& message,
               std::optional<int64_t> grace_s);

 private:
  [[nodiscard]] bool is_ours(const kube::Pod& pod) const;
  // One that a file of this machine names: it runs whatever the API holds.
  Result<Outcome> reconcile_static(const ObjectKey& key, const kube::Pod& pod);
  // One that no file names any more: it ends with its grace.
  Result<Outcome> end_static(const ObjectKey& key, const kube::Pod& pod);
  [[nodiscard]] Outcome again(const Pass& pass) const;
  // One that is not on its way out of the API: what has ended, what is to end, what runs.
  Result<Outcome> live(Pass& pass);
  Result<Outcome> run(Pass& pass);
  Result<Outcome> refuse(Pass& pass, const Refused& refused);
  Result<Outcome> end(Pass& pass, const PodEnding& ending);
  Result<Outcome> terminate(Pass& pass);
  // Removes what pods have left here that are neither in the store nor in `wanted` (uids).
  Status sweep_folders(std::set<std::string> wanted);
  Result<Outcome> clean_up(const ObjectKey& key, const std::string& uid);
  // Whether its activeDeadlineSeconds are over: then it is ending; else the pass comes again when they are.
  bool is_past_deadline(Pass& pass);
  enum class Stage { kRunning, kEnding, kOver };
  Status write_status(Pass& pass, Stage stage, const PodEnding* ending = nullptr);

  AgentContext context_;
  std::set<std::string> node_names_;
  SystemMounter mounter_;
  Volumes volumes_;
  Images images_;
  NodeAdmission admission_;
  AgentChecks checks_;
  Prober prober_;
  LifecycleHooks hooks_;
  Backoff backoff_;
  Termination termination_;
  Sandboxes sandboxes_;
  ContainerStart container_start_;
  Containers containers_;
  MirrorPods mirrors_;
  StaticPods* static_pods_ = nullptr;
};

}  // namespace orlop::agent
