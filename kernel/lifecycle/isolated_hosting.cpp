// A plugin in an orlop-host process of its own: a call is a frame. Whatever that process does, it ends as a fault here.
#include "kernel/bus/link.hpp"
#include "kernel/bus/wire.hpp"
#include "kernel/lifecycle/hosting.hpp"
#include "kernel/lifecycle/lane.hpp"
#include "kernel/lifecycle/record_codec.hpp"
#include "orlop/abi/plugin.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace orlop::lifecycle {
namespace {

using bus::FrameType;
using bus::Writer;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kTickNs = 100 * kMs;
constexpr int64_t kPingEveryNs = 200 * kMs;
constexpr int64_t kHealthEveryNs = 1000 * kMs;
constexpr int64_t kHelloWithinNs = 10'000 * kMs;
constexpr std::size_t kBatchBytes = 256 << 10;
constexpr std::size_t kRoomBytes = 8 << 20;
constexpr int64_t kRoomWithinNs = 5'000 * kMs;

class IsolatedHosting final : public Hosting, public std::enable_shared_from_this<IsolatedHosting> {
 public:
  IsolatedHosting(HostingSpec spec, std::shared_ptr<PluginContext> context, ProcessHub& processes)
      : spec_(std::move(spec)),
        context_(std::move(context)),
        processes_(processes),
        kernel_(context_->kernel()),
        reader_("r-" + spec_.plugin) {}

  Status begin() override;
  void init(std::string config, Done done) override { request(FrameType::kInit, config, std::move(done)); }
  void start(Done done) override {
    request(FrameType::kStart, {}, [weak = weak_from_this(), done = std::move(done)](Status status) {
      if (auto self = weak.lock(); self && status.is_ok()) {
        self->started_ = true;
        self->kernel_.wakes.enable(self->token_);
      }
      done(std::move(status));
    });
  }
  void stop(Done done) override {
    started_ = false;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      if (!exited_) stop_done_ = std::move(done);
    }
    if (done) return done({});  // it has ended by itself
    // The answer is the end of the process.
    request(FrameType::kStop, {}, [](const Status&) {});
  }
  void kill() override {
    if (const auto pid = pid_.load(); pid != 0) processes_.kill(static_cast<pid_t>(pid), SIGKILL);
  }
  void close() override;
  [[nodiscard]] int64_t pid() const override { return pid_; }

  bool deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t deadline_ns) override {
    if (!started_) return false;
    Writer writer(FrameType::kHandleCall, call_id);
    writer.bytes(method).bytes(payload).signed_number(deadline_ns);
    return send(writer);
  }

 private:
  bool send(Writer& writer) {
    if (!ready_to_send_) return false;
    return link_->send(writer.take());
  }
  void send_done(uint64_t id, Code code, std::string_view payload) {
    Writer writer(FrameType::kDone, id);
    writer.number(static_cast<uint64_t>(code)).bytes(payload);
    send(writer);
  }

  // A request to the host, answered by its kDone. Held back until the host has said hello.
  void request(FrameType type, std::string_view payload, Done done) {
    uint64_t id = 0;
    Writer writer;
    {
      std::lock_guard lock(mutex_);
      id = next_id_++;
      waiting_.emplace(id, std::move(done));
      writer = Writer(type, id);
      writer.bytes(payload);
      if (!greeted_) {
        held_back_.push_back(writer.take());
        return;
      }
    }
    send(writer);  // a broken link is a fault, told from where it broke
  }

  void fault(const std::string& reason) {
    if (closing_ || faulted_.exchange(true)) return;
    spec_.on_fault(reason);
  }
  void malformed(const std::string& what) { fault(fmt::format("it sent {}", what)); }

  void ended(const std::string& how) {
    Done done;
    {
      std::lock_guard lock(mutex_);
      exited_ = true;
      done = std::move(stop_done_);
      stop_done_ = nullptr;
    }
    end_.notify_all();
    if (done) {
      done({});
    } else if (!stopping_) {
      fault(how);
    }
  }

  void on_frame(std::string_view bytes);
  void on_hello(bus::Reader& fields);
  void on_done(uint64_t id, bus::Reader& fields);
  void on_simple(FrameType type, uint64_t id, bus::Reader& fields);
  void read(FrameType type, uint64_t id, const std::string& request);
  void tick();
  void tick_again() {
    kernel_.timer.after(kTickNs, [weak = weak_from_this()] {
      if (auto self = weak.lock(); self && !self->closing_) {
        self->tick();
        self->tick_again();
      }
    });
  }
  void ping(int64_t now);

  const HostingSpec spec_;
  const std::shared_ptr<PluginContext> context_;
  ProcessHub& processes_;
  const KernelParts kernel_;
  std::unique_ptr<bus::Link> link_;
  WakeHub::Token token_ = 0;
  std::atomic<bool> ready_to_send_{false};
  std::atomic<int64_t> pid_{0};
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> faulted_{false};

  std::mutex mutex_;
  std::map<uint64_t, Done> waiting_;    // guarded by mutex_
  std::vector<std::string> held_back_;  // guarded by mutex_
  uint64_t next_id_ = 1;                // guarded by mutex_
  bool greeted_ = false;                // guarded by mutex_
  bool exited_ = false;                 // guarded by mutex_
  Done stop_done_;                      // guarded by mutex_
  std::condition_variable end_;

  int64_t begun_at_ = 0;
  // Of the timer's thread alone, but for ping_sent_at_, which the answer clears.
  std::atomic<int64_t> ping_sent_at_{0};
  int64_t last_ping_ = 0;
  int64_t last_health_ = 0;
  int64_t last_tick_ = 0;
  int64_t allowance_ = 0;

  Lane reader_;  // gets, lists and pulls, in order
};

Status IsolatedHosting::begin() {
  bus::LinkHandlers handlers;
  handlers.on_frame = [this](std::string_view bytes) { on_frame(bytes); };
  handlers.on_closed = [this] {
    // The end of the process says more, and comes soon: a crash writes its core first.
    kernel_.timer.after(500 * kMs, [weak = weak_from_this()] {
      if (auto self = weak.lock(); self && !self->stopping_) self->fault("its link to the kernel broke");
    });
  };
  ORLOP_ASSIGN(link_, bus::Link::listen(spec_.socket, std::move(handlers)));
  ready_to_send_ = true;
  token_ = kernel_.wakes.add([this] {
    Writer writer(FrameType::kWake, 0);
    writer.number(ORLOP_WAKE_CHANGES);
    send(writer);
  });
  ProcessSpec process;
  process.arguments = {spec_.host_program, "--socket", spec_.socket,
                       "--file",           spec_.file, "--name",
                       spec_.plugin,       "--parent", std::to_string(::getpid())};
  auto log = context_;
  process.on_line = [log](std::string_view line, bool from_stderr) {
    log->log(from_stderr ? ORLOP_WARN : ORLOP_INFO, line);
  };
  process.on_exit = [weak = weak_from_this()](const std::string& how) {
    if (auto self = weak.lock()) self->ended(how);
  };
  begun_at_ = last_tick_ = kernel_.clock.monotonic_ns();
  ORLOP_ASSIGN(const pid_t pid, processes_.start(std::move(process)));
  pid_ = pid;
  tick_again();
  return {};
}

void IsolatedHosting::close() {
  closing_ = true;
  started_ = false;
  ready_to_send_ = false;
  kernel_.wakes.remove(token_);
  if (link_) link_->close();
  reader_.stop();
  std::unique_lock lock(mutex_);
  waiting_.clear();
  if (pid_ == 0 || exited_) return;
  // The next run must not meet the last one: SIGKILL needs a moment, unless the process hangs in the system itself.
  kill();
  end_.wait_for(lock, std::chrono::seconds(1), [this] { return exited_; });
}

// ------------------------------------------------------------------------------------------------ what the host sends

void IsolatedHosting::on_frame(std::string_view bytes) {
  if (closing_ || faulted_) return;
  auto frame = bus::parse_frame(bytes);
  if (!frame) return malformed(frame.message());
  bus::Reader fields(frame->fields);
  if (frame->type == FrameType::kHello) return on_hello(fields);
  {
    std::lock_guard lock(mutex_);
    if (!greeted_) return malformed("a frame before its hello");
  }
  const uint64_t id = frame->id;
  switch (frame->type) {
    case FrameType::kDone:
      return on_done(id, fields);
    case FrameType::kGet:
    case FrameType::kList:
    case FrameType::kPull: {
      std::string request(fields.bytes());
      if (!fields.at_end()) return malformed("a read that cannot be parsed");
      reader_.post([this, type = frame->type, id, request = std::move(request)] { read(type, id, request); });
      return;
    }
    case FrameType::kCommit: {
      const auto request = fields.bytes();
      if (!fields.at_end()) return malformed("a commit that cannot be parsed");
      context_->commit(request, [weak = weak_from_this(), id](Code code, std::string_view payload) {
        if (auto self = weak.lock()) self->send_done(id, code, payload);
      });
      return;
    }
    case FrameType::kCall: {
      const auto target = fields.bytes();
      const auto payload = fields.bytes();
      if (!fields.at_end()) return malformed("a call that cannot be parsed");
      context_->call(target, payload, [weak = weak_from_this(), id](Code code, std::string_view answer) {
        if (auto self = weak.lock()) self->send_done(id, code, answer);
      });
      return;
    }
    default:
      return on_simple(frame->type, id, fields);
  }
}

void IsolatedHosting::on_simple(FrameType type, uint64_t id, bus::Reader& fields) {
  switch (type) {
    case FrameType::kRespond: {
      const Code code = bus::code_from_number(fields.number());
      const auto payload = fields.bytes();
      if (!fields.at_end()) return malformed("an answer that cannot be parsed");
      return context_->respond(id, code, payload);
    }
    case FrameType::kSubscribe: {
      const auto request = fields.bytes();
      if (!fields.at_end()) return malformed("a subscription that cannot be parsed");
      const Status status = context_->subscribe(request, token_);
      if (!status.is_ok()) context_->log(ORLOP_WARN, status.message());
      return send_done(id, status.code(), {});
    }
    case FrameType::kLog: {
      const int64_t level = fields.signed_number();
      const auto message = fields.bytes();
      if (!fields.at_end()) return malformed("a log line that cannot be parsed");
      return context_->log(level, message);
    }
    case FrameType::kReady: {
      const bool ready = fields.number() != 0;
      const auto reason = fields.bytes();
      if (!fields.at_end()) return malformed("a readiness that cannot be parsed");
      return context_->set_ready(ready, reason);
    }
    case FrameType::kRevision: {
      Writer number;
      number.number(context_->revision());
      return send_done(id, Code::kOk, number.view());
    }
    default:
      return malformed(fmt::format("a frame of the type {}, which is the kernel's", static_cast<int>(type)));
  }
}

void IsolatedHosting::on_hello(bus::Reader& fields) {
  const uint64_t pid = fields.number();
  if (!fields.at_end()) return malformed("a hello that cannot be parsed");
  // Whoever connects must be the process that was started for it.
  const int64_t peer = link_->peer_pid();
  const int64_t expected = pid_;
  if (peer != 0 && expected != 0 && (peer != expected || static_cast<int64_t>(pid) != expected)) {
    return malformed(fmt::format("a hello of process {} in place of {}", peer, expected));
  }
  std::vector<std::string> frames;
  {
    std::lock_guard lock(mutex_);
    if (greeted_) return malformed("a second hello");
    greeted_ = true;
    frames.swap(held_back_);
    for (auto& frame : frames) link_->send(std::move(frame));
  }
}

void IsolatedHosting::on_done(uint64_t id, bus::Reader& fields) {
  const Code code = bus::code_from_number(fields.number());
  const auto payload = fields.bytes();
  if (!fields.at_end()) return malformed("an answer that cannot be parsed");
  Done done;
  {
    std::lock_guard lock(mutex_);
    auto found = waiting_.find(id);
    if (found != waiting_.end()) {
      done = std::move(found->second);
      waiting_.erase(found);
    }
  }
  if (!done) return malformed("an answer to nothing that was asked");
  done(bus::decode_status(code, payload));
}

void IsolatedHosting::read(FrameType type, uint64_t id, const std::string& request) {
  const FrameType batch_type = type == FrameType::kPull ? FrameType::kChanges : FrameType::kRecords;
  Writer batch(batch_type, id);
  const std::size_t empty = batch.size();
  bool broken = false;
  auto flush = [&](std::size_t above) {
    if (broken || batch.size() <= above) return;
    // A host always reads, whatever its plugin does; one that does not is cut off before it holds a snapshot for long.
    if (!link_->wait_for_room(kRoomBytes, kRoomWithinNs)) {
      broken = true;
      return fault("it does not read what it asked for");
    }
    broken = !send(batch);
    batch = Writer(batch_type, id);
  };
  Reply reply;
  if (type == FrameType::kPull) {
    reply = context_->pull(request, [&](const store::ChangeView& view) {
      const CodedRecord record{view.key.kind, view.key.name_space, view.key.name,
                               view.value,    view.revision,       view.create_revision};
      write_change(batch, static_cast<uint64_t>(view.type), record, view.previous_revision,
                   view.previous_value.value_or(std::string_view()));
      flush(kBatchBytes);
      return !broken;
    });
  } else {
    auto visit = [&](const store::RecordView& view) {
      write_record(
          batch, {view.key.kind, view.key.name_space, view.key.name, view.value, view.revision, view.create_revision});
      flush(kBatchBytes);
      return !broken;
    };
    reply = type == FrameType::kGet ? context_->get(request, visit) : context_->list(request, visit);
  }
  flush(empty);
  if (!broken) send_done(id, reply.code, reply.payload);
}

// ------------------------------------------------------------------------------------------------------- supervision

void IsolatedHosting::ping(int64_t now) {
  const bool health = started_ && now - last_health_ >= kHealthEveryNs;
  if (health) last_health_ = now;
  last_ping_ = now;
  allowance_ = 0;
  ping_sent_at_ = now;
  uint64_t id = 0;
  {
    std::lock_guard lock(mutex_);
    id = next_id_++;
    waiting_.emplace(id, [weak = weak_from_this(), health](const Status& status) {
      auto self = weak.lock();
      if (!self) return;
      self->ping_sent_at_ = 0;
      if (health && self->started_) {
        self->spec_.on_health(status.is_ok(),
                              status.is_ok() ? "" : fmt::format("its health check says {}", reason_of(status.code())));
      }
    });
  }
  Writer writer(FrameType::kPing, id);
  writer.number(health ? 1 : 0);
  send(writer);
}

void IsolatedHosting::tick() {
  const int64_t now = kernel_.clock.monotonic_ns();
  // When this very thread came late, the machine is short of time, and the plugin is not to blame for it.
  const int64_t late = now - last_tick_ - kTickNs;
  last_tick_ = now;
  if (late > kTickNs / 2) allowance_ += late;
  bool greeted = false;
  {
    std::lock_guard lock(mutex_);
    greeted = greeted_;
  }
  if (!greeted) {
    if (now - begun_at_ > kHelloWithinNs) {
      fault(fmt::format("its host process did not report within {} ms", kHelloWithinNs / kMs));
    }
    return;
  }
  if (stopping_ || faulted_) return;
  const int64_t sent = ping_sent_at_;
  if (sent != 0) {
    if (now - sent > spec_.hang_ns + allowance_) {
      fault(fmt::format("it hung: no answer for {} ms", (now - sent) / kMs));
    }
    return;
  }
  if (now - last_ping_ >= kPingEveryNs) ping(now);
}

}  // namespace

std::shared_ptr<Hosting> make_isolated_hosting(HostingSpec spec, std::shared_ptr<PluginContext> context,
                                               ProcessHub& processes) {
  return std::make_shared<IsolatedHosting>(std::move(spec), std::move(context), processes);
}

}  // namespace orlop::lifecycle
