// A plugin that does what a test asks of it: echoes, counts, writes, watches; and misbehaves in each way that the
// kernel must survive.
#include "orlop/host.hpp"
#include "orlop/plugin.hpp"
#include "orlop/v1/api.pb.h"

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

class Probe final : public orlop::Plugin {
 public:
  explicit Probe(orlop::Host host) : Plugin(host) {}

  orlop::Status init(const orlop::Config& config) override {
    kind_ = config.text("kind");
    watch_ = config.text("watch");
    greeting_ = config.text("greeting");
    limit_ = config.integer("limit");
    name_ = config.instance_name();
    own_data_ = config.folder("own_data");
    fail_ = config.text("fail");
    if (fail_ == "init") return {orlop::Code::kInvalid, "it was told to fail in init"};
    if (fail_ == "crash-in-init") crash();
    if (fail_ == "hang-in-init") std::raise(SIGSTOP);
    if (fail_ == "garbage-in-init") write_garbage();
    return {};
  }

  orlop::Status start() override {
    if (fail_ == "start") return {orlop::Code::kUnavailable, "it was told to fail in start"};
    if (!watch_.empty()) {
      if (auto status = host().subscribe({watch_}); !status.is_ok()) return status;
    }
    cursor_ = host().revision();
    worker_ = std::thread([this] { work(); });
    host().log_info(greeting_ + " from " + name_);
    host().set_ready(true);
    return {};
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
  }

  void wake(uint32_t reasons) override {
    const std::lock_guard lock(mutex_);
    reasons_ |= reasons;
    changed_.notify_all();
  }

  void handle_call(orlop::Call call) override {
    if (call.method == "Probe/Echo") return host().respond(call.id, call.payload);
    if (call.method == "Probe/Fail")
      return host().respond(call.id, {orlop::Code::kConflict, "as asked", {{"R", "M", "F"}}});
    if (call.method == "Probe/Silence") return;
    if (call.method == "Probe/Hang") {
      while (!stuck_) ::pause();
    }
    if (call.method == "Probe/Crash") crash();
    if (call.method == "Probe/Exit") ::_exit(3);
    if (call.method == "Probe/Garbage") return write_garbage();
    if (call.method == "Probe/Print") {
      std::printf("printed: %s\n", call.payload.c_str());
      std::fprintf(stderr, "complained: %s\n", call.payload.c_str());
      std::fflush(stdout);
      return host().respond(call.id, "");
    }
    if (call.method == "orlop.v1.Kinds/Describe") return describe(call);
    if (call.method == "orlop.v1.Kinds/Admit") return admit(call);
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(call));
    changed_.notify_all();
  }

 private:
  // As without a sanitizer, which has a handler of its own.
  static void crash() {
    std::signal(SIGSEGV, SIG_DFL);
    std::raise(SIGSEGV);
  }

  // Bytes in place of frames, on every socket that this process has.
  static void write_garbage() {
    const char bytes[] =
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    for (int descriptor = 3; descriptor < 64; ++descriptor) {
      [[maybe_unused]] const auto wrote = ::write(descriptor, bytes, sizeof bytes);
    }
  }

  void describe(const orlop::Call& call) {
    orlop::v1::DescribeResponse response;
    if (kind_.empty()) return host().respond(call.id, {orlop::Code::kMethodNotAllowed, "no kinds"});
    auto* kind = response.add_kinds();
    kind->set_kind(kind_);
    kind->set_namespaced(true);
    host().respond(call.id, response.SerializeAsString());
  }

  void admit(const orlop::Call& call) {
    orlop::v1::AdmitRequest request;
    request.ParseFromString(call.payload);
    orlop::v1::AdmitResponse response;
    for (const auto& review : request.reviews()) {
      auto* verdict = response.add_verdicts();
      verdict->set_value(review.write().value());
      verdict->add_index_terms("by/" + name_);
      if (review.write().key().name() == "forbidden") {
        verdict->mutable_status()->set_code(ORLOP_INVALID);
        verdict->mutable_status()->set_message("this name is refused");
      }
    }
    host().respond(call.id, response.SerializeAsString());
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      changed_.wait(lock, [this] { return stopping_ || reasons_ != 0 || !tasks_.empty(); });
      if (stopping_) return;
      const uint32_t reasons = std::exchange(reasons_, 0);
      auto tasks = std::move(tasks_);
      tasks_.clear();
      lock.unlock();
      if ((reasons & ORLOP_WAKE_TIMER) != 0) timer_woke_at_ = host().monotonic_now_ns();
      if ((reasons & ORLOP_WAKE_CHANGES) != 0) look();
      for (const auto& task : tasks) run(task);
      lock.lock();
    }
  }

  void look() {
    orlop::v1::PullRequest request;
    request.set_cursor(cursor_);
    request.add_kinds(watch_);
    for (bool more = true; more;) {
      auto result = host().pull(request, [this](const orlop::ChangeView& change) {
        ++seen_;
        last_seen_ns_ = host().monotonic_now_ns();
        last_name_ = change.record.name;
        return true;
      });
      if (!result) return host().log_warn(result.message());
      cursor_ = result->next_cursor();
      request.set_cursor(cursor_);
      more = !result->at_end();
    }
  }

  void run(const orlop::Call& call) {
    if (call.method == "Probe/Write") return write(call);
    if (call.method == "Probe/List") return list(call);
    if (call.method == "Probe/Seen") {
      return host().respond(call.id, std::to_string(seen_) + " " + last_name_ + " " + std::to_string(last_seen_ns_));
    }
    if (call.method == "Probe/Relay") {  // the payload names a plugin to echo through
      orlop::v1::CallTarget target;
      target.set_capability("probe");
      target.set_provider(call.payload);
      target.set_method("Probe/Echo");
      auto answer = host().call_wait(target, "relayed by " + name_);
      return answer ? host().respond(call.id, *answer) : host().respond(call.id, answer.status());
    }
    if (call.method == "Probe/Timer") {
      host().wake_at(host().monotonic_now_ns() + 20'000'000);
      return host().respond(call.id, "");
    }
    if (call.method == "Probe/TimerFired") return host().respond(call.id, timer_woke_at_ != 0 ? "yes" : "no");
    if (call.method == "Probe/Settings") {
      return host().respond(call.id, greeting_ + " " + std::to_string(limit_) + " " + name_ + " " +
                                         (::access(own_data_.c_str(), W_OK) == 0 ? "writable" : "unwritable"));
    }
    host().respond(call.id, {orlop::Code::kMethodNotAllowed, "no such method: " + call.method});
  }

  // The payload is a name; the object's value is metadata of just that name.
  void write(const orlop::Call& call) {
    orlop::v1::CommitRequest request;
    auto* write = request.add_writes();
    write->mutable_key()->set_kind(watch_.empty() ? kind_ : watch_);
    write->mutable_key()->set_namespace_("default");
    write->mutable_key()->set_name(call.payload);
    write->set_verb(orlop::v1::CREATE);
    orlop::v1::ObjectMeta meta;
    meta.set_name(call.payload);
    meta.set_namespace_("default");
    const std::string inner = meta.SerializeAsString();
    std::string value("\x0a", 1);
    value.push_back(static_cast<char>(inner.size()));
    write->set_value(value + inner);
    auto result = host().commit_wait(request);
    if (!result) return host().respond(call.id, result.status());
    host().respond(call.id, std::to_string(result->revision()));
  }

  void list(const orlop::Call& call) {
    orlop::v1::ListRequest request;
    request.set_kind(call.payload);
    std::string names;
    auto result = host().list(request, [&](const orlop::RecordView& record) {
      names += std::string(record.name) + ",";
      return true;
    });
    if (!result) return host().respond(call.id, result.status());
    host().respond(call.id, names);
  }

  std::string kind_, watch_, greeting_, name_, own_data_, fail_, last_name_;
  int64_t limit_ = 0, timer_woke_at_ = 0, last_seen_ns_ = 0;
  uint64_t cursor_ = 0, seen_ = 0;
  std::atomic<bool> stuck_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<orlop::Call> tasks_;  // guarded by mutex_, as is all below
  uint32_t reasons_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace

ORLOP_PLUGIN(Probe)
