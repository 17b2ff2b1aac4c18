#include "plugins/node-agent/backoff.hpp"

#include "plugins/node-agent/config_refs.hpp"
#include "plugins/node-agent/pod_config.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kFirstNs = 10 * kSecondNs;
constexpr int64_t kMaxNs = 300 * kSecondNs;
constexpr int64_t kForgetNs = 600 * kSecondNs;  // ran for so long: the next crash counts as the first
constexpr int64_t kRefusedRetryNs = 10 * kSecondNs;

// "40s", "2m40s", as Go writes durations.
std::string in_words(int64_t delay_ns) {
  const int64_t seconds = delay_ns / kSecondNs;
  return seconds < 60 ? std::to_string(seconds) + "s"
                      : std::to_string(seconds / 60) + "m" + std::to_string(seconds % 60) + "s";
}

}  // namespace

bool Backoff::waits_after_crash(Pass& pass, const Container& container, const cri::ContainerStatus& ended) {
  int& crashes = pass.memory->crashes[container.name()];
  const int restarts = static_cast<int>(ended.metadata().attempt());
  if (ended.finished_at() - ended.started_at() > kForgetNs) crashes = -restarts;
  const int counted = restarts + crashes;  // since it last ran well
  if (counted <= 0) return false;
  const int64_t delay = std::min(kFirstNs << std::min(counted - 1, 6), kMaxNs);
  const int64_t left = ended.finished_at() + delay - context_.host.wall_now_ns();
  if (left <= 0) return false;
  const auto& metadata = pass.pod().metadata();
  const std::string pod = metadata.name() + "_" + metadata.namespace_() + "(" + metadata.uid() + ")";
  pass.waiting[container.name()] = {
      "CrashLoopBackOff",
      "back-off " + in_words(delay) + " restarting failed container=" + container.name() + " pod=" + pod};
  context_.events.about(pass.pod(), EventType::kWarning, "BackOff",
                        "Back-off restarting failed container " + container.name() + " in pod " + pod);
  pass.again_at(context_.host.monotonic_now_ns() + left);
  return true;
}

void Backoff::refuse(Pass& pass, const Container& container, const std::string& reason, const Status& why) {
  const int64_t again_at_ns = context_.host.monotonic_now_ns() + kRefusedRetryNs;
  pass.waiting[container.name()] = {reason, why.message()};
  pass.memory->refused[container.name()] = {{reason, why.message()}, again_at_ns, definition_hash(container)};
  if (why.code() == Code::kNotFound) wait_for_config(context_, pass);
  context_.events.about(pass.pod(), EventType::kWarning, "Failed", "Error: " + why.message());
  pass.again_at(again_at_ns);
}

bool Backoff::is_refused(Pass& pass, const Container& container) {
  const bool changed = context_.registry.with([&] { return std::exchange(pass.memory->config_changed, false); });
  if (changed) pass.memory->refused.clear();
  const auto found = pass.memory->refused.find(container.name());
  if (found == pass.memory->refused.end()) return false;
  const Refusal& refusal = found->second;
  if (context_.host.monotonic_now_ns() >= refusal.again_at_ns || refusal.definition != definition_hash(container))
    return false;
  pass.waiting[container.name()] = refusal.why;
  pass.again_at(refusal.again_at_ns);
  return true;
}

void Backoff::forget_refusal(Pass& pass, const Container& container) {
  pass.memory->refused.erase(container.name());
  if (!pass.memory->refused.empty()) return;
  context_.registry.with([&] { pass.memory->waits_for.clear(); });
}

}  // namespace orlop::agent
