// Typed calls between plugins: protobuf generic services (cc_generic_services) over the host's call and respond.
//
// The caller:   Result<v1::StreamAddress> address = orlop::call<v1::StreamAddress>(host, {"node", "worker-1"},
//               "orlop.v1.Node/Exec", request);
// The provider: a class derived from the generated service, added to a ServiceRouter; Plugin::handle_call hands every
// Call to it.
//
// Threads: call() and ServiceRouter::handle() may be called from any thread. A service's methods run on the thread that
// handle() was called from; they must return at once and may finish later by running `done` from any thread.
#pragma once

#include "orlop/host.hpp"
#include "orlop/plugin.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/service.h>

namespace orlop {

struct Target {
  std::string capability;    // "runtime"
  std::string provider;      // empty: the default one
  uint32_t deadline_ms = 0;  // 0: 10 s
};

inline v1::CallTarget to_message(const Target& target, std::string_view method) {
  v1::CallTarget out;
  out.set_capability(target.capability);
  out.set_provider(target.provider);
  out.set_deadline_ms(target.deadline_ms);
  out.set_method(std::string(method));
  return out;
}

template <typename Response>
Result<Response> parse_response(Result<std::string> bytes) {
  if (!bytes) return bytes.status();
  Response response;
  if (!response.ParseFromString(*bytes))
    return Status(Code::kInternal, "an answer that cannot be read as " + response.GetTypeName());
  return response;
}

// Blocks until the answer or the deadline. Never from wake() or handle_call().
template <typename Response, typename Request>
Result<Response> call(const Host& host, const Target& target, std::string_view method, const Request& request) {
  return parse_response<Response>(host.call_wait(to_message(target, method), request.SerializeAsString()));
}

// Returns at once; `done` runs on a thread of the kernel and must not block.
template <typename Response, typename Request>
void call_async(const Host& host, const Target& target, std::string_view method, const Request& request,
                Completion<Response> done) {
  host.call(to_message(target, method), request.SerializeAsString(),
            [done = std::move(done)](Result<std::string> bytes) { done(parse_response<Response>(std::move(bytes))); });
}

// How a service's method tells a failure: fail(status) on the RpcController that it was given, then run `done`.
class CallController final : public google::protobuf::RpcController {
 public:
  explicit CallController(int64_t deadline_ns) : deadline_ns_(deadline_ns) {}
  // The controller of a call that came through a ServiceRouter.
  static CallController& of(google::protobuf::RpcController* controller) {
    return *static_cast<CallController*>(controller);
  }
  void fail(Status status) { status_ = std::move(status); }
  [[nodiscard]] const Status& status() const { return status_; }
  // Of the host's monotonic clock.
  [[nodiscard]] int64_t deadline_ns() const { return deadline_ns_; }

  void Reset() override { status_ = Status::ok(); }
  [[nodiscard]] bool Failed() const override { return !status_.is_ok(); }
  [[nodiscard]] std::string ErrorText() const override { return status_.message(); }
  void StartCancel() override {}
  void SetFailed(const std::string& reason) override { status_ = Status(Code::kInternal, reason); }
  [[nodiscard]] bool IsCanceled() const override { return false; }
  void NotifyOnCancel(google::protobuf::Closure*) override {}

 private:
  Status status_;
  int64_t deadline_ns_;
};

// Finds the service and the method of a Call, parses its request and answers it when the method is done.
class ServiceRouter {
 public:
  explicit ServiceRouter(Host host) : host_(host) {}

  // `service` must outlive the router. Not thread-safe: add before the first handle().
  void add(google::protobuf::Service& service) { services_[service.GetDescriptor()->full_name()] = &service; }

  void handle(const Call& call) const {
    const auto slash = call.method.find('/');
    const auto found = services_.find(call.method.substr(0, slash));
    const auto* method = found == services_.end() || slash == std::string::npos
                             ? nullptr
                             : found->second->GetDescriptor()->FindMethodByName(call.method.substr(slash + 1));
    if (method == nullptr) {
      host_.respond(call.id, Status(Code::kMethodNotAllowed, "no such method: " + call.method));
      return;
    }
    auto pending = std::make_unique<Pending>(host_, call.id, call.deadline_ns);
    pending->request.reset(found->second->GetRequestPrototype(method).New());
    pending->response.reset(found->second->GetResponsePrototype(method).New());
    if (!pending->request->ParseFromString(call.payload)) {
      host_.respond(call.id,
                    Status(Code::kBadRequest, "a request that cannot be read as " + pending->request->GetTypeName()));
      return;
    }
    Pending* raw = pending.release();  // owned by Pending::Run, which the method calls once
    found->second->CallMethod(method, &raw->controller, raw->request.get(), raw->response.get(), raw);
  }

 private:
  struct Pending final : google::protobuf::Closure {
    Pending(Host host, uint64_t id, int64_t deadline_ns) : host(host), id(id), controller(deadline_ns) {}
    void Run() override {
      const std::unique_ptr<Pending> self(this);
      if (controller.Failed()) {
        host.respond(id, controller.status());
      } else {
        host.respond(id, response->SerializeAsString());
      }
    }
    Host host;
    uint64_t id;
    CallController controller;
    std::unique_ptr<google::protobuf::Message> request, response;
  };

  Host host_;
  std::unordered_map<std::string, google::protobuf::Service*> services_;
};

}  // namespace orlop
