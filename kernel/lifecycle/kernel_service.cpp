#include "kernel/lifecycle/kernel_service.hpp"

#include "orlop/v1/kernel.pb.h"

#include <atomic>

#include <fmt/format.h>

namespace orlop::lifecycle {
namespace {

constexpr const char* kName = "kernel";
// A wait for log lines is answered a little before its deadline, so that the answer arrives within it.
constexpr int64_t kMarginNs = 100'000'000;

template <typename Message>
bool parse(Message& message, std::string_view bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

KernelService::KernelService(const KernelParts& kernel, Manager& manager, std::string data_folder)
    : kernel_(kernel), manager_(manager), data_folder_(std::move(data_folder)) {}

void KernelService::attach() {
  kernel_.router.declare(kName, kName, kName, 0);
  kernel_.router.attach(kName, shared_from_this());
}

void KernelService::respond(uint64_t call_id, const Status& status) {
  kernel_.router.respond(kName, call_id, status.code(), bus::encode_status(status));
}

template <typename Message>
void KernelService::respond(uint64_t call_id, const Message& message) {
  kernel_.router.respond(kName, call_id, Code::kOk, message.SerializeAsString());
}

bool KernelService::deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t deadline_ns) {
  constexpr std::string_view kService = "orlop.v1.Kernel/";
  const Status unreadable(Code::kBadRequest, fmt::format("the request of {} cannot be read", method));
  const std::string_view name = method.starts_with(kService) ? method.substr(kService.size()) : std::string_view();
  auto self = shared_from_this();
  if (name == "Plugins") {
    v1::PluginsRequest request;
    if (!parse(request, payload)) return respond(call_id, unreadable), true;
    manager_.states(request.name(), [self, call_id, asked = request.name()](std::vector<v1::PluginState> states) {
      if (states.empty() && !asked.empty()) {
        return self->respond(call_id, Status(Code::kNotFound, fmt::format("there is no plugin {}", asked)));
      }
      v1::PluginsResponse response;
      for (auto& state : states) *response.add_plugins() = std::move(state);
      self->respond(call_id, response);
    });
  } else if (name == "RestartPlugin") {
    v1::RestartPluginRequest request;
    if (!parse(request, payload)) return respond(call_id, unreadable), true;
    manager_.restart(request.name(), [self, call_id](const Status& status) {
      if (!status.is_ok()) return self->respond(call_id, status);
      self->respond(call_id, v1::RestartPluginResponse());
    });
  } else if (name == "PluginLogs") {
    plugin_logs(call_id, payload, deadline_ns);
  } else if (name == "StoreState") {
    const auto stats = kernel_.store.stats();
    v1::StoreStateResponse response;
    response.set_revision(stats.current_revision);
    response.set_compacted_revision(stats.compacted_revision);
    response.set_size_bytes(stats.file_bytes);
    response.set_folder(data_folder_);
    respond(call_id, response);
  } else {
    respond(call_id, Status(Code::kMethodNotAllowed, fmt::format("the kernel has no method {}", method)));
  }
  return true;
}

void KernelService::plugin_logs(uint64_t call_id, std::string_view payload, int64_t deadline_ns) {
  v1::PluginLogsRequest request;
  if (!parse(request, payload)) {
    return respond(call_id, Status(Code::kBadRequest, "the request of PluginLogs cannot be read"));
  }
  auto answer = [self = shared_from_this(), call_id, request] {
    v1::PluginLogsResponse response;
    for (const auto& line : self->kernel_.logs.lines(request.name(), request.after_sequence(), request.tail_lines())) {
      auto* added = response.add_lines();
      added->set_sequence(line.sequence);
      added->set_at_unix_ns(line.at_unix_ns);
      added->set_level(static_cast<int32_t>(line.level));
      added->set_text(line.text);
    }
    self->respond(call_id, response);
  };
  if (!request.wait()) return answer();
  const uint64_t ticket = kernel_.logs.when_line(request.name(), request.after_sequence(), answer);
  if (ticket == 0) return;
  // Whichever comes first answers; the router drops the other one's answer.
  kernel_.timer.at(deadline_ns - kMarginNs, [self = shared_from_this(), ticket, answer] {
    self->kernel_.logs.forget(ticket);
    answer();
  });
}

}  // namespace orlop::lifecycle
