#include "plugins/runtime-containerd/event_stream.hpp"

#include "containerd.pb.h"
#include "plugins/runtime-containerd/event_translator.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

namespace orlop::containerd {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kNamespaceKey = "containerd-namespace";
constexpr const char* kNamespace = "k8s.io";
// Nobody else publishes under this topic; containerd demands the form /word/word.
constexpr const char* kProbeTopic = "/orlop/probe";
constexpr milliseconds kProbeAgain{20};
constexpr milliseconds kConfirmLimit{3000};

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return {};
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

// An end of a container that CRI has not seen yet.
struct Held {
  Event event;
  steady_clock::time_point next;
  steady_clock::time_point give_up;
  milliseconds pause{2};
};

}  // namespace

struct EventStream::Core {
  Core(CriClient& client, EventLog& log, std::function<void()> on_broken)
      : client(client),
        log(log),
        on_broken(std::move(on_broken)),
        stub(client.channel()),
        translator([this](const std::string& id) { return look_up(id); }) {}

  std::optional<bool> look_up(const std::string& id) {
    wire::GetContainerRequest request;
    request.set_id(id);
    auto answer = client.call_and_wait("containerd.services.containers.v1.Containers/Get", request.SerializeAsString(),
                                       steady_clock::now() + std::chrono::seconds(1), {{kNamespaceKey, kNamespace}});
    wire::GetContainerResponse response;
    if (!answer.is_ok() || !response.ParseFromString(*answer)) return std::nullopt;
    const auto& labels = response.container().labels();
    auto kind = labels.find(kKindLabel);
    return kind != labels.end() && kind->second == kSandboxKind;
  }

  void learn_all() {
    auto answer = client.call_and_wait("containerd.services.containers.v1.Containers/List", "",
                                       steady_clock::now() + std::chrono::seconds(5), {{kNamespaceKey, kNamespace}});
    wire::ListContainersResponse response;
    if (!answer.is_ok() || !response.ParseFromString(*answer)) return;
    translator.forget_all();
    for (const auto& container : response.containers()) {
      auto kind = container.labels().find(kKindLabel);
      translator.learn(container.id(), kind != container.labels().end() && kind->second == kSandboxKind);
    }
  }

  void publish_probe() {
    wire::PublishRequest request;
    request.set_topic(kProbeTopic);
    request.mutable_event()->set_type_url("containerd.events.ContainerDelete");
    // The outcome is seen on the stream, or not at all and then it is sent again.
    (void)client.call_and_wait("containerd.services.events.v1.Events/Publish", request.SerializeAsString(),
                               steady_clock::now() + std::chrono::seconds(1), {{kNamespaceKey, kNamespace}});
  }

  // Whether CRI agrees that this container or sandbox has ended.
  bool ended_for_cri(const Event& event) {
    wire::CriStatusByIdRequest request;
    request.set_id(event.id);
    bool is_sandbox = event.type == EventType::kSandboxStopped;
    auto answer = client.call_and_wait(
        is_sandbox ? "runtime.v1.RuntimeService/PodSandboxStatus" : "runtime.v1.RuntimeService/ContainerStatus",
        request.SerializeAsString(), steady_clock::now() + std::chrono::seconds(1));
    wire::CriStatusResponse response;
    if (!answer.is_ok()) return answer.code() == Code::kNotFound;
    if (!response.ParseFromString(*answer)) return true;
    return is_sandbox ? response.status().state() == 1 : response.status().state() >= 2;
  }

  void release_held(bool all) {
    auto now = steady_clock::now();
    for (size_t i = 0; i < held.size();) {
      Held& item = held[i];
      bool due = all || item.next <= now;
      if (due && (all || now >= item.give_up || ended_for_cri(item.event))) {
        log.append(std::move(item.event));
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
        continue;
      }
      if (due) {
        item.next = now + item.pause;
        item.pause = std::min(item.pause * 2, milliseconds(100));
      }
      ++i;
    }
  }

  // Its end comes before its removal, whatever CRI says.
  void release_held_of(const std::string& id) {
    for (size_t i = 0; i < held.size(); ++i) {
      if (held[i].event.id != id) continue;
      log.append(std::move(held[i].event));
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }

  // True: it was the probe.
  bool take(const std::string& bytes) {
    Translation translation = translator.translate(bytes);
    if (translation.foreign_topic == kProbeTopic) return true;
    if (!translation.event) return false;
    if (translation.confirm) {
      auto now = steady_clock::now();
      held.push_back({std::move(*translation.event), now, now + kConfirmLimit});
    } else {
      if (translation.event->type == EventType::kContainerRemoved) release_held_of(translation.event->id);
      log.append(std::move(*translation.event));
    }
    return false;
  }

  [[nodiscard]] steady_clock::time_point next_moment(bool subscribed) const {
    auto moment = steady_clock::now() + (subscribed ? milliseconds(3'600'000) : kProbeAgain);
    for (const Held& item : held) moment = std::min(moment, item.next);
    return moment;
  }

  // One step of the stream; false: it has ended.
  static bool next(grpc::CompletionQueue& queue) {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  }

  // Reads until the stream ends. `subscribed` tells whether it ever stood.
  void read_all(grpc::GenericClientAsyncReaderWriter& stream, grpc::CompletionQueue& queue, bool& subscribed) {
    grpc::ByteBuffer buffer;
    stream.Read(&buffer, &buffer);
    publish_probe();
    for (;;) {
      void* tag = nullptr;
      bool ok = false;
      auto left = next_moment(subscribed) - steady_clock::now();
      auto moment = std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::microseconds>(left);
      auto step = queue.AsyncNext(&tag, &ok, moment);
      if (step == grpc::CompletionQueue::TIMEOUT) {
        if (!subscribed) publish_probe();
      } else if (step == grpc::CompletionQueue::SHUTDOWN || !ok) {
        return;
      } else {
        if (take(to_string(buffer)) && !subscribed) {
          subscribed = true;
          learn_all();
          log.mark_gap();
        }
        buffer.Clear();
        stream.Read(&buffer, &buffer);
      }
      release_held(false);
    }
  }

  void follow_once() {
    grpc::ClientContext call_context;
    call_context.set_wait_for_ready(true);
    call_context.AddMetadata(kNamespaceKey, kNamespace);
    {
      std::lock_guard lock(mutex);
      if (stopping) return;
      context = &call_context;
    }
    grpc::CompletionQueue queue;
    auto stream = stub.PrepareCall(&call_context, "/containerd.services.events.v1.Events/Subscribe", &queue);
    wire::SubscribeRequest request;
    for (const char* topic : {"^/tasks/", "^/containers/", "^/orlop/"}) {
      request.add_filters(fmt::format("namespace=={},topic~=\"{}\"", kNamespace, topic));
    }
    bool subscribed = false;
    stream->StartCall(nullptr);
    bool ok = next(queue);
    if (ok) {
      stream->Write(to_buffer(request.SerializeAsString()), nullptr);
      ok = next(queue);
    }
    if (ok) {
      stream->WritesDone(nullptr);
      ok = next(queue);
    }
    if (ok) read_all(*stream, queue, subscribed);
    {
      std::lock_guard lock(mutex);
      context = nullptr;
    }
    call_context.TryCancel();
    grpc::Status status;
    stream->Finish(&status, nullptr);
    queue.Shutdown();
    void* tag = nullptr;
    while (queue.Next(&tag, &ok)) {
    }
    release_held(true);
    if (subscribed) on_broken();
  }

  void run() {
    for (;;) {
      follow_once();
      std::unique_lock lock(mutex);
      if (stop_asked.wait_for(lock, milliseconds(50), [this] { return stopping; })) return;
    }
  }

  CriClient& client;
  EventLog& log;
  std::function<void()> on_broken;
  grpc::GenericStub stub;
  EventTranslator translator;  // the stream's thread alone
  std::vector<Held> held;      // the stream's thread alone

  std::mutex mutex;
  std::condition_variable stop_asked;
  grpc::ClientContext* context = nullptr;  // guarded by mutex: the stream that is under way
  bool stopping = false;                   // guarded by mutex
  std::thread thread;
};

EventStream::EventStream(CriClient& client, EventLog& log, std::function<void()> on_broken)
    : core_(std::make_unique<Core>(client, log, std::move(on_broken))) {}

EventStream::~EventStream() {
  stop();
}

void EventStream::start() {
  core_->thread = std::thread([core = core_.get()] { core->run(); });
}

void EventStream::stop() {
  {
    std::lock_guard lock(core_->mutex);
    core_->stopping = true;
    if (core_->context != nullptr) core_->context->TryCancel();
  }
  core_->stop_asked.notify_all();
  if (core_->thread.joinable()) core_->thread.join();
}

}  // namespace orlop::containerd
