// The machine and its pods as the pressure manager sees them.
//
// Threads: one at a time.
#pragma once

#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/pressure/ranking.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/stats/usage_source.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace orlop::agent {

class NodeObserver {
 public:
  NodeObserver(const AgentConfig& config, const RuntimeClient& runtime, std::unique_ptr<UsageSource> source)
      : config_(config), runtime_(runtime), source_(std::move(source)) {}

  Observations observe();
  // By uid; pods that cannot be measured are absent.
  std::map<std::string, PodMeasure> measure();
  std::map<std::string, PodDisk> measure_disk(const std::set<std::string>& uids);
  // Ended containers that nobody needs: all but the last of each name, and all of pods that have ended.
  void remove_dead_containers(const std::set<std::string>& ended_uids);

 private:
  const AgentConfig& config_;
  const RuntimeClient& runtime_;
  std::unique_ptr<UsageSource> source_;
  std::string image_folder_;  // where the runtime keeps images; asked once
};

}  // namespace orlop::agent
