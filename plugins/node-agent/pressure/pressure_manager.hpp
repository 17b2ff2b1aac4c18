// Keeps the machine from running out of memory, disk and processes: looks, tells the node's conditions, frees what
// nobody uses, and ends pods, one at a time, those first that use more than they asked for.
//
// How often it looks: every 10 s, which costs three small files and two statfs; every second while a memory threshold
// is within twice its value or any is crossed; at once when the kernel tells that pods have taken what was left
// (memory_alarm.hpp). Volumes and layers are walked only of pods with a limit on them, and then no more than a fiftieth
// of the time.
//
// Threads: one of its own between start() and stop(); conditions are for all.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "plugins/node-agent/pressure/memory_alarm.hpp"
#include "plugins/node-agent/pressure/pressure_state.hpp"
#include "plugins/node-agent/pressure/ranking.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace orlop::agent {

// What the manager asks and does; all are called on its thread and may block.
struct PressureActions {
  std::function<Observations()> observe;
  // Of all pods, by uid: memory, processes and disk.
  std::function<std::map<std::string, PodMeasure>()> measure;
  // Of these pods: what they have on the disk.
  std::function<std::map<std::string, PodDisk>(const std::set<std::string>&)> measure_disk;
  std::function<Status(const ObjectKey&, const std::string& uid, const std::string& reason, const std::string& message,
                       std::optional<int64_t> grace_s)>
      evict;
  // Removes what nobody uses (ended containers, images) until so many bytes more are free, or all that can go.
  std::function<void(int64_t bytes)> reclaim_disk;
};

class PressureManager {
 public:
  PressureManager(Host host, std::string node, const EvictionConfig& config, PressureActions actions,
                  NodeConditions& conditions);
  ~PressureManager() { stop(); }
  // `tree` outlives the manager.
  void start(const CgroupTree& tree);
  void stop();

  // One look and what follows from it. Returns after how many nanoseconds the next one is due.
  int64_t look();
  // How far the machine's memory is from its highest hard threshold, by the last look; nothing when there is none.
  [[nodiscard]] std::optional<uint64_t> memory_left() const { return memory_left_; }

 private:
  void run(const CgroupTree& tree);
  std::vector<kube::Pod> active_pods() const;
  // True: something had to go.
  bool end_those_above_their_limits(const std::vector<kube::Pod>& pods);
  void relieve(const Threshold& threshold, Observations observations, const std::vector<kube::Pod>& pods);
  bool reclaim(const Threshold& threshold, Observations& observations);
  bool evict(const kube::Pod& pod, const std::string& message, std::optional<int64_t> grace_s);
  void tell_node(const std::string& reason, const std::string& message);

  Host host_;
  std::string node_;
  const EvictionConfig& config_;
  PressureActions actions_;
  NodeConditions& conditions_;
  EventRecorder events_;
  PressureState state_;
  std::optional<uint64_t> memory_left_;
  std::map<std::string, int64_t> evicting_;  // uids and since when; until the pod is gone or has ended
  int64_t disk_due_ns_ = 0;
  int wake_fd_ = -1;  // written by stop()
  std::thread thread_;
};

}  // namespace orlop::agent
