#include "kernel/daemon/host_session.hpp"

#include "kernel/bus/call_router.hpp"
#include "kernel/bus/clock.hpp"
#include "kernel/bus/link.hpp"
#include "kernel/bus/timer.hpp"
#include "kernel/bus/wire.hpp"
#include "kernel/lifecycle/lane.hpp"
#include "kernel/lifecycle/outstanding.hpp"
#include "kernel/lifecycle/plugin_library.hpp"
#include "kernel/lifecycle/record_codec.hpp"
#include "kernel/lifecycle/wake_timer.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace orlop::daemon {
namespace {

using bus::FrameType;
using bus::Reader;
using bus::Writer;
using lifecycle::slice_of_bytes;
using lifecycle::view_of_slice;

// A thread of the plugin that waits for the frames of one request.
struct Wait {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<std::string> batches;  // guarded by mutex, as is all below
  bool done = false;
  Code code = Code::kOk;
  std::string payload;
};

class HostSession {
 public:
  explicit HostSession(const HostOptions& options)
      : options_(options), timer_(bus::system_clock()), dispatcher_("dispatch"), completer_("complete") {
    wake_timer_ = std::make_shared<lifecycle::WakeTimer>(timer_, [this] { post_wake(ORLOP_WAKE_TIMER); });
    fill_table();
  }

  int run() {
    bus::LinkHandlers handlers;
    handlers.on_frame = [this](std::string_view frame) { on_frame(frame); };
    handlers.on_closed = [] { ::_exit(0); };
    auto link = bus::Link::dial(options_.socket, std::move(handlers));
    if (!link) {
      std::fprintf(stderr, "orlop-host: %s\n", link.message().c_str());
      return 1;
    }
    link_ = std::move(*link);
    linked_.set_value();
    Writer hello(FrameType::kHello, 0);
    hello.number(static_cast<uint64_t>(::getpid()));
    send(hello);
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return !queue_.empty(); });
      auto function = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      function();
      lock.lock();
    }
  }

 private:
  void send(Writer& writer) { link_->send(writer.take()); }
  void answer(uint64_t id, const Status& status) {
    Writer writer(FrameType::kDone, id);
    writer.number(static_cast<uint64_t>(status.code()));
    writer.bytes(status.is_ok() ? std::string() : bus::encode_status(status));
    send(writer);
  }

  template <typename Body>
  static Status guarded(Body&& body) {
    try {
      return body();
    } catch (const std::exception& error) {
      return {Code::kInternal, error.what()};
    }
  }

  // -------------------------------------------------------------------------------------------- what the kernel sends

  void on_frame(std::string_view bytes) {
    linked_future_.wait();
    auto frame = bus::parse_frame(bytes);
    if (!frame) protocol_error(frame.message());
    Reader fields(frame->fields);
    const uint64_t id = frame->id;
    switch (frame->type) {
      case FrameType::kRecords:
      case FrameType::kChanges:
        return on_batch(id, frame->fields);
      case FrameType::kDone:
        return on_done(id, fields);
      case FrameType::kInit:
        return post_main([this, id, config = std::string(fields.bytes())] { init(id, config); });
      case FrameType::kStart:
        return post_main([this, id] { start(id); });
      case FrameType::kStop:
        return post_main([this, id] { stop(id); });
      case FrameType::kHandleCall: {
        std::string method(fields.bytes());
        std::string payload(fields.bytes());
        const int64_t deadline_ns = fields.signed_number();
        dispatcher_.post([this, id, method = std::move(method), payload = std::move(payload), deadline_ns] {
          if (!started_) return;
          plugin_->handle_call(plugin_->self, id, slice_of_bytes(method), slice_of_bytes(payload), deadline_ns);
        });
        return;
      }
      case FrameType::kWake:
        return post_wake(static_cast<uint32_t>(fields.number()));
      case FrameType::kPing: {
        const bool health = fields.number() != 0;
        dispatcher_.post([this, id, health] { ping(id, health); });
        return;
      }
      default:
        protocol_error("a frame that only a host sends");
    }
  }

  [[noreturn]] static void protocol_error(const std::string& what) {
    std::fprintf(stderr, "orlop-host: the kernel sent %s\n", what.c_str());
    ::_exit(1);
  }

  void post_main(std::function<void()> function) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(function));
    }
    work_.notify_one();
  }

  void post_wake(uint32_t reasons) {
    if (due_reasons_.fetch_or(reasons) != 0) return;  // one is on its way already
    dispatcher_.post([this] {
      if (!started_) return;  // kept: start() looks at it
      if (const uint32_t due = due_reasons_.exchange(0); due != 0) plugin_->wake(plugin_->self, due);
    });
  }

  void ping(uint64_t id, bool health) {
    Status status;
    if (health && started_) {
      if (const orlop_code code = plugin_->health(plugin_->self); code != ORLOP_OK) {
        status = Status(bus::code_from_number(static_cast<uint64_t>(code)), "not healthy");
      }
    }
    answer(id, status);
  }

  void init(uint64_t id, const std::string& config) {
    answer(id, guarded([&]() -> Status {
             ORLOP_ASSIGN(const orlop_entry* entry, lifecycle::load_entry(options_.file));
             ORLOP_ASSIGN(plugin_, lifecycle::create_plugin(*entry, table_, options_.file));
             return lifecycle::run_init(*plugin_, config);
           }));
  }

  void start(uint64_t id) {
    const Status status = guarded([&] { return lifecycle::run_start(*plugin_); });
    started_ = status.is_ok();
    answer(id, status);
    if (const uint32_t due = due_reasons_.exchange(0); started_ && due != 0) post_wake(due);
  }

  void stop(uint64_t id) {
    const bool was_started = started_.exchange(false);
    std::promise<void> idle;  // what the dispatcher was given before has returned
    dispatcher_.post([&idle] { idle.set_value(); });
    idle.get_future().wait();
    if (was_started) {
      (void)guarded([&] {
        plugin_->stop(plugin_->self);
        return Status();
      });
    }
    wake_timer_->close();
    outstanding_->close();
    if (plugin_) plugin_->destroy(plugin_->self);
    answer(id, {});
    link_->flush(1'000'000'000);
    std::fflush(nullptr);
    ::_exit(0);  // the library's threads and statics need no further farewell
  }

  void on_batch(uint64_t id, std::string_view fields) {
    if (auto wait = find_wait(id)) {
      std::lock_guard lock(wait->mutex);
      wait->batches.emplace_back(fields);
      wait->arrived.notify_one();
    }
  }

  void on_done(uint64_t id, Reader& fields) {
    const Code code = bus::code_from_number(fields.number());
    const auto payload = fields.bytes();
    if (!fields.at_end()) protocol_error("an answer that cannot be parsed");
    bus::AnswerFunction completion;
    std::shared_ptr<Wait> wait;
    {
      std::lock_guard lock(pending_mutex_);
      if (auto found = completions_.find(id); found != completions_.end()) {
        completion = std::move(found->second);
        completions_.erase(found);
      } else if (auto waiting = waits_.find(id); waiting != waits_.end()) {
        wait = std::move(waiting->second);
        waits_.erase(waiting);
      }
    }
    if (completion) {
      completer_.post(
          [completion = std::move(completion), code, bytes = std::string(payload)] { completion(code, bytes); });
    } else if (wait) {
      std::lock_guard lock(wait->mutex);
      wait->done = true;
      wait->code = code;
      wait->payload = payload;
      wait->arrived.notify_one();
    }
  }

  std::shared_ptr<Wait> find_wait(uint64_t id) {
    std::lock_guard lock(pending_mutex_);
    auto found = waits_.find(id);
    return found == waits_.end() ? nullptr : found->second;
  }

  // ---------------------------------------------------------------------------------------- what the plugin asks for

  static HostSession& of(void* context) { return *static_cast<HostSession*>(context); }

  std::pair<uint64_t, std::shared_ptr<Wait>> new_wait() {
    auto wait = std::make_shared<Wait>();
    std::lock_guard lock(pending_mutex_);
    const uint64_t id = next_id_++;
    waits_.emplace(id, wait);
    return {id, wait};
  }

  // Sends a request and hands each batch of its answer to `on_batch` on the caller's thread.
  template <typename OnBatch>
  std::shared_ptr<Wait> ask(FrameType type, std::string_view request, OnBatch&& on_batch) {
    auto [id, wait] = new_wait();
    Writer writer(type, id);
    writer.bytes(request);
    send(writer);
    std::unique_lock lock(wait->mutex);
    while (true) {
      wait->arrived.wait(lock, [&wait = wait] { return wait->done || !wait->batches.empty(); });
      if (wait->batches.empty()) return wait;
      const std::string batch = std::move(wait->batches.front());
      wait->batches.pop_front();
      lock.unlock();
      Reader reader(batch);
      on_batch(reader);
      lock.lock();
    }
  }

  static orlop_code finish(const Wait& wait, orlop_completion done, void* user) {
    done(user, static_cast<orlop_code>(wait.code), slice_of_bytes(wait.payload));
    return static_cast<orlop_code>(wait.code);
  }

  template <FrameType type>
  static orlop_code read(void* context, orlop_slice request, orlop_record_visitor visit, void* visit_user,
                         orlop_completion done, void* done_user) {
    bool wanted = true;  // what comes after the visitor's end is passed over
    auto wait = of(context).ask(type, view_of_slice(request), [&](Reader& reader) {
      while (wanted && !reader.at_end()) {
        const orlop_record record = lifecycle::read_record(reader);
        if (!reader.ok()) protocol_error("a record that cannot be parsed");
        wanted = visit(visit_user, &record) == ORLOP_OK;
      }
    });
    return finish(*wait, done, done_user);
  }

  static orlop_code pull(void* context, orlop_slice request, orlop_change_visitor visit, void* visit_user,
                         orlop_completion done, void* done_user) {
    bool wanted = true;
    auto wait = of(context).ask(FrameType::kPull, view_of_slice(request), [&](Reader& reader) {
      while (wanted && !reader.at_end()) {
        const orlop_change change = lifecycle::read_change(reader);
        if (!reader.ok()) protocol_error("a change that cannot be parsed");
        wanted = visit(visit_user, &change) == ORLOP_OK;
      }
    });
    return finish(*wait, done, done_user);
  }

  static orlop_code subscribe(void* context, orlop_slice request) {
    auto wait = of(context).ask(FrameType::kSubscribe, view_of_slice(request), [](Reader&) {});
    return static_cast<orlop_code>(wait->code);
  }

  static uint64_t revision(void* context) {
    auto wait = of(context).ask(FrameType::kRevision, {}, [](Reader&) {});
    return Reader(wait->payload).number();
  }

  // Sends a request whose answer ends `done` later.
  void begin(FrameType type, std::string_view first, std::optional<std::string_view> second, orlop_completion done,
             void* user) {
    auto completion = outstanding_->add(done, user);
    uint64_t id = 0;
    {
      std::lock_guard lock(pending_mutex_);
      id = next_id_++;
      completions_.emplace(id, std::move(completion));
    }
    Writer writer(type, id);
    writer.bytes(first);
    if (second) writer.bytes(*second);
    send(writer);
  }

  static void commit(void* context, orlop_slice request, orlop_completion done, void* user) {
    of(context).begin(FrameType::kCommit, view_of_slice(request), std::nullopt, done, user);
  }
  static void call(void* context, orlop_slice target, orlop_slice payload, orlop_completion done, void* user) {
    of(context).begin(FrameType::kCall, view_of_slice(target), view_of_slice(payload), done, user);
  }
  static void respond(void* context, uint64_t call_id, orlop_code code, orlop_slice payload) {
    Writer writer(FrameType::kRespond, call_id);
    writer.number(static_cast<uint64_t>(code)).bytes(view_of_slice(payload));
    of(context).send(writer);
  }
  static void wake_at(void* context, int64_t monotonic_ns) { of(context).wake_timer_->at(monotonic_ns); }
  static int64_t monotonic_now_ns(void*) { return bus::system_clock().monotonic_ns(); }
  static int64_t wall_now_ns(void*) { return bus::system_clock().wall_ns(); }
  static void log(void* context, int32_t level, orlop_slice message) {
    Writer writer(FrameType::kLog, 0);
    writer.signed_number(level).bytes(view_of_slice(message));
    of(context).send(writer);
  }
  static void set_ready(void* context, int32_t ready, orlop_slice reason) {
    Writer writer(FrameType::kReady, 0);
    writer.number(ready != 0 ? 1 : 0).bytes(view_of_slice(reason));
    of(context).send(writer);
  }

  void fill_table() {
    table_.size = sizeof table_;
    table_.abi_minor = ORLOP_ABI_MINOR;
    table_.context = this;
    table_.get = &read<FrameType::kGet>;
    table_.list = &read<FrameType::kList>;
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

  const HostOptions options_;
  orlop_host table_{};
  std::promise<void> linked_;  // link_ is set; a frame may be quicker
  std::shared_future<void> linked_future_{linked_.get_future()};
  std::unique_ptr<bus::Link> link_;
  std::optional<orlop_plugin> plugin_;  // of the main thread; others only while started_
  std::atomic<bool> started_{false};
  std::atomic<uint32_t> due_reasons_{0};
  std::shared_ptr<lifecycle::Outstanding> outstanding_ = std::make_shared<lifecycle::Outstanding>();
  std::shared_ptr<lifecycle::WakeTimer> wake_timer_;

  std::mutex pending_mutex_;
  std::unordered_map<uint64_t, bus::AnswerFunction> completions_;  // guarded by pending_mutex_, as is all below
  std::unordered_map<uint64_t, std::shared_ptr<Wait>> waits_;
  uint64_t next_id_ = 1;

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_; for the main thread

  bus::Timer timer_;
  lifecycle::Lane dispatcher_;
  lifecycle::Lane completer_;
};

}  // namespace

int run_host_session(const HostOptions& options) {
  // Never destroyed: threads of nng and of the plugin may use it until the process ends.
  auto* session = new HostSession(options);
  return session->run();
}

}  // namespace orlop::daemon
