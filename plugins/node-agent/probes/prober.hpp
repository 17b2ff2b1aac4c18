// Asks the probes of all containers that run here, each at its time, and remembers what they amount to.
//
// There is no thread of its own: tick() asks what is due and says when to come again; whoever owns the clock calls it
// then (ProbeNetwork's timer, or a test). Threads: any. The pod is looked at again (`changed`) as soon as a value
// changes.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/pods.hpp"
#include "plugins/node-agent/probes/check.hpp"
#include "plugins/node-agent/probes/probe_state.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

// What the probes of one running container say.
struct ProbeVerdict {
  bool started = true;
  bool ready = true;
  std::optional<ProbeKind> failed;  // liveness or startup: it is to be killed
};

// A container that runs, as the pod's worker sees it.
struct Probed {
  const core::Container* container = nullptr;
  std::string id;
  std::string field_path;     // of events: spec.containers{NAME}
  int64_t started_at_ns = 0;  // wall clock
  // What the API said of this same container before the agent knew it: so a restarted agent does not flap.
  bool was_started = false;
  bool was_ready = false;
};

class Prober {
 public:
  struct Hooks {
    std::function<void(const ObjectKey&)> changed;    // a value changed: look at the pod again
    std::function<void(int64_t monotonic_ns)> alarm;  // tick() wants to be called then; may be asked too early
  };

  Prober(Host host, CheckRunner& runner, EventRecorder& events, Hooks hooks)
      : host_(host), runner_(runner), events_(events), hooks_(std::move(hooks)) {}

  // The pod's containers that run now: those that are new are asked from now on, those that are no longer named are
  // forgotten. `ending`: liveness and startup are asked no more.
  void follow(const ObjectKey& key, const kube::Pod& pod, const std::string& pod_ip, const std::vector<Probed>& running,
              bool ending);
  void forget(const ObjectKey& key);

  // A container without probes, or one that is not followed, is started and ready.
  [[nodiscard]] ProbeVerdict verdict(const std::string& container_id) const;

  // Asks what is due. The moment at which something will be due next; nothing when there is nothing.
  std::optional<int64_t> tick();

 private:
  struct Probe {
    ProbeKind kind;
    ProbeState state;
    int64_t due_ns = 0;
    int64_t told_ns = 0;  // when its last failure became an event
    bool running = false;
    std::optional<Check> check;
    std::string refusal;  // why there is no check
  };
  struct Followed {
    ObjectKey key;
    EventRecorder::ObjectReference reference;
    int64_t started_at_ns = 0;
    uint64_t serial = 0;
    bool started = true;
    bool ending = false;
    int64_t scheduled_ns = 0;  // its place in schedule_; 0: none
    std::vector<Probe> probes;
  };
  struct Due {
    std::string id;
    uint64_t serial;
    ProbeKind kind;
    Check check;
  };

  Followed begin(const ObjectKey& key, const kube::Pod& pod, const std::string& pod_ip, const Probed& probed);
  static bool is_asleep(const Followed& followed, const Probe& probe);
  void answered(const std::string& id, uint64_t serial, ProbeKind kind, const CheckResult& result);
  void tell(const EventRecorder::ObjectReference& reference, ProbeKind kind, const CheckResult& result);
  void schedule(const std::string& id, Followed& followed);
  void forget_one(const std::string& id);

  Host host_;
  CheckRunner& runner_;
  EventRecorder& events_;
  Hooks hooks_;
  mutable std::mutex mutex_;
  std::map<std::string, Followed> followed_;            // by container id; guarded by mutex_, as is all below
  std::map<ObjectKey, std::set<std::string>> by_pod_;   // container ids
  std::set<std::pair<int64_t, std::string>> schedule_;  // when each container has something due next
  uint64_t serials_ = 0;
};

}  // namespace orlop::agent
