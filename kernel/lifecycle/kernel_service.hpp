// The capability `kernel`: service orlop.v1.Kernel, answered by the kernel itself like any plugin's.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "kernel/lifecycle/manager.hpp"
#include "kernel/lifecycle/plugin_context.hpp"

#include <memory>
#include <string>

namespace orlop::lifecycle {

// Threads: any. What it is made of outlives it; detach "kernel" from the router before that ends.
class KernelService final : public bus::Endpoint, public std::enable_shared_from_this<KernelService> {
 public:
  KernelService(const KernelParts& kernel, Manager& manager, std::string data_folder);

  // Declares and attaches it under the plugin name "kernel".
  void attach();

  bool deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t deadline_ns) override;

 private:
  void respond(uint64_t call_id, const Status& status);
  template <typename Message>
  void respond(uint64_t call_id, const Message& message);
  void plugin_logs(uint64_t call_id, std::string_view payload, int64_t deadline_ns);

  const KernelParts kernel_;
  Manager& manager_;
  const std::string data_folder_;
};

}  // namespace orlop::lifecycle
