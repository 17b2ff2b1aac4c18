// What the scheduler keeps of nodes and pods: a few numbers and labels for each. Pure data.
#pragma once

#include "orlop/pod_resources.hpp"
#include "orlop/pods.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace orlop::sched {

namespace core = k8s::io::api::core::v1;
using Labels = std::map<std::string, std::string, std::less<>>;

using kube::Resources;

// protocol, host address ("" for all), port
using HostPort = std::tuple<std::string, std::string, int32_t>;

// A required or preferred (anti-)affinity term between pods.
struct PodTerm {
  kube::LabelSelector selector;
  bool selects_nothing = false;  // a term without a selector
  std::set<std::string> namespaces;
  bool all_namespaces = false;
  std::string topology_key;
  int32_t weight = 0;  // preferred terms alone
};

struct PodInfo {
  std::string name_space, name, uid;
  std::string node;  // where it is bound or assumed to be; empty: nowhere
  std::string scheduler_name;
  int32_t priority = 0;
  bool terminating = false;
  bool ended = false;  // Succeeded or Failed: uses nothing any more
  Labels labels;
  std::string controller_uid;  // for spreading what belongs together
  Resources requests;
  std::vector<HostPort> host_ports;
  std::vector<std::string> claims;  // names of the PersistentVolumeClaims that its volumes stand on
  std::vector<PodTerm> affinity, anti_affinity, preferred_affinity, preferred_anti_affinity;
  // Only of pods that are to be placed: the rest of the wishes, read in place.
  std::shared_ptr<const kube::Pod> pod;
};

struct NodeInfo {
  std::string name;
  Labels labels;
  std::vector<core::Taint> taints;
  bool unschedulable = false;
  Resources allocatable;
  int64_t pods_max = 110;
  // What is on it, assumed pods included.
  Resources used;
  int64_t pods = 0;
  std::map<HostPort, int> host_ports;
  std::unordered_map<std::string, int> by_controller;
  int64_t preferring_no_schedule = 0;  // taints with effect PreferNoSchedule
};

// keep_pod: keep the whole message, for a pod that is to be placed.
PodInfo read_pod(kube::Pod pod, bool keep_pod);
NodeInfo read_node(const core::Node& node);

}  // namespace orlop::sched
