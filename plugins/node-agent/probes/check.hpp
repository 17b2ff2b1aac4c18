// One question to a container: run a command in it, ask it over the network. Probes and lifecycle hooks are made of
// these.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace orlop::agent {

struct ExecCheck {
  std::vector<std::string> command;
};
struct HttpCheck {
  bool tls = false;  // the certificate is not verified
  std::string host;
  uint16_t port = 0;
  std::string path;  // with its query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string user_agent;
};
struct TcpCheck {
  std::string host;
  uint16_t port = 0;
};
struct GrpcCheck {
  std::string host;
  uint16_t port = 0;
  std::string service;
};

struct Check {
  std::variant<ExecCheck, HttpCheck, TcpCheck, GrpcCheck> what;
  std::string container_id;
  int64_t timeout_ms = 1000;
};

enum class CheckOutcome {
  kSuccess,
  kFailure,
  kWarning,  // counts as success, and people are told
  kUnknown,  // it could not be asked: says nothing about the container
};
struct CheckResult {
  CheckOutcome outcome = CheckOutcome::kUnknown;
  std::string output;  // what it said, or why it failed, in the kubelet's words
};
using CheckDone = std::function<void(CheckResult)>;

class CheckRunner {
 public:
  virtual ~CheckRunner() = default;
  // Returns at once; `done` runs once, on any thread (this one included), and must not block.
  virtual void run(const Check& check, CheckDone done) = 0;
};

namespace core = k8s::io::api::core::v1;

// kInvalid: a port's name that the container does not have, in Go's words. `pod_ip`: where the container is reached
// unless the handler names a host.
Result<Check> make_check(const core::ProbeHandler& handler, const core::Container& container,
                         const std::string& pod_ip);
// kInvalid as above, or a handler that hooks cannot have (tcpSocket). A sleep is not a check: see lifecycle_hooks.
Result<Check> make_check(const core::LifecycleHandler& handler, const core::Container& container,
                         const std::string& pod_ip);

}  // namespace orlop::agent
