#include "plugins/node-agent/lifecycle_hooks.hpp"

#include <utility>

namespace orlop::agent {

std::shared_ptr<HookRun> LifecycleHooks::begin(const Pass& pass, const core::LifecycleHandler& handler,
                                               const Container& container, const std::string& container_id,
                                               int64_t timeout_ms) {
  auto hook = std::make_shared<HookRun>();
  if (handler.has_sleep()) {
    hook->until_ns = context_.host.monotonic_now_ns() + handler.sleep().seconds() * kSecondNs;
    return hook;
  }
  auto check = make_check(handler, container, pass.ip(context_.machine));
  if (!check) {
    hook->done = hook->failed = true;
    hook->why = check.message();
    return hook;
  }
  check->container_id = container_id;
  check->timeout_ms = timeout_ms;
  const bool is_http = handler.has_httpget();
  checks_.run(*check, [this, hook, is_http, key = pass.key](CheckResult result) {
    context_.registry.with([&] {
      // Any answer of an HTTP server will do.
      const bool answered = is_http && result.output.starts_with("HTTP probe failed");
      hook->done = true;
      hook->failed =
          !answered && (result.outcome == CheckOutcome::kFailure || result.outcome == CheckOutcome::kUnknown);
      hook->why = std::move(result.output);
    });
    context_.registry.wake(key);
  });
  return hook;
}

LifecycleHooks::State LifecycleHooks::state(const HookRun& hook) const {
  if (hook.until_ns != 0) return context_.host.monotonic_now_ns() >= hook.until_ns ? State::kDone : State::kRunning;
  return context_.registry.with([&] {
    return !hook.done ? State::kRunning : hook.failed ? State::kFailed : State::kDone;
  });
}

}  // namespace orlop::agent
