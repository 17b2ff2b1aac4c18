// Follows containerd's event stream for as long as it lives, through every restart of containerd, and fills an
// EventLog.
//
// Delivery: while the stream stands, in containerd's order, but that the end of a container is held back until CRI
// itself says that it ended (3 s at most). After every (re)connection the log gets a gap.
#pragma once

#include "orlop/runtime_event_log.hpp"
#include "plugins/runtime-containerd/cri_client.hpp"

#include <functional>
#include <memory>

namespace orlop::containerd {

using runtime_events::EventLog;

// Threads: start and stop from one; it owns a thread of its own.
class EventStream {
 public:
  // Both outlive the stream. `on_broken` runs on the stream's thread when a stream that stood has ended.
  EventStream(CriClient& client, EventLog& log, std::function<void()> on_broken);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  void start();
  void stop();

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace orlop::containerd
