// The two services of capability `storage` over Folders.
//
// Threads: methods come on threads of the kernel and must return at once: each is done on one thread of its own queue.
#pragma once

#include "orlop/v1/storage.pb.h"
#include "plugins/storage-local/folders.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace orlop::local {

inline constexpr char kDriver[] = "orlop.io/local";

// Work for one thread, in order. What waits when it is stopped is done first.
class Lane {
 public:
  ~Lane() { stop(); }
  void start();
  void stop();
  void post(google::protobuf::RpcController* controller, google::protobuf::Closure* done, std::function<Status()> work);

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> work_;  // guarded by mutex_
  bool running_ = false;                    // guarded by mutex_
  std::thread thread_;
};

class ControllerService final : public v1::StorageController {
 public:
  // Both outlive this.
  ControllerService(Folders& folders, Lane& lane) : folders_(folders), lane_(lane) {}
  void GetInfo(google::protobuf::RpcController* controller, const v1::StorageInfoRequest* request,
               v1::StorageInfoResponse* response, google::protobuf::Closure* done) override;
  void CreateVolume(google::protobuf::RpcController* controller, const v1::CreateVolumeRequest* request,
                    v1::CreateVolumeResponse* response, google::protobuf::Closure* done) override;
  void DeleteVolume(google::protobuf::RpcController* controller, const v1::DeleteVolumeRequest* request,
                    v1::DeleteVolumeResponse* response, google::protobuf::Closure* done) override;
  void GetCapacity(google::protobuf::RpcController* controller, const v1::GetCapacityRequest* request,
                   v1::GetCapacityResponse* response, google::protobuf::Closure* done) override;

 private:
  Folders& folders_;
  Lane& lane_;
};

class NodeService final : public v1::StorageNode {
 public:
  // Both outlive this.
  NodeService(Folders& folders, Lane& lane) : folders_(folders), lane_(lane) {}
  void PublishVolume(google::protobuf::RpcController* controller, const v1::PublishVolumeRequest* request,
                     v1::PublishVolumeResponse* response, google::protobuf::Closure* done) override;
  void UnpublishVolume(google::protobuf::RpcController* controller, const v1::UnpublishVolumeRequest* request,
                       v1::UnpublishVolumeResponse* response, google::protobuf::Closure* done) override;
  void GetHealth(google::protobuf::RpcController* controller, const v1::VolumeHealthRequest* request,
                 v1::VolumeHealthResponse* response, google::protobuf::Closure* done) override;

 private:
  Folders& folders_;
  Lane& lane_;
};

}  // namespace orlop::local
