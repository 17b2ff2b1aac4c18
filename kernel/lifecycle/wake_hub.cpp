#include "kernel/lifecycle/wake_hub.hpp"

#include <algorithm>

#include <pthread.h>

namespace orlop::lifecycle {

WakeHub::WakeHub(store::Store& store, bus::Doorbell* doorbell) : store_(store), doorbell_(doorbell) {
  thread_ = std::thread([this] { run(); });
  listener_ = store_.on_commit(
      [this](store::Revision revision, std::span<const std::string> kinds) { committed(revision, kinds); });
}

WakeHub::~WakeHub() {
  stop();
}

WakeHub::Token WakeHub::add(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  const Token token = next_++;
  sleepers_[token].wake = std::move(wake);
  return token;
}

void WakeHub::subscribe(Token token, std::vector<std::string> kinds) {
  std::lock_guard lock(mutex_);
  auto sleeper = sleepers_.find(token);
  if (sleeper == sleepers_.end()) return;
  sleeper->second.subscribed = true;
  sleeper->second.kinds = std::move(kinds);
}

void WakeHub::enable(Token token) {
  std::lock_guard lock(mutex_);
  auto sleeper = sleepers_.find(token);
  if (sleeper == sleepers_.end()) return;
  sleeper->second.enabled = true;
  if (sleeper->second.due) {
    work_ = true;
    changed_.notify_one();
  }
}

void WakeHub::remove(Token token) {
  std::unique_lock lock(mutex_);
  sleepers_.erase(token);
  if (std::this_thread::get_id() == thread_.get_id()) return;
  idle_.wait(lock, [&] { return current_ != token; });
}

void WakeHub::committed(uint64_t revision, std::span<const std::string> kinds) {
  {
    std::lock_guard lock(mutex_);
    revision_ = revision;
    touched_.insert(kinds.begin(), kinds.end());
    for (auto& [token, sleeper] : sleepers_) {
      if (!sleeper.subscribed || sleeper.due) continue;
      sleeper.due = sleeper.kinds.empty() || std::any_of(kinds.begin(), kinds.end(), [&](const std::string& kind) {
                      return std::find(sleeper.kinds.begin(), sleeper.kinds.end(), kind) != sleeper.kinds.end();
                    });
    }
    work_ = true;
  }
  changed_.notify_one();
}

void WakeHub::run() {
  pthread_setname_np(pthread_self(), "wakes");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return work_ || stopping_; });
    if (stopping_) return;
    work_ = false;
    Token at = 0;
    for (auto it = sleepers_.begin(); it != sleepers_.end(); it = sleepers_.upper_bound(at)) {
      at = it->first;
      if (!it->second.due || !it->second.enabled) continue;
      it->second.due = false;
      current_ = at;
      auto wake = it->second.wake;
      lock.unlock();
      wake();
      lock.lock();
      current_ = 0;
      idle_.notify_all();
    }
    if (doorbell_ != nullptr && !touched_.empty()) {
      const std::vector<std::string> kinds(touched_.begin(), touched_.end());
      touched_.clear();
      const uint64_t revision = revision_;
      lock.unlock();
      doorbell_->ring(revision, kinds);
      lock.lock();
    }
  }
}

void WakeHub::stop() {
  if (!thread_.joinable()) return;
  store_.remove_listener(listener_);
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace orlop::lifecycle
