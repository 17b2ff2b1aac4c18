// Calls of a gRPC service over a unix socket, by the method's name and with the messages as bytes: nothing is
// translated on the way. Knows no message.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace grpc {
class ChannelInterface;
}

namespace orlop::containerd {

using Deadline = std::chrono::steady_clock::time_point;

// The answer's bytes are valid during the call only; empty when the status is a failure.
using CallDone = std::function<void(const Status& status, std::string_view payload)>;
using CallMetadata = std::vector<std::pair<std::string, std::string>>;

// gRPC's status code in our canonical ones (google.rpc.Code; unknown numbers are kInternal).
Code code_of_grpc(int grpc_code);

// Threads: every function from any thread; `done` runs on the client's own thread, exactly once for each call, and must
// return soon. Ownership: requests are copied.
class CriClient {
 public:
  explicit CriClient(const std::filesystem::path& socket);
  ~CriClient();
  CriClient(const CriClient&) = delete;
  CriClient& operator=(const CriClient&) = delete;

  // `method` is "package.Service/Method". While nobody listens on the socket the call waits for its deadline
  // (kTimeout after it). kUnavailable: the connection broke meanwhile, or shutdown() was called.
  void call(std::string_view method, std::string_view request, Deadline deadline, CallDone done,
            const CallMetadata& metadata = {});

  // The same, waited for. Never from the client's own thread.
  Result<std::string> call_and_wait(std::string_view method, std::string_view request, Deadline deadline,
                                    const CallMetadata& metadata = {});

  // Cancels what is under way and waits until every `done` has returned. Idempotent.
  void shutdown();

  [[nodiscard]] std::shared_ptr<grpc::ChannelInterface> channel() const;

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace orlop::containerd
