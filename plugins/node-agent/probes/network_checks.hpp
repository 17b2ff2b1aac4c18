// Checks over the network, and the timer of who asks for them: one thread, one io_context, whatever the number of
// pods.
//
// Follows the kubelet's probers: a new connection for each check, no certificate is verified, at most 10 KiB of an
// answer are read, redirects are followed within the same host. Threads: any.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace orlop::agent {

class NetworkChecks final : public CheckRunner {
 public:
  NetworkChecks();
  ~NetworkChecks() override;
  NetworkChecks(const NetworkChecks&) = delete;
  NetworkChecks& operator=(const NetworkChecks&) = delete;

  // `alarm` is called on the one thread at the moments that wake_at() names; it returns the next one, 0 for none.
  // Moments are nanoseconds of `clock`, a monotonic one.
  void start(std::function<int64_t()> clock, std::function<int64_t()> alarm);
  // Ends what is under way (their `done` is not called any more) and joins.
  void stop();

  // http, tcp and grpc; an exec is answered with kUnknown.
  void run(const Check& check, CheckDone done) override;
  // An earlier moment counts; a later one than the one that is waited for is left to the alarm's own answer.
  void wake_at(int64_t at_ns);

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace orlop::agent
