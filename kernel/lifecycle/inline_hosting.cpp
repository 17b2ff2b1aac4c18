// A plugin in the kernel's own process: a call is a jump.
#include "kernel/bus/turnstile.hpp"
#include "kernel/bus/wire.hpp"
#include "kernel/lifecycle/hosting.hpp"
#include "kernel/lifecycle/lane.hpp"
#include "kernel/lifecycle/outstanding.hpp"
#include "kernel/lifecycle/plugin_library.hpp"
#include "kernel/lifecycle/wake_timer.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace orlop::lifecycle {
namespace {

orlop_slice slice_of_view(std::string_view view) {
  return slice_of_bytes(view);
}

orlop_record to_abi(const store::RecordView& record) {
  return {slice_of_view(record.key.kind), slice_of_view(record.key.name_space),
          slice_of_view(record.key.name), record.revision,
          record.create_revision,         slice_of_view(record.value)};
}

orlop_change to_abi(const store::ChangeView& change) {
  orlop_change out{};
  out.type = static_cast<int32_t>(change.type);
  out.record = {slice_of_view(change.key.kind), slice_of_view(change.key.name_space),
                slice_of_view(change.key.name), change.revision,
                change.create_revision,         slice_of_view(change.value)};
  out.previous_revision = change.previous_revision;
  if (change.previous_value) out.previous_value = slice_of_view(*change.previous_value);
  return out;
}

class InlineHosting final : public Hosting, public std::enable_shared_from_this<InlineHosting> {
 public:
  InlineHosting(HostingSpec spec, std::shared_ptr<PluginContext> context)
      : spec_(std::move(spec)), context_(std::move(context)), lane_(std::make_unique<Lane>(spec_.plugin)) {
    fill_table();
  }

  void close() override {
    closed_ = true;
    if (abandoned_) {
      if (wake_timer_) wake_timer_->close();
      calls_.shut();
      // The plugin's thread hangs in the plugin. What it uses stays until the end of the process, which is near.
      (void)lane_.release();
      abandoned_self_ = shared_from_this();
      return;
    }
    end_use();
    context_->kernel().wakes.remove(token_);
    lane_->post([this] {
      if (plugin_) plugin_->destroy(plugin_->self);
    });
    lane_->stop();
  }

  Status begin() override {
    token_ = context_->kernel().wakes.add([this] { wake(ORLOP_WAKE_CHANGES); });
    wake_timer_ = std::make_shared<WakeTimer>(context_->kernel().timer, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->wake(ORLOP_WAKE_TIMER);
    });
    return {};
  }

  void init(std::string config, Done done) override {
    lane_->post([this, config = std::move(config), done = std::move(done)] {
      done(guarded([&]() -> Status {
        ORLOP_ASSIGN(const orlop_entry* entry, load_entry(spec_.file));
        ORLOP_ASSIGN(plugin_, create_plugin(*entry, table_, spec_.file));
        return run_init(*plugin_, config);
      }));
    });
  }

  void start(Done done) override {
    lane_->post([this, done = std::move(done)] {
      Status status = guarded([&] { return run_start(*plugin_); });
      if (status.is_ok()) {
        started_ = true;
        context_->kernel().wakes.enable(token_);
        if (timer_due_.exchange(false)) wake(ORLOP_WAKE_TIMER);
      }
      done(std::move(status));
    });
    watch_health();
  }

  void stop(Done done) override {
    lane_->post([this, done = std::move(done)] {
      started_ = false;
      calls_.close();  // nothing is handed in any more; what was handed in has returned
      if (plugin_) {
        (void)guarded([&] {
          plugin_->stop(plugin_->self);
          return Status();
        });
      }
      end_use();
      done({});
    });
  }

  void kill() override { abandoned_ = true; }
  [[nodiscard]] int64_t pid() const override { return 0; }

  bool deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t deadline_ns) override {
    const bus::Turnstile::Pass pass(calls_);
    if (!pass || !started_) return false;
    plugin_->handle_call(plugin_->self, call_id, slice_of_view(method), slice_of_view(payload), deadline_ns);
    return true;
  }

 private:
  // A fault of ours, or an exception that should not have passed the boundary, ends one call and not the process.
  template <typename Body>
  static Status guarded(Body&& body) {
    try {
      return body();
    } catch (const std::exception& error) {
      return {Code::kInternal, error.what()};
    }
  }

  void wake(uint32_t reasons) {
    const bus::Turnstile::Pass pass(calls_);
    if (!pass) return;
    if (!started_) {
      if ((reasons & ORLOP_WAKE_TIMER) != 0) timer_due_ = true;
      return;
    }
    plugin_->wake(plugin_->self, reasons);
  }

  // After it the plugin's calls of the host answer kCancelled, and it waits for nothing any more.
  void end_use() {
    if (wake_timer_) wake_timer_->close();
    calls_.close();
    outstanding_->close();
  }

  void watch_health() {
    context_->kernel().timer.after(1'000'000'000, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || self->closed_) return;
      self->check_health();
      self->watch_health();
    });
  }

  void check_health() {
    const int64_t now = context_->kernel().clock.monotonic_ns();
    if (const int64_t asked = asked_at_.load(); asked != 0) {
      if (now - asked > spec_.hang_ns) {
        spec_.on_health(false, fmt::format("it has not answered a health check for {} ms", (now - asked) / 1'000'000));
      }
      return;
    }
    if (!started_) return;
    asked_at_ = now;
    lane_->post([this] {
      orlop_code code = ORLOP_OK;
      {
        const bus::Turnstile::Pass pass(calls_);
        if (pass && started_) code = plugin_->health(plugin_->self);
      }
      asked_at_ = 0;
      spec_.on_health(code == ORLOP_OK,
                      code == ORLOP_OK ? ""
                                       : fmt::format("its health check says {}",
                                                     reason_of(bus::code_from_number(static_cast<uint64_t>(code)))));
    });
  }

  // ---------------------------------------------------------------------------------------------- the host's table

  static InlineHosting& of(void* context) { return *static_cast<InlineHosting*>(context); }

  using ReadFunction = Reply (PluginContext::*)(std::string_view, const store::RecordVisitor&);

  static orlop_code finish(const Reply& reply, orlop_completion done, void* user) {
    done(user, static_cast<orlop_code>(reply.code), slice_of_view(reply.payload));
    return static_cast<orlop_code>(reply.code);
  }

  template <ReadFunction function>
  static orlop_code read(void* context, orlop_slice request, orlop_record_visitor visit, void* visit_user,
                         orlop_completion done, void* done_user) {
    Reply reply;
    const Status status = guarded([&] {
      reply = (of(context).context_.get()->*function)(view_of_slice(request), [&](const store::RecordView& view) {
        const orlop_record record = to_abi(view);
        return visit(visit_user, &record) == ORLOP_OK;
      });
      return Status();
    });
    return finish(status.is_ok() ? reply : Reply::of(status), done, done_user);
  }

  static orlop_code pull(void* context, orlop_slice request, orlop_change_visitor visit, void* visit_user,
                         orlop_completion done, void* done_user) {
    Reply reply;
    const Status status = guarded([&] {
      reply = of(context).context_->pull(view_of_slice(request), [&](const store::ChangeView& view) {
        const orlop_change change = to_abi(view);
        return visit(visit_user, &change) == ORLOP_OK;
      });
      return Status();
    });
    return finish(status.is_ok() ? reply : Reply::of(status), done, done_user);
  }

  static orlop_code subscribe(void* context, orlop_slice request) {
    auto& self = of(context);
    const Status status = guarded([&] { return self.context_->subscribe(view_of_slice(request), self.token_); });
    if (!status.is_ok()) self.context_->log(static_cast<int64_t>(LogLevel::kWarn), status.message());
    return static_cast<orlop_code>(status.code());
  }

  static void commit(void* context, orlop_slice request, orlop_completion done, void* done_user) {
    auto& self = of(context);
    auto answer = self.outstanding_->add(done, done_user);
    const Status status = guarded([&] {
      self.context_->commit(view_of_slice(request), answer);
      return Status();
    });
    if (!status.is_ok()) answer(status.code(), bus::encode_status(status));
  }

  static void call(void* context, orlop_slice target, orlop_slice payload, orlop_completion done, void* done_user) {
    auto& self = of(context);
    auto answer = self.outstanding_->add(done, done_user);
    const Status status = guarded([&] {
      self.context_->call(view_of_slice(target), view_of_slice(payload), answer);
      return Status();
    });
    if (!status.is_ok()) answer(status.code(), bus::encode_status(status));
  }

  static void respond(void* context, uint64_t call_id, orlop_code code, orlop_slice payload) {
    (void)guarded([&] {
      of(context).context_->respond(call_id, bus::code_from_number(static_cast<uint64_t>(code)),
                                    view_of_slice(payload));
      return Status();
    });
  }

  static void wake_at(void* context, int64_t monotonic_ns) { of(context).wake_timer_->at(monotonic_ns); }
  static int64_t monotonic_now_ns(void* context) { return of(context).context_->kernel().clock.monotonic_ns(); }
  static int64_t wall_now_ns(void* context) { return of(context).context_->kernel().clock.wall_ns(); }
  static void log(void* context, int32_t level, orlop_slice message) {
    (void)guarded([&] {
      of(context).context_->log(level, view_of_slice(message));
      return Status();
    });
  }
  static uint64_t revision(void* context) { return of(context).context_->revision(); }
  static void set_ready(void* context, int32_t ready, orlop_slice reason) {
    of(context).context_->set_ready(ready != 0, view_of_slice(reason));
  }

  void fill_table() {
    table_.size = sizeof table_;
    table_.abi_minor = ORLOP_ABI_MINOR;
    table_.context = this;
    table_.get = &read<&PluginContext::get>;
    table_.list = &read<&PluginContext::list>;
    table_.pull = &pull;
    table_.subscribe = &subscribe;
    table_.commit = &commit;
    table_.call = &call;
    table_.respond = &respond;
    table_.wake_at = &wake_at;
    table_.monotonic_now_ns = &monotonic_now_ns;
    table_.wall_now_ns = &wall_now_ns;
    table_.log = &log;
    table_.revision = &revision;
    table_.set_ready = &set_ready;
  }

  const HostingSpec spec_;
  const std::shared_ptr<PluginContext> context_;
  orlop_host table_{};
  std::optional<orlop_plugin> plugin_;  // set on the lane, before started_
  std::atomic<bool> started_{false};
  std::atomic<bool> timer_due_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> closed_{false};
  std::atomic<int64_t> asked_at_{0};  // when health was asked for; 0: it has answered
  bus::Turnstile calls_;              // into the plugin
  std::shared_ptr<Outstanding> outstanding_ = std::make_shared<Outstanding>();
  std::shared_ptr<WakeTimer> wake_timer_;
  WakeHub::Token token_ = 0;
  std::shared_ptr<InlineHosting> abandoned_self_;
  std::unique_ptr<Lane> lane_;
};

}  // namespace

std::shared_ptr<Hosting> make_inline_hosting(HostingSpec spec, std::shared_ptr<PluginContext> context) {
  return std::make_shared<InlineHosting>(std::move(spec), std::move(context));
}

}  // namespace orlop::lifecycle
