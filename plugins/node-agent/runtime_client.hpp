// The capability `runtime` as the agent uses it: CRI's own messages, and all that the runtime knows of one pod in one
// value.
//
// Threads: any. Every method blocks until the runtime answers or the deadline passes.
#pragma once

#include "cri/api.pb.h"
#include "orlop/host.hpp"
#include "orlop/rpc.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

namespace cri = ::runtime::v1;

inline constexpr char kPodNameLabel[] = "io.kubernetes.pod.name";
inline constexpr char kPodNamespaceLabel[] = "io.kubernetes.pod.namespace";
inline constexpr char kPodUidLabel[] = "io.kubernetes.pod.uid";
inline constexpr char kContainerNameLabel[] = "io.kubernetes.container.name";
inline constexpr char kContainerHashAnnotation[] = "io.kubernetes.container.hash";
inline constexpr char kTerminationPathAnnotation[] = "io.kubernetes.container.terminationMessagePath";

// One pod as the runtime has it. Sandboxes and containers are newest first.
struct RuntimePod {
  std::vector<cri::PodSandbox> sandboxes;
  cri::PodSandboxStatus newest_sandbox;  // with its addresses; empty when there is none
  std::vector<cri::ContainerStatus> containers;

  [[nodiscard]] bool sandbox_ready() const {
    return !sandboxes.empty() && sandboxes.front().state() == cri::SANDBOX_READY;
  }
  // Its network namespace is gone, so that it has lost its address: nothing can be done with it any more.
  [[nodiscard]] bool has_lost_its_network() const {
    return sandbox_ready() && newest_sandbox.linux().namespaces().options().network() == cri::POD &&
           newest_sandbox.has_network() && newest_sandbox.network().ip().empty();
  }
  // The newest container of that name in any sandbox, or the one before it (skip = 1); null when there is none.
  [[nodiscard]] const cri::ContainerStatus* find(std::string_view name, int skip = 0) const;
  [[nodiscard]] bool any_running() const;
};

class RuntimeClient {
 public:
  RuntimeClient(Host host, std::string provider) : host_(host), provider_(std::move(provider)) {}

  // method: "RuntimeService/StartContainer". Failures carry the runtime's own words.
  template <typename Response, typename Request>
  Result<Response> invoke(std::string_view method, const Request& request, uint32_t deadline_ms = 30'000) const {
    return call<Response>(host_, {"runtime", provider_, deadline_ms}, "runtime.v1." + std::string(method), request);
  }
  template <typename Response, typename Request>
  void invoke_async(std::string_view method, const Request& request, uint32_t deadline_ms,
                    Completion<Response> done) const {
    call_async<Response>(host_, {"runtime", provider_, deadline_ms}, "runtime.v1." + std::string(method), request,
                         std::move(done));
  }
  [[nodiscard]] const std::string& provider() const { return provider_; }

  // All sandboxes and containers that carry this pod's uid.
  Result<RuntimePod> pod(const std::string& uid) const;

 private:
  Host host_;
  std::string provider_;
};

}  // namespace orlop::agent
