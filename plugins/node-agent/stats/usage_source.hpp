// Where readings come from: the machine's cgroups, or a hollow runtime's own account.
//
// Threads: one at a time.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/cgroups/cgroup_tree.hpp"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/stats/reading.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace orlop::agent {

class UsageSource {
 public:
  virtual ~UsageSource() = default;
  // Blocks for as long as the runtime takes, if it is asked at all. Failures are the runtime's.
  virtual Result<Reading> take() = 0;
};

// Reads the cgroups. The runtime is asked (twice, for all pods together) only when a cgroup is there whose name is not
// known yet.
class CgroupSource final : public UsageSource {
 public:
  CgroupSource(Host host, const RuntimeClient& runtime, CgroupTree tree)
      : host_(host), runtime_(runtime), tree_(std::move(tree)) {}
  Result<Reading> take() override;

 private:
  struct Known {
    std::string name;  // empty: not a container of ours (a sandbox, or another runtime's)
    int64_t created_ns = 0;
  };
  struct KnownPod {
    v1::PodReference reference;
    int64_t started_unix_ns = 0;
    std::map<std::string, Known> containers;  // by id
  };

  Status learn();
  // A pod's cgroups into the reading; false when the runtime should be asked what they are.
  bool read_pod(const std::string& cgroup, const std::string& uid, Reading& out) const;
  bool read_tiers(Reading& out) const;

  Host host_;
  const RuntimeClient& runtime_;
  CgroupTree tree_;
  std::map<std::string, KnownPod> pods_;  // by uid
  std::set<std::string> foreign_;         // uids and ids that the runtime does not know
};

// Asks the runtime, and tells it first what annotations hollow.orlop.dev/… on running pods have become.
class HollowSource final : public UsageSource {
 public:
  HollowSource(Host host, const AgentConfig& config, const RuntimeClient& runtime)
      : host_(host), config_(config), runtime_(runtime) {}
  Result<Reading> take() override;

 private:
  Status tell_loads(const cri::ListContainerStatsResponse& stats, bool& changed);

  Host host_;
  const AgentConfig& config_;
  const RuntimeClient& runtime_;
  std::map<std::string, std::string> told_;  // by container id: what its load was told to be
};

}  // namespace orlop::agent
