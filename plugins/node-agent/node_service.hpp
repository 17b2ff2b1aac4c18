// The capability `node`: logs, exec, attach, port-forward and usage of this machine's pods, and emptying volumes.
//
// Threads: methods come on threads of the kernel and must return at once: each is done on a thread of its queue.
#pragma once

#include "orlop/host.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "orlop/v1/node.pb.h"
#include "plugins/node-agent/config.hpp"
#include "plugins/node-agent/logs/log_server.hpp"
#include "plugins/node-agent/runtime_client.hpp"
#include "plugins/node-agent/stats/node_stats.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace orlop::agent {

class NodeService final : public v1::Node {
 public:
  NodeService(Host host, const AgentConfig& config, const RuntimeClient& runtime, LogServer& logs, NodeStats& stats);
  ~NodeService() override { stop(); }
  void start();
  void stop();

  void Exec(google::protobuf::RpcController* controller, const v1::StreamRequest* request, v1::StreamAddress* response,
            google::protobuf::Closure* done) override;
  void Attach(google::protobuf::RpcController* controller, const v1::StreamRequest* request,
              v1::StreamAddress* response, google::protobuf::Closure* done) override;
  void PortForward(google::protobuf::RpcController* controller, const v1::PortForwardRequest* request,
                   v1::StreamAddress* response, google::protobuf::Closure* done) override;
  void Logs(google::protobuf::RpcController* controller, const v1::LogsRequest* request, v1::StreamAddress* response,
            google::protobuf::Closure* done) override;
  void Stats(google::protobuf::RpcController* controller, const v1::StatsRequest* request, v1::StatsResponse* response,
             google::protobuf::Closure* done) override;
  void Recycle(google::protobuf::RpcController* controller, const v1::RecycleRequest* request,
               v1::RecycleResponse* response, google::protobuf::Closure* done) override;

 private:
  // What may take long stands in nobody's way.
  struct Lane {
    std::deque<std::function<void()>> work;  // guarded by mutex_
    std::thread thread;
  };
  void queue(Lane& lane, google::protobuf::RpcController* controller, google::protobuf::Closure* done,
             std::function<Status()> work);
  void queue(google::protobuf::RpcController* controller, google::protobuf::Closure* done,
             std::function<Status()> work) {
    queue(calls_, controller, done, std::move(work));
  }
  void loop(Lane& lane);
  Result<kube::Pod> find_pod(const v1::PodReference& reference) const;
  // The container's id; kBadRequest with the kubelet's words when it does not run.
  Result<std::string> running_container(const kube::Pod& pod, const std::string& name) const;
  Status logs(const v1::LogsRequest& request, v1::StreamAddress& response);

  Host host_;
  const AgentConfig& config_;
  const RuntimeClient& runtime_;
  LogServer& logs_;
  NodeStats& stats_;
  std::mutex mutex_;
  std::condition_variable ready_;
  bool running_ = false;  // guarded by mutex_
  Lane calls_;
  Lane recycles_;
};

// Whose log is meant: the newest container of that name that has run, or the one before it. kBadRequest in the
// kubelet's words when there is none: `previous terminated container "c" in pod "p" not found`, `container "c" in pod
// "p" is waiting to start: ContainerCreating`. The result points into `runtime`. Pure.
Result<const cri::ContainerStatus*> choose_log(const kube::Pod& pod, const RuntimePod& runtime, const std::string& name,
                                               bool previous);

}  // namespace orlop::agent
