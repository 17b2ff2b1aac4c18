// What the kernel does for one plugin: every function of abi/host.h, in bytes, whichever way the plugin is hosted.
//
// Threads: every method from any thread, until the object is destroyed.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "kernel/bus/clock.hpp"
#include "kernel/bus/timer.hpp"
#include "kernel/gate/gate.hpp"
#include "kernel/lifecycle/log_book.hpp"
#include "kernel/lifecycle/wake_hub.hpp"
#include "kernel/store/store.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace orlop::lifecycle {

// The kernel's parts. All outlive every plugin.
struct KernelParts {
  const bus::Clock& clock;
  bus::Timer& timer;
  store::Store& store;
  gate::Gate& gate;
  bus::CallRouter& router;
  WakeHub& wakes;
  LogBook& logs;
};

struct Reply {
  Code code = Code::kOk;
  std::string payload;  // the answer, or an orlop.v1.Status

  static Reply of(const Status& status) { return {status.code(), bus::encode_status(status)}; }
};

class PluginContext {
 public:
  using ReadyFunction = std::function<void(bool ready, std::string reason)>;

  PluginContext(const KernelParts& kernel, std::string plugin, std::shared_ptr<const gate::Actor> actor,
                ReadyFunction on_ready);

  [[nodiscard]] const std::string& plugin() const { return plugin_; }
  [[nodiscard]] const KernelParts& kernel() const { return kernel_; }

  Reply get(std::string_view request, const store::RecordVisitor& visit);
  Reply list(std::string_view request, const store::RecordVisitor& visit);
  Reply pull(std::string_view request, const store::ChangeVisitor& visit);
  Status subscribe(std::string_view request, WakeHub::Token token);
  void commit(std::string_view request, bus::AnswerFunction done);
  void call(std::string_view target, std::string_view payload, bus::AnswerFunction done);
  void respond(uint64_t call_id, Code code, std::string_view payload);
  void log(int64_t level, std::string_view message);
  [[nodiscard]] uint64_t revision();
  void set_ready(bool ready, std::string_view reason);

 private:
  const KernelParts kernel_;
  const std::string plugin_;
  const std::shared_ptr<const gate::Actor> actor_;
  const ReadyFunction on_ready_;
};

}  // namespace orlop::lifecycle
