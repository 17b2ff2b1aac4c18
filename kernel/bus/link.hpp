// A connection of two processes over an ipc socket, one peer on each side: frames in order, none lost while it stands,
// none after it broke. The kernel listens, one socket for each orlop-host; the host dials.
//
// Threads: send, queued_bytes, wait_for_room from any thread. on_frame and on_closed run on a thread of nng, on_frame
// one at a time in the order of arrival; both must return soon, and neither may close or destroy the link.
// Ownership: close() stops whatever is under way and waits for it; after it no function of the handlers runs.
#pragma once

#include "orlop/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace orlop::bus {

struct LinkHandlers {
  std::function<void(std::string_view frame)> on_frame;  // the view is valid during the call only
  std::function<void()> on_closed;                       // the peer is gone; at most once; not after close()
};

class Link {
 public:
  // Larger frames break the connection.
  static constexpr std::size_t kFrameBytesMax = 256u << 20;
  // What may wait to be sent. A peer that lets more than that pile up does not read: send() then fails.
  static constexpr std::size_t kQueueBytesMax = 512u << 20;

  // Waits for one peer at `path` (mode 0600; a socket file that lies there is replaced). kInvalid: the path is too long
  // for a socket. kUnavailable: it cannot be listened at, with the reason.
  static Result<std::unique_ptr<Link>> listen(const std::string& path, LinkHandlers handlers);
  // Connects to a listener, once. kUnavailable: there is none.
  static Result<std::unique_ptr<Link>> dial(const std::string& path, LinkHandlers handlers);

  virtual ~Link() = default;  // close()

  // Queues a frame. False: the link is closed, or the peer does not read (see kQueueBytesMax).
  virtual bool send(std::string frame) = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  // Waits until less than `bytes` are queued. False: the link broke, or the time passed.
  virtual bool wait_for_room(std::size_t bytes, int64_t timeout_ns) = 0;
  // Process id of the peer; 0 while there is none.
  [[nodiscard]] virtual int64_t peer_pid() const = 0;
  // Waits until all that was queued has been handed to the socket, or the time has passed.
  virtual void flush(int64_t timeout_ns) = 0;
  virtual void close() = 0;
};

}  // namespace orlop::bus
