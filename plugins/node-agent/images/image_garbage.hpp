// Takes away images that nothing uses when their disk fills, and knows which images are here.
//
// Follows the kubelet: at `high_percent` of the disk images go, those unused for longest first, until `low_percent`
// would be left; never one that a container (running or not) was made from, that the runtime pins, or that has been
// here for less than `min_age_s`. Events about the Node: ImageGCFailed, FreeDiskSpaceFailed, InvalidDiskCapacity.
//
// Threads: any; collections run one at a time. Every method but node_images() blocks on the runtime.
#pragma once

#include "orlop/events.hpp"
#include "orlop/kube/core_v1.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/stats/machine_usage.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

struct ImageGarbageSettings {
  int64_t high_percent = 85;
  int64_t low_percent = 80;
  int64_t min_age_s = 120;
};

using NodeImages = std::vector<k8s::io::api::core::v1::ContainerImage>;

class ImageGarbage {
 public:
  // The disk that holds a folder; zeros when the folder is not there.
  using LookAtDisk = std::function<DiskSpace(const std::string& folder)>;

  ImageGarbage(Host host, const RuntimeClient& runtime, EventRecorder& events, std::string node,
               ImageGarbageSettings settings, LookAtDisk look_at_disk);

  // Looks at the disk and takes away what the settings ask for. A failure is told in an event, too; the first one only
  // here, since a runtime that has just started may not know its disk yet.
  Status collect();
  // Takes away unused images until so many bytes should be free, as far as there are any; returns how many were freed.
  Result<int64_t> free_bytes(int64_t wanted);
  // Lists the images that are here and those in use. True: the list of node_images() has changed since the last look()
  // (by what was found, or by what collect() and free_bytes() took away).
  Result<bool> look();
  // As status.images of the Node has them: the 50 biggest, biggest first, of the last look.
  [[nodiscard]] NodeImages node_images() const;

 private:
  struct Record {
    int64_t found_ns = 0;  // 0: it was here before this agent
    int64_t used_ns = 0;   // 0: never since
    int64_t size_bytes = 0;
    bool pinned = false;
    bool in_use = false;
  };

  Status collect_by_disk();
  Status look_locked();
  Result<int64_t> free_locked(int64_t wanted);
  Result<std::string> image_folder();
  Status learn_pinned();
  void tell(std::string_view reason, const std::string& message);

  Host host_;
  const RuntimeClient& runtime_;
  EventRecorder& events_;
  const std::string node_;
  const ImageGarbageSettings settings_;
  const LookAtDisk look_at_disk_;
  std::mutex work_mutex_;
  std::map<std::string, Record> records_;  // by image id; guarded by work_mutex_, as is all down to list_mutex_
  std::set<std::string> pinned_names_;
  bool knows_pinned_ = false;
  bool looked_ = false;
  bool changed_ = false;
  bool failed_once_ = false;
  std::string folder_;
  mutable std::mutex list_mutex_;
  NodeImages list_;  // guarded by list_mutex_
};

}  // namespace orlop::agent
