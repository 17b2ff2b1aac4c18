// Makes one container run: its image, its settings, its creation, its start.
//
// Threads: the pod's worker.
#pragma once

#include "plugins/node-agent/backoff.hpp"
#include "plugins/node-agent/container_settings.hpp"
#include "plugins/node-agent/images/images.hpp"
#include "plugins/node-agent/lifecycle_hooks.hpp"
#include "plugins/node-agent/pod_pass.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

class ContainerStart {
 public:
  ContainerStart(AgentContext& context, Images& images, Volumes& volumes, Backoff& backoff, LifecycleHooks& hooks)
      : context_(context), images_(images), settings_(context, volumes), backoff_(backoff), hooks_(hooks) {}

  enum class Step {
    kWaits,  // for its image, for a refusal to pass: the reason stands in the pass
    kHeld,   // started; its postStart hook is under way
    kStarted,
  };
  // Takes the next steps. `attempt`: how many of this name there were before it. `target`: the container whose
  // processes it sees; empty: its own.
  Result<Step> start(Pass& pass, const Container& container, uint32_t attempt, const std::string& target = {});

 private:
  // Where its image is; empty while there is none.
  Result<std::string> image_of(Pass& pass, const Container& container);
  Result<std::string> create(Pass& pass, const Container& container, uint32_t attempt,
                             const std::string& image_reference, const std::string& target);
  // Of each container the last ended one is kept, for `kubectl logs --previous` and lastState.
  Status collect_old(Pass& pass, const Container& container);

  AgentContext& context_;
  Images& images_;
  ContainerSettings settings_;
  Backoff& backoff_;
  LifecycleHooks& hooks_;
};

}  // namespace orlop::agent
