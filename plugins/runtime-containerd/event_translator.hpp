// containerd's events into those of the runtime capability. Pure but for the question that it asks about an unknown id.
#pragma once

#include "orlop/runtime_event_log.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orlop::containerd {

using runtime_events::Event;
using runtime_events::EventType;

// containerd's label that tells a sandbox from a container, and its value for a sandbox.
inline constexpr const char* kKindLabel = "io.cri-containerd.kind";
inline constexpr const char* kSandboxKind = "sandbox";

// What one message of the event stream means.
struct Translation {
  std::optional<Event> event;
  // CRI's own state follows containerd's event a moment later: a reader that asks CRI at once would still be told
  // "running". Such an event is held back until CRI agrees.
  bool confirm = false;
  // Any other topic than containers and tasks: the probe that shows that the subscription stands.
  std::string foreign_topic;
};

// Threads: one at a time.
class EventTranslator {
 public:
  // Whether an id is a sandbox; nothing when containerd does not know it any more.
  using IsSandbox = std::function<std::optional<bool>(const std::string& id)>;

  explicit EventTranslator(IsSandbox is_sandbox) : is_sandbox_(std::move(is_sandbox)) {}

  // `envelope`: the bytes of a containerd.services.events.v1.Envelope. Bytes that are none yield nothing.
  Translation translate(std::string_view envelope);

  void learn(const std::string& id, bool sandbox) { known_[id] = sandbox; }
  void forget_all() { known_.clear(); }

 private:
  bool sandbox(const std::string& id);

  IsSandbox is_sandbox_;
  std::unordered_map<std::string, bool> known_;
};

}  // namespace orlop::containerd
