// The glue between the ABI and HollowRuntime, and the thread that does what is due.
#include "orlop/plugin.hpp"

#include "plugins/runtime-hollow/hollow_runtime.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <sys/random.h>

namespace {

using orlop::hollow::HollowRuntime;

class RuntimeHollow final : public orlop::Plugin {
 public:
  using Plugin::Plugin;

  orlop::Status init(const orlop::Config& config) override {
    orlop::hollow::Settings settings;
    settings.ip_range = config.text("ip_range", settings.ip_range);
    settings.latency = std::chrono::milliseconds(config.integer("latency_ms", 0));
    settings.images = config.texts("images");
    orlop::hollow::Clocks clocks;
    clocks.monotonic = [host = host()] { return host.monotonic_now_ns(); };
    clocks.wall = [host = host()] { return host.wall_now_ns(); };
    uint64_t identity = 0;
    if (::getrandom(&identity, sizeof identity, 0) != static_cast<ssize_t>(sizeof identity)) {
      return {orlop::Code::kInternal, "the machine gives no random numbers"};
    }
    ORLOP_ASSIGN(runtime_, HollowRuntime::make(settings, std::move(clocks), identity));
    return {};
  }

  orlop::Status start() override {
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    awake_.notify_all();
    if (thread_.joinable()) thread_.join();
    if (runtime_ != nullptr) runtime_->stop();
  }

  void wake(uint32_t) override {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    awake_.notify_all();
  }

  void handle_call(orlop::Call call) override {
    runtime_->call(call.method, std::move(call.payload), call.deadline_ns,
                   [host = host(), id = call.id](const orlop::Status& status, std::string_view payload) {
                     if (status.is_ok()) {
                       host.respond(id, payload);
                     } else {
                       host.respond(id, status);
                     }
                   });
    ask_for_wake();
  }

 private:
  void ask_for_wake() {
    if (auto due = runtime_->next_due()) host().wake_at(*due);
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      awake_.wait(lock, [this] { return stopping_ || woken_; });
      if (stopping_) return;
      woken_ = false;
      lock.unlock();
      runtime_->tick();
      ask_for_wake();
      lock.lock();
    }
  }

  std::unique_ptr<HollowRuntime> runtime_;
  std::mutex mutex_;
  std::condition_variable awake_;
  bool woken_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace

ORLOP_PLUGIN(RuntimeHollow)
