#include "plugins/storage-local/service.hpp"

#include "orlop/rpc.hpp"

#include <utility>

namespace orlop::local {

using google::protobuf::Closure;
using google::protobuf::RpcController;

void Lane::start() {
  running_ = true;
  thread_ = std::thread([this] { loop(); });
}

void Lane::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    ready_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Lane::post(RpcController* controller, Closure* done, std::function<Status()> work) {
  const std::lock_guard lock(mutex_);
  work_.push_back([controller, done, work = std::move(work)] {
    const Status status = work();
    if (!status) CallController::of(controller).fail(status);
    done->Run();
  });
  ready_.notify_one();
}

void Lane::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return !running_ || !work_.empty(); });
    if (work_.empty()) return;
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

void ControllerService::GetInfo(RpcController*, const v1::StorageInfoRequest*, v1::StorageInfoResponse* response,
                                Closure* done) {
  response->set_driver(kDriver);
  done->Run();
}

void ControllerService::CreateVolume(RpcController* controller, const v1::CreateVolumeRequest* request,
                                     v1::CreateVolumeResponse* response, Closure* done) {
  lane_.post(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(*response->mutable_volume(), folders_.create(*request));
    return Status::ok();
  });
}

void ControllerService::DeleteVolume(RpcController* controller, const v1::DeleteVolumeRequest* request,
                                     v1::DeleteVolumeResponse*, Closure* done) {
  lane_.post(controller, done, [this, request] { return folders_.remove(request->id()); });
}

void ControllerService::GetCapacity(RpcController* controller, const v1::GetCapacityRequest* request,
                                    v1::GetCapacityResponse* response, Closure* done) {
  lane_.post(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(const int64_t bytes, folders_.available(request->node()));
    response->set_available_bytes(bytes);
    return Status::ok();
  });
}

void NodeService::PublishVolume(RpcController* controller, const v1::PublishVolumeRequest* request,
                                v1::PublishVolumeResponse*, Closure* done) {
  lane_.post(controller, done, [this, request] { return folders_.publish(*request); });
}

void NodeService::UnpublishVolume(RpcController* controller, const v1::UnpublishVolumeRequest* request,
                                  v1::UnpublishVolumeResponse*, Closure* done) {
  lane_.post(controller, done, [this, request] { return folders_.unpublish(*request); });
}

void NodeService::GetHealth(RpcController* controller, const v1::VolumeHealthRequest* request,
                            v1::VolumeHealthResponse* response, Closure* done) {
  lane_.post(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(*response, folders_.health(request->id()));
    return Status::ok();
  });
}

}  // namespace orlop::local
