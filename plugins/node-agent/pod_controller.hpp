// Brings each pod that is bound to this machine from what the runtime has to what the API says, and tells its status.
//
// Level-triggered: each reconcile looks at the store and at the runtime and takes the next steps. Nothing but back-offs
// and running stops is remembered, so a restarted agent adopts what runs: containers are found by the pod's uid in
// their labels.
//
// Threads: see Reconciler. A pod is with one worker at a time; `memory_` is shared under its mutex.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/images.hpp"
#include "plugins/node-agent/machine.hpp"
#include "plugins/node-agent/pod_status.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/volumes.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

class PodController final : public Reconciler {
 public:
  PodController(Host host, const AgentConfig& config, const RuntimeClient& runtime, const Machine& machine);

  [[nodiscard]] std::string_view name() const override { return "kubelet"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"pods"}; }
  [[nodiscard]] unsigned workers() const override { return config_.workers; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

  // Something happened to this container or sandbox; empty: to anything (look at every pod). Any thread.
  void runtime_changed(const std::string& container_id);
  // Stops pods that run here without standing in the store. Called at the start and now and then.
  Status sweep();

 private:
  // Why a container could not be created or started. It is not tried again before that moment, whatever else changes,
  // unless its definition does.
  struct Refusal {
    WaitingReason why;
    int64_t again_at_ns = 0;
    std::string definition;
  };
  // What is remembered of one pod while it is here.
  struct Memory {
    std::string uid;
    std::map<std::string, int> crashes;      // by container: failures in a row
    std::map<std::string, Refusal> refused;  // by container
    std::set<std::string> stopping;          // container ids with a StopContainer under way
    std::set<std::string> told;              // events that are told once
    bool resolved = false;                   // its volumes are ready
  };
  // One pass over one pod.
  struct Pass {
    ObjectKey key;
    Stored<kube::Pod> stored;
    RuntimePod runtime;
    std::shared_ptr<Memory> memory;
    std::map<std::string, WaitingReason> waiting;
    int64_t again_at_ns = 0;
    [[nodiscard]] const kube::Pod& pod() const { return stored.object; }
    void again_at(int64_t at_ns) {
      if (again_at_ns == 0 || at_ns < again_at_ns) again_at_ns = at_ns;
    }
  };

  [[nodiscard]] bool is_ours(const kube::Pod& pod) const;
  std::shared_ptr<Memory> remember(const ObjectKey& key, const std::string& uid, std::string& other_uid);
  void forget(const ObjectKey& key);
  void note_ids(const ObjectKey& key, const RuntimePod& runtime);

  Result<Outcome> run(Pass& pass);
  Status ensure_sandbox(Pass& pass);
  Status run_containers(Pass& pass);
  // Whether the containers behind it may go on.
  Result<bool> advance(Pass& pass, const Container& container, bool is_init);
  Result<std::string> create(Pass& pass, const Container& container, uint32_t attempt,
                             const std::string& image_reference);
  Status collect_old(Pass& pass, const Container& container);
  // Whether it was refused a moment ago: then the reason stands in the status.
  bool is_refused(Pass& pass, const Container& container);
  bool in_backoff(Pass& pass, const Container& container, const cri::ContainerStatus& ended);

  Result<Outcome> terminate(Pass& pass);
  // Begins to stop what runs. True once nothing runs any more.
  bool stop_containers(Pass& pass, int64_t grace_s, bool tell);
  Status remove_sandboxes(const RuntimePod& runtime);
  Result<Outcome> clean_up(const ObjectKey& key, const std::string& uid);
  Status write_status(Pass& pass);
  void refuse(Pass& pass, const Container& container, const std::string& reason, const Status& why, const char* event);

  Host host_;
  const AgentConfig& config_;
  const RuntimeClient& runtime_;
  const Machine& machine_;
  std::set<std::string> node_names_;
  EventRecorder events_;
  Objects<kube::Pod> pods_;
  Volumes volumes_;
  Images images_;

  std::mutex mutex_;
  KeyQueue* queue_ = nullptr;  // guarded by mutex_, as is all below
  std::map<ObjectKey, std::shared_ptr<Memory>> memory_;
  std::map<std::string, ObjectKey> keys_;  // by container and sandbox id
};

}  // namespace orlop::agent
