#include "plugins/api-kubernetes/rest/watch_hub.hpp"

#include <algorithm>

namespace orlop::rest {
namespace {

constexpr size_t kRingEventsMax = 8192;
constexpr size_t kRingBytesMax = 16 * 1024 * 1024;
constexpr size_t kBatchEventsMax = 256;
constexpr uint32_t kBatchBytesMax = 1024 * 1024;

std::shared_ptr<WatchEvent> event_of(const ChangeView& change) {
  auto event = std::make_shared<WatchEvent>();
  event->type = change.type;
  event->revision = change.record.revision;
  event->name_space = change.record.name_space;
  event->name = change.record.name;
  event->value = change.record.value;
  event->previous = change.previous_value;
  return event;
}

size_t bytes_of(const WatchEvent& event) {
  return sizeof(WatchEvent) + event.value.size() + event.previous.size();
}

}  // namespace

std::shared_ptr<const std::string> WatchEvent::encoded(uint32_t key, const std::function<std::string()>& make) const {
  std::lock_guard lock(mutex_);
  for (const auto& [known, bytes] : encodings_) {
    if (known == key) return bytes;
  }
  return encodings_.emplace_back(key, std::make_shared<const std::string>(make())).second;
}

WatchHubs::WatchHubs(Host host) : host_(host) {}
WatchHubs::~WatchHubs() {
  stop();
}

void WatchHubs::start() {
  thread_ = std::thread([this] { run(); });
}

void WatchHubs::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    woken_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WatchHubs::wake() {
  std::lock_guard lock(mutex_);
  pending_ = true;
  woken_.notify_one();
}

void WatchHubs::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [this] { return pending_ || stopping_; });
      if (stopping_) return;
      pending_ = false;
    }
    while (!pull_once()) {
    }
  }
}

// True: there is nothing more for now.
bool WatchHubs::pull_once() {
  v1::PullRequest request;
  {
    std::lock_guard lock(mutex_);
    if (hubs_.empty() || stopping_) return true;
    for (const auto& hub : hubs_) request.add_kinds(hub.first);
    request.set_cursor(cursor_);
  }
  request.set_want_previous(true);
  Fresh fresh;
  auto result = host_.pull(request, [&](const ChangeView& change) {
    auto found = fresh.find(change.record.kind);
    if (found == fresh.end()) found = fresh.emplace(std::string(change.record.kind), Fresh::mapped_type()).first;
    found->second.push_back(event_of(change));
    return true;
  });
  std::lock_guard lock(mutex_);
  if (!result) {
    if (result.code() == Code::kGone) reset_rings();
    return true;
  }
  cursor_ = result->next_cursor();
  for (auto& [kind, hub] : hubs_) {
    bool asked = std::find(request.kinds().begin(), request.kinds().end(), kind) != request.kinds().end();
    if (!asked) {
      // Began while the pull was under way: its watchers read what lies before from the log.
      hub.ring.clear();
      hub.ring_bytes = 0;
      hub.covered_from = hub.covered_to = cursor_;
      for (http::Exchange* watcher : hub.watchers) watcher->notify();
      continue;
    }
    auto found = fresh.find(kind);
    append(hub, found == fresh.end() ? std::vector<WatchEventPtr>() : std::move(found->second), cursor_);
  }
  return result->at_end();
}

void WatchHubs::append(Hub& hub, std::vector<WatchEventPtr> events, uint64_t cursor) {
  bool any = !events.empty();
  for (WatchEventPtr& event : events) {
    hub.ring_bytes += bytes_of(*event);
    hub.ring.push_back(std::move(event));
  }
  while (hub.ring.size() > kRingEventsMax || (hub.ring_bytes > kRingBytesMax && hub.ring.size() > 1)) {
    hub.covered_from = hub.ring.front()->revision;
    hub.ring_bytes -= bytes_of(*hub.ring.front());
    hub.ring.pop_front();
  }
  hub.covered_to = std::max(hub.covered_to, cursor);
  if (!any) return;
  for (http::Exchange* watcher : hub.watchers) watcher->notify();
}

void WatchHubs::reset_rings() {
  cursor_ = host_.revision();
  for (auto& [kind, hub] : hubs_) {
    hub.ring.clear();
    hub.ring_bytes = 0;
    hub.covered_from = hub.covered_to = cursor_;
    for (http::Exchange* watcher : hub.watchers) watcher->notify();
  }
}

Result<WatchHubs::Batch> WatchHubs::take(std::string_view kind, std::string_view name_space, uint64_t cursor) {
  {
    std::lock_guard lock(mutex_);
    auto found = hubs_.find(kind);
    if (found != hubs_.end() && cursor >= found->second.covered_from) {
      Hub& hub = found->second;
      Batch batch;
      batch.next_cursor = std::max(cursor, hub.covered_to);
      auto first = std::upper_bound(hub.ring.begin(), hub.ring.end(), cursor,
                                    [](uint64_t value, const WatchEventPtr& event) { return value < event->revision; });
      for (; first != hub.ring.end(); ++first) {
        if (batch.events.size() == kBatchEventsMax) {
          batch.at_end = false;
          batch.next_cursor = batch.events.back()->revision;
          break;
        }
        batch.events.push_back(*first);
      }
      return batch;
    }
  }
  return take_from_log(kind, name_space, cursor);
}

Result<WatchHubs::Batch> WatchHubs::take_from_log(std::string_view kind, std::string_view name_space,
                                                  uint64_t cursor) const {
  v1::PullRequest request;
  request.set_cursor(cursor);
  request.add_kinds(std::string(kind));
  request.set_namespace_(std::string(name_space));
  request.set_max_changes(kBatchEventsMax);
  request.set_max_bytes(kBatchBytesMax);
  request.set_want_previous(true);
  Batch batch;
  auto result = host_.pull(request, [&](const ChangeView& change) {
    batch.events.push_back(event_of(change));
    return true;
  });
  if (!result) return result.status();
  batch.next_cursor = std::max(cursor, result->next_cursor());
  batch.at_end = result->at_end();
  return batch;
}

WatchHubs::Subscription::Subscription(WatchHubs& hubs, std::string_view kind, http::Exchange& exchange)
    : hubs_(hubs), kind_(kind), exchange_(exchange) {
  std::lock_guard lock(hubs_.mutex_);
  if (hubs_.hubs_.empty()) hubs_.cursor_ = hubs_.host_.revision();
  auto [found, added] = hubs_.hubs_.try_emplace(kind_);
  if (added) found->second.covered_from = found->second.covered_to = hubs_.cursor_;
  found->second.watchers.insert(&exchange_);
  // What changed between the caller's list and now is pulled even if nothing changes after.
  hubs_.pending_ = true;
  hubs_.woken_.notify_one();
}

WatchHubs::Subscription::~Subscription() {
  std::lock_guard lock(hubs_.mutex_);
  auto found = hubs_.hubs_.find(kind_);
  found->second.watchers.erase(&exchange_);
  if (found->second.watchers.empty()) hubs_.hubs_.erase(found);
}

}  // namespace orlop::rest
