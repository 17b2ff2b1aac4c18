// Watches pods, nodes and volumes, keeps the cluster's state, places what waits, writes the bindings in batches.
//
// A pod that fits nowhere waits until something changes that could help (a node came or changed, a pod went), at least
// one second and, failing that, up to a minute; its condition PodScheduled and an event FailedScheduling say why.
//
// Threads: one, between start() and stop(); wake() from any.
#pragma once

#include "orlop/events.hpp"
#include "orlop/host.hpp"
#include "orlop/watch.hpp"
#include "plugins/sched-default/cluster_state.hpp"
#include "plugins/sched-default/engine.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace orlop::sched {

struct SchedulerSettings {
  std::string scheduler_name = "default-scheduler";
  size_t nodes_to_score_min = 100;
  size_t binds_per_commit = 64;
};

class Scheduler {
 public:
  Scheduler(Host host, SchedulerSettings settings);
  ~Scheduler() { stop(); }
  Status start();
  void stop();
  void wake();
  // Tests, instead of start(): one round. Returns how many pods were bound or told why not.
  size_t run_once();

 private:
  struct Waiting {
    PodInfo info;
    uint64_t revision = 0;
    int64_t not_before_ns = 0;  // unschedulable: earliest next try
    int64_t retry_at_ns = 0;    // unschedulable: tried again by then, whatever happens
    int attempts = 0;
    bool parked = false;  // unschedulable until something changes
  };
  struct Binding {
    std::string uid, node;
    uint64_t revision = 0;
    std::shared_ptr<const kube::Pod> pod;
  };
  // By priority (higher first), then by age.
  using QueueKey = std::tuple<int32_t, int64_t, std::string>;

  void loop();
  void observe(const ChangeView& change);
  void observe_pod(const ChangeView& change);
  // What has parked and may go now; `only_with_claims`: for a change of volumes.
  void unpark(bool only_with_claims);
  void take_results();
  size_t schedule_some();
  bool schedule_one(Waiting& waiting, std::vector<Binding>& bindings);
  void commit(std::vector<Binding> bindings);
  void finished(const std::vector<Binding>& bindings, const Status& status);
  void refuse(Waiting& waiting, const Decision& decision);
  // Whether the pod's claims let it be placed now; else it is parked, and told why where that is news.
  bool look_at_volumes(Waiting& waiting, VolumeWishes& wishes);
  // Notes the node on the claims that wait for that, and parks the pod until their volumes are bound.
  void note_node(Waiting& waiting, const VolumeWishes& wishes, const std::string& node);
  void park(Waiting& waiting, int64_t retry_after_ns);
  void enqueue(const Waiting& waiting);
  void drop(const std::string& uid);
  std::optional<int64_t> next_retry() const;

  Host host_;
  SchedulerSettings settings_;
  EventRecorder events_;
  Engine engine_;
  ClusterState state_;
  Watch watch_;
  std::unordered_map<std::string, Waiting> waiting_;  // by uid
  std::set<QueueKey> queue_;                          // what is to be tried now; the last part is the uid
  bool room_changed_ = false;                         // since the last round: what is parked may fit now
  bool volumes_changed_ = false;                      // the same for what has claims
  std::unordered_map<std::string, Binding> assumed_;  // by uid: bound by us, not yet seen in the log

  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;  // guarded by mutex_, as is all below
  bool woken_ = false;
  size_t in_flight_ = 0;
  std::vector<std::pair<std::vector<Binding>, Status>> results_;
  std::thread thread_;
};

}  // namespace orlop::sched
