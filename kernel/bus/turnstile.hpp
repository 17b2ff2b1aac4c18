// Keeps an object in use from being taken apart: whoever enters is waited for by close(), and nobody enters after it.
//
// Threads: any. Entering twice from one thread is fine, also while another waits in close(): the second entry is
// refused.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace orlop::bus {

class Turnstile {
 public:
  // False after close(). Each true is followed by one leave().
  bool enter() {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++inside_;
    return true;
  }
  void leave() {
    std::lock_guard lock(mutex_);
    if (--inside_ == 0 && closed_) empty_.notify_all();
  }
  // Refuses newcomers and waits until nobody is inside. Not from inside.
  void close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    empty_.wait(lock, [this] { return inside_ == 0; });
  }
  // Refuses newcomers without waiting.
  void shut() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }

  class Pass {
   public:
    explicit Pass(Turnstile& turnstile) : turnstile_(turnstile.enter() ? &turnstile : nullptr) {}
    ~Pass() {
      if (turnstile_ != nullptr) turnstile_->leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    explicit operator bool() const { return turnstile_ != nullptr; }

   private:
    Turnstile* turnstile_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  uint64_t inside_ = 0;  // guarded by mutex_
  bool closed_ = false;  // guarded by mutex_
};

}  // namespace orlop::bus
