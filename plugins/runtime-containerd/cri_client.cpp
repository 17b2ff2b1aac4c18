#include "plugins/runtime-containerd/cri_client.hpp"

#include <future>
#include <mutex>
#include <thread>
#include <unordered_set>

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>

namespace orlop::containerd {

namespace {

std::shared_ptr<grpc::Channel> open_channel(const std::filesystem::path& socket) {
  grpc::ChannelArguments arguments;
  // A unix socket has no host name; containerd's Go server refuses the escaped path that gRPC would send instead.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // containerd is back within a fraction of a second after a crash; gRPC's own seconds of backoff would be all of the
  // outage.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel("unix://" + socket.native(), grpc::InsecureChannelCredentials(), arguments);
}

grpc::ByteBuffer to_buffer(std::string_view bytes) {
  grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::chrono::system_clock::time_point wall_deadline(Deadline deadline) {
  auto left = deadline - std::chrono::steady_clock::now();
  // A deadline of "never" would overflow the other clock.
  left = std::min<std::chrono::steady_clock::duration>(left, std::chrono::hours(24 * 365));
  return std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
}

struct Call {
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  CallDone done;

  void finish() {
    if (!status.ok()) {
      done(Status(code_of_grpc(status.error_code()), status.error_message()), {});
      return;
    }
    grpc::Slice slice;
    if (response.Length() == 0) {
      done(Status(), {});
    } else if (response.TrySingleSlice(&slice).ok() || response.DumpToSingleSlice(&slice).ok()) {
      done(Status(), {reinterpret_cast<const char*>(slice.begin()), slice.size()});
    } else {
      done(Status(Code::kInternal, "the answer's compression is unknown"), {});
    }
  }
};

}  // namespace

Code code_of_grpc(int grpc_code) {
  switch (grpc_code) {
    case grpc::OK:
      return Code::kOk;
    case grpc::CANCELLED:
      return Code::kCancelled;
    case grpc::INVALID_ARGUMENT:
    case grpc::OUT_OF_RANGE:
      return Code::kInvalid;
    case grpc::DEADLINE_EXCEEDED:
      return Code::kTimeout;
    case grpc::NOT_FOUND:
      return Code::kNotFound;
    case grpc::ALREADY_EXISTS:
      return Code::kAlreadyExists;
    case grpc::PERMISSION_DENIED:
      return Code::kForbidden;
    case grpc::RESOURCE_EXHAUSTED:
      return Code::kTooManyRequests;
    case grpc::FAILED_PRECONDITION:
    case grpc::ABORTED:
      return Code::kConflict;
    case grpc::UNIMPLEMENTED:
      return Code::kMethodNotAllowed;
    case grpc::UNAVAILABLE:
      return Code::kUnavailable;
    case grpc::UNAUTHENTICATED:
      return Code::kUnauthorized;
    default:
      return Code::kInternal;
  }
}

struct CriClient::Core {
  explicit Core(const std::filesystem::path& socket) : channel(open_channel(socket)), stub(channel) {}

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      std::unique_ptr<Call> call(static_cast<Call*>(tag));
      {
        std::lock_guard lock(mutex);
        active.erase(call.get());
      }
      call->finish();
    }
  }

  std::shared_ptr<grpc::Channel> channel;
  grpc::GenericStub stub;
  grpc::CompletionQueue queue;
  std::mutex mutex;
  std::unordered_set<Call*> active;  // guarded by mutex
  bool stopped = false;              // guarded by mutex
  std::thread thread;
};

CriClient::CriClient(const std::filesystem::path& socket) : core_(std::make_unique<Core>(socket)) {
  core_->thread = std::thread([core = core_.get()] { core->run(); });
}

CriClient::~CriClient() {
  shutdown();
}

void CriClient::call(std::string_view method, std::string_view request, Deadline deadline, CallDone done,
                     const CallMetadata& metadata) {
  auto call = std::make_unique<Call>();
  call->done = std::move(done);
  call->context.set_deadline(wall_deadline(deadline));
  call->context.set_wait_for_ready(true);
  for (const auto& [key, value] : metadata) call->context.AddMetadata(key, value);
  std::string path = "/" + std::string(method);
  grpc::ByteBuffer buffer = to_buffer(request);
  {
    std::lock_guard lock(core_->mutex);
    if (!core_->stopped) {
      call->reader = core_->stub.PrepareUnaryCall(&call->context, path, buffer, &core_->queue);
      call->reader->StartCall();
      call->reader->Finish(&call->response, &call->status, call.get());
      core_->active.insert(call.release());
      return;
    }
  }
  call->done(Status(Code::kUnavailable, "the runtime's client is stopping"), {});
}

Result<std::string> CriClient::call_and_wait(std::string_view method, std::string_view request, Deadline deadline,
                                             const CallMetadata& metadata) {
  std::promise<Result<std::string>> promise;
  auto future = promise.get_future();
  call(
      method, request, deadline,
      [&promise](const Status& status, std::string_view payload) {
        if (status.is_ok()) {
          promise.set_value(std::string(payload));
        } else {
          promise.set_value(status);
        }
      },
      metadata);
  return future.get();
}

void CriClient::shutdown() {
  {
    std::lock_guard lock(core_->mutex);
    if (!core_->stopped) {
      core_->stopped = true;
      for (Call* call : core_->active) call->context.TryCancel();
      core_->queue.Shutdown();
    }
  }
  if (core_->thread.joinable()) core_->thread.join();
}

std::shared_ptr<grpc::ChannelInterface> CriClient::channel() const {
  return core_->channel;
}

}  // namespace orlop::containerd
