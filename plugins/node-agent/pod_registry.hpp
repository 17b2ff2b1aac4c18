// The pods that are here: what is remembered of each, whose each container is, and how to have one looked at again.
//
// Threads: any.
#pragma once

#include "orlop/controller.hpp"
#include "plugins/node-agent/pod_status.hpp"
#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

// Why a container could not be created or started. It is not tried again before that moment, whatever else changes,
// unless its definition does.
struct Refusal {
  WaitingReason why;
  int64_t again_at_ns = 0;
  std::string definition;
};

// A lifecycle hook under way. Guarded by the registry's mutex, but for `until_ns`, which never changes.
struct HookRun {
  int64_t until_ns = 0;  // a sleep: over then
  bool done = false;
  bool failed = false;
  std::string why;
};

// A container that is being stopped: its hook first, then its turn, then the runtime's signal.
struct StopState {
  int64_t grace_s = 0;
  int64_t deadline_ns = 0;  // when its grace is over
  std::shared_ptr<HookRun> hook;
  int64_t asked_until_ns = 0;  // when what was asked of the runtime will have killed it
  int calls = 0;               // StopContainer calls under way; guarded
  int64_t again_at_ns = 0;     // after a call that failed; guarded
};

// What is remembered of one pod while it is here. A pod is with one worker at a time, which may use all of this; what
// is used by others too is guarded by the registry's mutex (see PodRegistry::with).
struct PodMemory {
  std::string uid;
  std::map<std::string, int> crashes;                          // by container: failures in a row
  std::map<std::string, Refusal> refused;                      // by container
  std::set<std::string> told;                                  // warnings that are told once
  std::map<std::string, std::shared_ptr<HookRun>> post_start;  // by container id: under way, or failed
  std::map<std::string, std::shared_ptr<StopState>> stops;     // by container id
  std::optional<PodEnding> ending;                             // guarded
  bool config_changed = false;                                 // a ConfigMap or Secret that it waits for; guarded
  std::set<std::string> waits_for;                             // "configmaps/NAME", "secrets/NAME"; guarded
  bool admitted = false;                                       // may run here; guarded
};

class PodRegistry {
 public:
  // Keys that wake() is given go here; it outlives the registry's use.
  void set_queue(KeyQueue& queue);
  // False: nothing has been observed yet, so there is nothing that could look at it.
  bool wake(const ObjectKey& key);
  void wake(const std::set<ObjectKey>& keys);
  void wake_all();
  // The pod that this container or sandbox belongs to is looked at; unknown ids are nobody's.
  void wake_owner(const std::string& id);
  // Pods of this namespace that wait for the object ("configmaps/NAME") try again.
  void wake_waiting(const std::string& name_space, const std::string& object);

  // The memory of this pod, made when there is none. `other_uid` is set when another pod of the name is still here: its
  // memory is returned.
  std::shared_ptr<PodMemory> remember(const ObjectKey& key, const std::string& uid, std::string& other_uid);
  // Null: nothing is known of such a pod.
  [[nodiscard]] std::shared_ptr<PodMemory> find(const ObjectKey& key) const;
  void forget(const ObjectKey& key);

  void note_ids(const ObjectKey& key, const RuntimePod& runtime);
  void note_id(const ObjectKey& key, const std::string& id);

  // Runs the function under the mutex that guards the shared part of memories; it must be quick and call nobody.
  template <typename Function>
  auto with(const Function& function) const {
    const std::lock_guard lock(mutex_);
    return function();
  }

 private:
  mutable std::mutex mutex_;
  KeyQueue* queue_ = nullptr;  // guarded by mutex_, as is all below
  std::map<ObjectKey, std::shared_ptr<PodMemory>> memory_;
  std::map<std::string, ObjectKey> keys_;  // by container and sandbox id
};

}  // namespace orlop::agent
