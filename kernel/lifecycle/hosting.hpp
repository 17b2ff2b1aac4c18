// One run of one plugin, in one of the two ways: inline (inline_hosting.cpp) or isolated (isolated_hosting.cpp). The
// manager drives it and cannot tell which it is, but by what it does with a fault.
//
// Order of use: begin → init → start → deliver* → stop → close. Each of init, start and stop is answered once through
// its function, unless on_fault came first; after on_fault only close() follows. close() is never left out.
//
// Threads: the methods from the manager's lane; deliver from any thread. The functions given in run on any thread.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "kernel/lifecycle/plugin_context.hpp"
#include "kernel/lifecycle/process.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace orlop::lifecycle {

struct HostingSpec {
  std::string plugin;
  std::string file;
  std::string host_program;  // orlop-host; isolated only
  std::string socket;        // isolated only
  int64_t hang_ns = 400'000'000;
  std::function<void(const std::string& reason)> on_fault;            // at most once
  std::function<void(bool ok, const std::string& reason)> on_health;  // about once a second, after start
};

class Hosting : public bus::Endpoint {
 public:
  using Done = std::function<void(Status)>;

  // Brings the plugin's surroundings up. A failure is as a failed init.
  virtual Status begin() = 0;
  virtual void init(std::string config, Done done) = 0;
  virtual void start(Done done) = 0;
  virtual void stop(Done done) = 0;
  // Ends it without asking: isolated, SIGKILL; inline, its thread is given up (only before the end of the process).
  virtual void kill() = 0;
  // Takes all down: nothing of the plugin runs in this process after it, none of the functions given in is called any
  // more, and what the plugin still waited for has been answered kCancelled.
  virtual void close() = 0;
  // 0: in this process.
  [[nodiscard]] virtual int64_t pid() const = 0;
};

std::shared_ptr<Hosting> make_inline_hosting(HostingSpec spec, std::shared_ptr<PluginContext> context);
std::shared_ptr<Hosting> make_isolated_hosting(HostingSpec spec, std::shared_ptr<PluginContext> context,
                                               ProcessHub& processes);

}  // namespace orlop::lifecycle
