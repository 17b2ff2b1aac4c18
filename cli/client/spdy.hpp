// The streams of exec and attach over one connection, as the API offers them by "Upgrade: SPDY/3.1": each stream can be
// ended on its own, so that a command sees the end of its input.
//
// Specification: SPDY protocol draft 3.1 (framing; no flow control, as every Kubernetes server has it), subprotocol
// v4.channel.k8s.io of remotecommand. Pure: bytes in, bytes out.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::client {

enum class Channel : char { kInput = 0, kOutput = 1, kErrors = 2, kStatus = 3, kWindow = 4 };

class SpdyStreams {
 public:
  explicit SpdyStreams(std::vector<Channel> channels) : channels_(std::move(channels)) {}

  // What opens the streams; to be sent first, once.
  std::string open();
  // Bytes for one of them. Nothing for one that was not asked for.
  std::string data(Channel channel, std::string_view bytes) { return frame(channel, bytes, false); }
  // No more comes from us on this one.
  std::string end(Channel channel) { return frame(channel, {}, true); }

  // Takes what has come, in pieces of any size, and gives what came on a stream to `on_data`. Returns what is to be
  // sent in answer.
  std::string receive(std::string_view bytes, const std::function<void(Channel, std::string_view)>& on_data);
  // The server has ended every stream that it sends on, or said that it goes.
  [[nodiscard]] bool is_over() const;

 private:
  std::string frame(Channel channel, std::string_view bytes, bool last);
  std::string take_control(std::string_view frame);

  const std::vector<Channel> channels_;  // the stream of the n-th has id 2n + 1
  std::set<uint32_t> ended_;             // by the server
  std::string pending_;                  // an incomplete frame
  bool gone_ = false;
};

}  // namespace orlop::client
