// Takes away what pods leave behind: dead containers but the last of each name, old sandboxes, logs of containers and
// folders of pods that are gone. A pod that still has something in the runtime is PodController's own affair.
//
// Follows the kubelet's container garbage collection (one dead container is kept for each name of a pod, for `kubectl
// logs --previous` and lastState).
//
// Threads: one at a time. Blocks on the runtime.
#pragma once

#include "plugins/node-agent/runtime_client.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

struct GarbagePlan {
  std::vector<std::string> containers;  // ids to be removed
  std::vector<std::string> sandboxes;   // ids to be stopped and removed, after the containers
};

// What may go, of all that the runtime has. Pure.
GarbagePlan plan_garbage(const std::vector<cri::Container>& containers, const std::vector<cri::PodSandbox>& sandboxes);

// The uid at the end of a log folder's name "<namespace>_<name>_<uid>"; empty when it is not one.
std::string uid_of_log_folder(const std::string& name);

class ContainerGarbage {
 public:
  struct Folders {
    std::string logs;  // with a folder for each pod: see uid_of_log_folder()
    std::string pods;  // with a folder for each pod: its uid
  };
  // Uids of all pods that this node should have.
  using WantedPods = std::function<Result<std::set<std::string>>()>;
  // Unmounts and removes a pod's folder.
  using RemovePod = std::function<Status(const std::string& uid)>;

  ContainerGarbage(Host host, const RuntimeClient& runtime, Folders folders, WantedPods wanted, RemovePod remove_pod);

  // One look, and what follows from it. What cannot be removed is logged and tried again by the next look.
  Status collect();

 private:
  struct LogFile {
    std::string path;
    std::string attempt;  // "uid/container/attempt"
  };

  [[nodiscard]] std::vector<LogFile> find_log_files(const std::set<std::string>& folders) const;
  void remove(const GarbagePlan& plan);
  void remove_folders(const std::set<std::string>& log_folders, const std::set<std::string>& pod_folders,
                      const std::set<std::string>& kept);
  void note(const std::string& what, const Status& status);

  Host host_;
  const RuntimeClient& runtime_;
  const Folders folders_;
  const WantedPods wanted_;
  const RemovePod remove_pod_;
};

}  // namespace orlop::agent
