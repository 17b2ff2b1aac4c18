// Brings each pod that is bound to this machine from what the runtime has to what the API says, and tells its status.
//
// Level-triggered: each reconcile looks at the store and at the runtime and takes the next steps. Nothing but back-offs
// and running stops is remembered, so a restarted agent adopts what runs: containers are found by the pod's uid in
// their labels. The steps themselves are in the parts: sandbox, containers, container_start, backoff, termination.
//
// Threads: see Reconciler. A pod is with one worker at a time.
#pragma once

#include "orlop/controller.hpp"
#include "plugins/node-agent/backoff.hpp"
#include "plugins/node-agent/container_start.hpp"
#include "plugins/node-agent/containers.hpp"
#include "plugins/node-agent/images/images.hpp"
#include "plugins/node-agent/node_admission.hpp"
#include "plugins/node-agent/pod_pass.hpp"
#include "plugins/node-agent/sandbox.hpp"
#include "plugins/node-agent/static_pods/mirror_pods.hpp"
#include "plugins/node-agent/static_pods/static_pods.hpp"
#include "plugins/node-agent/termination.hpp"
#include "plugins/node-agent/volumes.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

class PodController final : public Reconciler {
 public:
  PodController(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine);

  [[nodiscard]] std::string_view name() const override { return "kubelet"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"pods"}; }
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
  Result<Outcome> run(Pass& pass);
  Result<Outcome> refuse(Pass& pass, const Refused& refused);
  Result<Outcome> end(Pass& pass, const PodEnding& ending);
  Result<Outcome> terminate(Pass& pass);
  Result<Outcome> clean_up(const ObjectKey& key, const std::string& uid);
  Status write_status(Pass& pass, const PodEnding* ending = nullptr);

  AgentContext context_;
  std::set<std::string> node_names_;
  Volumes volumes_;
  Images images_;
  NodeAdmission admission_;
  Backoff backoff_;
  Termination termination_;
  Sandboxes sandboxes_;
  ContainerStart container_start_;
  Containers containers_;
  MirrorPods mirrors_;
  StaticPods* static_pods_ = nullptr;
};

}  // namespace orlop::agent
