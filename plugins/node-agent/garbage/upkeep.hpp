// All that keeps a machine tidy, put together: logs, leftovers of pods, images.
//
// Threads: see Housekeeper.
#pragma once

#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/garbage/housekeeper.hpp"

#include <functional>

namespace orlop::agent {

class Upkeep {
 public:
  // `config` and `runtime` outlive it. `on_images`: what images().node_images() says has changed.
  Upkeep(Host host, const AgentConfig& config, const RuntimeClient& runtime, ContainerGarbage::WantedPods wanted,
         ContainerGarbage::RemovePod remove_pod, std::function<void()> on_images);

  void start() { housekeeper_.start(); }
  void stop() { housekeeper_.stop(); }
  // Something happened in the runtime.
  void note_event() { housekeeper_.note_event(); }
  [[nodiscard]] ImageGarbage& images() { return images_; }

 private:
  EventRecorder events_;
  LogRotation logs_;
  ContainerGarbage containers_;
  ImageGarbage images_;
  Housekeeper housekeeper_;
};

}  // namespace orlop::agent
