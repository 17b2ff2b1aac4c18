#include "kernel/bus/call_router.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace orlop::bus {

CallRouter::CallRouter(const Clock& clock, Timer& timer) : clock_(clock), timer_(timer) {}

CallRouter::~CallRouter() {
  stop();
}

void CallRouter::declare(const std::string& capability, const std::string& instance, const std::string& plugin,
                         uint32_t order) {
  std::lock_guard lock(mutex_);
  plugins_.try_emplace(plugin);
  Declaration declaration{capability, instance, plugin, order};
  auto place = std::upper_bound(declarations_.begin(), declarations_.end(), order,
                                [](uint32_t value, const Declaration& other) { return value < other.order; });
  declarations_.insert(place, std::move(declaration));
}

void CallRouter::withdraw(const std::string& plugin) {
  detach(plugin, "it has been removed");
  std::lock_guard lock(mutex_);
  std::erase_if(declarations_, [&](const Declaration& d) { return d.plugin == plugin; });
  plugins_.erase(plugin);
}

void CallRouter::attach(const std::string& plugin, std::shared_ptr<Endpoint> endpoint) {
  std::lock_guard lock(mutex_);
  plugins_[plugin].endpoint = std::move(endpoint);
}

void CallRouter::detach(const std::string& plugin, const std::string& reason) {
  std::shared_ptr<Endpoint> released;
  std::vector<Pending> orphans;
  {
    std::lock_guard lock(mutex_);
    auto& entry = plugins_[plugin];
    released = std::move(entry.endpoint);
    entry.endpoint.reset();
    entry.absence = reason;
    for (auto it = pending_.begin(); it != pending_.end();) {
      if (it->second.plugin == plugin) {
        orphans.push_back(std::move(it->second));
        it = pending_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (auto& orphan : orphans) {
    timer_.cancel(orphan.timer);
    orphan.answer(Code::kUnavailable,
                  encode_status({Code::kUnavailable,
                                 fmt::format("plugin {} went away during {}: {}", plugin, orphan.method, reason)}));
  }
}

const CallRouter::Declaration* CallRouter::choose(const std::string& capability, const std::string& provider) const {
  for (const auto& declaration : declarations_) {
    if (declaration.capability != capability) continue;
    if (provider.empty() || declaration.plugin == provider || declaration.instance == provider) return &declaration;
  }
  return nullptr;
}

Result<std::string> CallRouter::provider_of(const std::string& capability, const std::string& provider) const {
  std::lock_guard lock(mutex_);
  if (const auto* declaration = choose(capability, provider)) return declaration->plugin;
  return Status(Code::kUnavailable,
                provider.empty() ? fmt::format("no plugin provides the capability {}", capability)
                                 : fmt::format("no plugin provides the capability {} as {}", capability, provider));
}

std::vector<std::string> CallRouter::providers_of(const std::string& capability) const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& declaration : declarations_) {
    if (declaration.capability == capability &&
        std::find(names.begin(), names.end(), declaration.plugin) == names.end()) {
      names.push_back(declaration.plugin);
    }
  }
  return names;
}

void CallRouter::call(const Target& target, std::string_view payload, AnswerFunction answer) {
  auto plugin = provider_of(target.capability, target.provider);
  if (!plugin) return answer(plugin.code(), encode_status(plugin.status()));
  begin(*plugin, fmt::format("the capability {} is provided by plugin {}", target.capability, *plugin), target.method,
        payload, target.deadline_ms, std::move(answer));
}

void CallRouter::call_plugin(const std::string& plugin, std::string_view method, std::string_view payload,
                             uint32_t deadline_ms, AnswerFunction answer) {
  begin(plugin, fmt::format("plugin {} is asked", plugin), method, payload, deadline_ms, std::move(answer));
}

void CallRouter::begin(const std::string& plugin, const std::string& what, std::string_view method,
                       std::string_view payload, uint32_t deadline_ms, AnswerFunction answer) {
  if (deadline_ms == 0) deadline_ms = kDefaultDeadlineMs;
  const int64_t deadline_ns = clock_.monotonic_ns() + static_cast<int64_t>(deadline_ms) * 1'000'000;
  std::shared_ptr<Endpoint> endpoint;
  uint64_t id = 0;
  Status refusal;
  {
    std::lock_guard lock(mutex_);
    auto entry = plugins_.find(plugin);
    if (stopped_) {
      refusal = Status(Code::kCancelled, "the kernel is stopping");
    } else if (entry == plugins_.end() || !entry->second.endpoint) {
      refusal = Status(Code::kUnavailable,
                       fmt::format("{}, which takes no calls now: {}", what,
                                   entry == plugins_.end() ? "there is no such plugin" : entry->second.absence));
    } else {
      endpoint = entry->second.endpoint;
      id = next_id_++;
      auto& pending = pending_[id];
      pending.plugin = plugin;
      pending.method = std::string(method);
      pending.answer = std::move(answer);
      pending.deadline_ms = deadline_ms;
      pending.timer = timer_.at(deadline_ns, [this, id] { expire(id); });
    }
  }
  if (!refusal.is_ok()) return answer(refusal.code(), encode_status(refusal));
  if (endpoint->deliver(id, method, payload, deadline_ns)) return;
  bool found = false;
  finish(id, nullptr, Code::kUnavailable,
         encode_status({Code::kUnavailable, fmt::format("{}, which has just gone away", what)}), found);
}

bool CallRouter::respond(const std::string& plugin, uint64_t call_id, Code code, std::string_view payload) {
  bool found = false;
  finish(call_id, &plugin, code, payload, found);
  return found;
}

void CallRouter::finish(uint64_t call_id, const std::string* plugin, Code code, std::string_view payload, bool& found) {
  Pending done;
  {
    std::lock_guard lock(mutex_);
    auto it = pending_.find(call_id);
    if (it == pending_.end()) return;
    if (plugin != nullptr && it->second.plugin != *plugin) return;
    done = std::move(it->second);
    pending_.erase(it);
  }
  found = true;
  timer_.cancel(done.timer);
  done.answer(code, payload);
}

void CallRouter::expire(uint64_t call_id) {
  Pending done;
  {
    std::lock_guard lock(mutex_);
    auto it = pending_.find(call_id);
    if (it == pending_.end()) return;
    done = std::move(it->second);
    pending_.erase(it);
  }
  done.answer(Code::kTimeout, encode_status({Code::kTimeout, fmt::format("plugin {} did not answer {} within {} ms",
                                                                         done.plugin, done.method, done.deadline_ms)}));
}

void CallRouter::stop() {
  std::unordered_map<uint64_t, Pending> dropped;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(pending_);
  }
  const std::string bytes = encode_status({Code::kCancelled, "the kernel is stopping"});
  for (auto& [id, pending] : dropped) {
    timer_.cancel(pending.timer);
    pending.answer(Code::kCancelled, bytes);
  }
}

std::size_t CallRouter::pending() const {
  std::lock_guard lock(mutex_);
  return pending_.size();
}

}  // namespace orlop::bus
