#include "plugins/runtime-containerd/event_translator.hpp"

#include "containerd.pb.h"

namespace orlop::containerd {

namespace {

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

}  // namespace

bool EventTranslator::sandbox(const std::string& id) {
  auto found = known_.find(id);
  if (found != known_.end()) return found->second;
  std::optional<bool> answer = is_sandbox_(id);
  if (answer) known_[id] = *answer;
  return answer.value_or(false);
}

Translation EventTranslator::translate(std::string_view bytes) {
  Translation out;
  wire::Envelope envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return out;
  const std::string& topic = envelope.topic();
  const std::string& body = envelope.event().value();
  Event event;
  event.at_unix_ns = nanoseconds(envelope.timestamp());
  if (topic == "/containers/create") {
    wire::ContainerCreate message;
    if (!message.ParseFromString(body) || sandbox(message.id())) return out;
    event.type = EventType::kContainerCreated;
    event.id = message.id();
  } else if (topic == "/containers/delete") {
    wire::ContainerDelete message;
    if (!message.ParseFromString(body)) return out;
    bool was_sandbox = sandbox(message.id());
    known_.erase(message.id());
    if (was_sandbox) return out;
    event.type = EventType::kContainerRemoved;
    event.id = message.id();
  } else if (topic == "/tasks/start") {
    wire::TaskStart message;
    if (!message.ParseFromString(body)) return out;
    event.type = sandbox(message.container_id()) ? EventType::kSandboxReady : EventType::kContainerStarted;
    event.id = message.container_id();
  } else if (topic == "/tasks/oom") {
    wire::TaskOom message;
    if (!message.ParseFromString(body)) return out;
    event.type = EventType::kContainerOom;
    event.id = message.container_id();
  } else if (topic == "/tasks/exit") {
    wire::TaskExit message;
    // An exec's end has the exec's id.
    if (!message.ParseFromString(body) || message.id() != message.container_id()) return out;
    event.type = sandbox(message.container_id()) ? EventType::kSandboxStopped : EventType::kContainerStopped;
    event.id = message.container_id();
    event.exit_code = static_cast<int32_t>(message.exit_status());
    if (message.has_exited_at()) event.at_unix_ns = nanoseconds(message.exited_at());
    out.confirm = true;
  } else {
    if (!topic.starts_with("/tasks/") && !topic.starts_with("/containers/")) out.foreign_topic = topic;
    return out;
  }
  out.event = std::move(event);
  return out;
}

}  // namespace orlop::containerd
