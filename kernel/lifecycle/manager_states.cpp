// How the manager shows its plugins.
#include "kernel/lifecycle/manager.hpp"
#include "orlop/v1/kernel.pb.h"

#include <fmt/format.h>
#include <unistd.h>

namespace orlop::lifecycle {

const char* Manager::name_of(State state) {
  switch (state) {
    case State::kWaiting:
      return "Waiting";
    case State::kStarting:
      return "Starting";
    case State::kRunning:
      return "Running";
    case State::kBackoff:
      return "Backoff";
    case State::kQuarantined:
      return "Quarantined";
    case State::kStopped:
      return "Stopped";
    case State::kFailed:
      return "Failed";
  }
  return "";
}

std::string Manager::why_not_ready(const Instance& instance) const {
  if (instance.state != State::kRunning) {
    return instance.reason.empty() ? fmt::format("it is {}", name_of(instance.state)) : instance.reason;
  }
  if (!instance.health_reason.empty()) return instance.health_reason;
  if (instance.manifest->reports_readiness && !instance.reported_ready) {
    return instance.ready_reason.empty() ? "it has not reported readiness yet" : instance.ready_reason;
  }
  if (!instance.reported_ready && !instance.ready_reason.empty()) return instance.ready_reason;
  return {};
}

void Manager::describe_state(const Instance& instance, v1::PluginState& out) const {
  out.set_name(instance.spec.name);
  out.set_state(name_of(instance.state));
  out.set_hosting(instance.spec.isolated ? "isolated" : "inline");
  out.set_reason(why_not_ready(instance));
  out.set_ready(instance.state == State::kRunning && out.reason().empty());
  out.set_restarts(instance.restarts);
  out.set_file(instance.spec.file);
  if (instance.state == State::kRunning) out.set_started_unix_ns(instance.started_unix_ns);
  if (instance.hosting) {
    const int64_t pid = instance.hosting->pid();
    out.set_pid(pid != 0 ? pid : ::getpid());
    if (pid != 0) out.set_resident_bytes(resident_bytes_of(static_cast<pid_t>(pid)));
  }
  if (!instance.manifest) return;
  const Manifest& manifest = *instance.manifest;
  out.set_version(manifest.version);
  out.set_abi(manifest.abi());
  out.set_description(manifest.description);
  for (const auto& provided : manifest.provides) {
    out.add_provides(provided.instance.empty() ? provided.capability : provided.capability + "/" + provided.instance);
  }
  for (const auto& required : manifest.requirements) {
    out.add_requirements(required.optional ? required.capability + " (optional)" : required.capability);
  }
  for (const auto& kind : manifest.reads) out.add_reads(kind);
  for (const auto& kind : manifest.writes) out.add_writes(kind);
}

void Manager::states(std::string name, StatesFunction function) {
  lane_.post([this, name = std::move(name), function = std::move(function)] {
    std::vector<v1::PluginState> all;
    for (const auto& instance : instances_) {
      if (name.empty() || instance->spec.name == name) describe_state(*instance, all.emplace_back());
    }
    function(std::move(all));
  });
}

}  // namespace orlop::lifecycle
