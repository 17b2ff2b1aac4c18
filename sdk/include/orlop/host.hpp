// The kernel as a plugin sees it: a thin C++ layer over abi/host.h. Adds no state and no policy.
//
// Threads: a Host is a copyable handle; every method may be called from any thread between the plugin's construction
// and the return of its stop(). Methods that block say so. Guarantees are those of abi/host.h.
#pragma once

#include "orlop/abi/host.h"
#include "orlop/result.hpp"
#include "orlop/v1/object.pb.h"
#include "orlop/v1/store.pb.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop {

inline orlop_slice slice_of(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
inline std::string_view view_of(orlop_slice slice) {
  return slice.size == 0 ? std::string_view{} : std::string_view{static_cast<const char*>(slice.data), slice.size};
}

inline v1::Status to_message(const Status& status) {
  v1::Status message;
  message.set_code(static_cast<int32_t>(status.code()));
  message.set_message(status.message());
  message.set_retry_after_seconds(status.retry_after_s());
  for (const Cause& cause : status.causes()) {
    v1::Cause* out = message.add_causes();
    out->set_reason(cause.reason);
    out->set_message(cause.message);
    out->set_field(cause.field);
  }
  return message;
}

inline Status from_message(const v1::Status& message) {
  if (message.code() == 0) return Status::ok();
  const int32_t code = message.code() > 0 && message.code() <= ORLOP_CANCELLED ? message.code() : ORLOP_INTERNAL;
  std::vector<Cause> causes;
  for (const v1::Cause& cause : message.causes()) causes.push_back({cause.reason(), cause.message(), cause.field()});
  Status status(static_cast<Code>(code), message.message(), std::move(causes));
  status.with_retry_after_s(message.retry_after_seconds());
  return status;
}

// The failure that an orlop_completion was given; ok when code is ORLOP_OK.
inline Status status_from(orlop_code code, orlop_slice payload) {
  if (code == ORLOP_OK) return Status::ok();
  v1::Status message;
  if (!message.ParseFromArray(payload.data, static_cast<int>(payload.size)) || message.code() == 0) {
    message.set_code(code);
    if (message.message().empty()) message.set_message("the kernel gave no reason");
  }
  return from_message(message);
}

// Ends an orlop_completion with a Status; for the plugin's side of the boundary.
inline orlop_code complete(const Status& status, orlop_completion done, void* user) {
  const auto code = static_cast<orlop_code>(status.code());
  const std::string bytes = status.is_ok() ? std::string() : to_message(status).SerializeAsString();
  done(user, code, slice_of(bytes));
  return code;
}

// Views into the store, valid during the visit only.
struct RecordView {
  std::string_view kind, name_space, name;
  uint64_t revision = 0;
  uint64_t create_revision = 0;
  std::string_view value;
};

enum class ChangeType : int32_t { kCreated = ORLOP_CREATED, kUpdated = ORLOP_UPDATED, kDeleted = ORLOP_DELETED };

struct ChangeView {
  ChangeType type = ChangeType::kCreated;
  RecordView record;
  uint64_t previous_revision = 0;
  std::string_view previous_value;
};

inline RecordView view_of(const orlop_record& record) {
  return {view_of(record.kind), view_of(record.name_space), view_of(record.name),
          record.revision,      record.create_revision,     view_of(record.value)};
}
inline ChangeView view_of(const orlop_change& change) {
  return {static_cast<ChangeType>(change.type), view_of(change.record), change.previous_revision,
          view_of(change.previous_value)};
}

// Return false to end the walk early. Must not block nor call the host.
using RecordVisitor = std::function<bool(const RecordView&)>;
using ChangeVisitor = std::function<bool(const ChangeView&)>;

template <typename Message>
using Completion = std::function<void(Result<Message>)>;

enum class LogLevel : int32_t { kTrace = 0, kDebug = 1, kInfo = 2, kWarn = 3, kError = 4 };

class Host {
 public:
  explicit Host(const orlop_host* table) : table_(table) {}

  // Blocking, short.
  Result<v1::ReadResult> get(const v1::GetRequest& request, const RecordVisitor& visit) const {
    return read(table_->get, request, visit);
  }
  Result<v1::ReadResult> list(const v1::ListRequest& request, const RecordVisitor& visit) const {
    return read(table_->list, request, visit);
  }
  // Blocking, short; kGone: the cursor has been compacted, list again.
  Result<v1::PullResult> pull(const v1::PullRequest& request, const ChangeVisitor& visit) const {
    const std::string bytes = request.SerializeAsString();
    Outcome<v1::PullResult> outcome;
    table_->pull(table_->context, slice_of(bytes), &visit_change, const_cast<ChangeVisitor*>(&visit),
                 &Outcome<v1::PullResult>::take, &outcome);
    return std::move(outcome.result);
  }

  Status subscribe(const std::vector<std::string>& kinds) const {
    v1::SubscribeRequest request;
    for (const std::string& kind : kinds) request.add_kinds(kind);
    const std::string bytes = request.SerializeAsString();
    const orlop_code code = table_->subscribe(table_->context, slice_of(bytes));
    if (code == ORLOP_OK) return Status::ok();
    return {static_cast<Code>(code), "the kernel refused the subscription"};
  }

  // Returns at once; `done` runs on a thread of the kernel and must not block.
  void commit(const v1::CommitRequest& request, Completion<v1::CommitResult> done) const {
    const std::string bytes = request.SerializeAsString();
    auto* pending = new Completion<v1::CommitResult>(std::move(done));  // owned by finish
    table_->commit(table_->context, slice_of(bytes), &finish<v1::CommitResult>, pending);
  }
  // Blocks until the write is on disk (or failed). Never call it from wake() or handle_call().
  Result<v1::CommitResult> commit_wait(const v1::CommitRequest& request) const {
    Waiter<v1::CommitResult> waiter;
    commit(request, [&waiter](Result<v1::CommitResult> result) { waiter.set(std::move(result)); });
    return waiter.wait();
  }

  // Calls a capability with raw bytes; rpc.hpp has the typed way. Returns at once.
  void call(const v1::CallTarget& target, std::string_view payload, Completion<std::string> done) const {
    const std::string bytes = target.SerializeAsString();
    auto* pending = new Completion<std::string>(std::move(done));  // owned by finish_bytes
    table_->call(table_->context, slice_of(bytes), slice_of(payload), &finish_bytes, pending);
  }
  Result<std::string> call_wait(const v1::CallTarget& target, std::string_view payload) const {
    Waiter<std::string> waiter;
    call(target, payload, [&waiter](Result<std::string> result) { waiter.set(std::move(result)); });
    return waiter.wait();
  }
  void respond(uint64_t call_id, std::string_view payload) const {
    table_->respond(table_->context, call_id, ORLOP_OK, slice_of(payload));
  }
  void respond(uint64_t call_id, const Status& failure) const {
    const std::string bytes = to_message(failure).SerializeAsString();
    table_->respond(table_->context, call_id, static_cast<orlop_code>(failure.code()), slice_of(bytes));
  }

  void wake_at(int64_t monotonic_ns) const { table_->wake_at(table_->context, monotonic_ns); }
  [[nodiscard]] int64_t monotonic_now_ns() const { return table_->monotonic_now_ns(table_->context); }
  [[nodiscard]] int64_t wall_now_ns() const { return table_->wall_now_ns(table_->context); }
  [[nodiscard]] uint64_t revision() const { return table_->revision(table_->context); }

  void log(LogLevel level, std::string_view message) const {
    table_->log(table_->context, static_cast<int32_t>(level), slice_of(message));
  }
  void log_info(std::string_view message) const { log(LogLevel::kInfo, message); }
  void log_warn(std::string_view message) const { log(LogLevel::kWarn, message); }
  void log_error(std::string_view message) const { log(LogLevel::kError, message); }

  // Only for plugins whose manifest says `ready: reported`.
  void set_ready(bool ready, std::string_view reason = {}) const {
    table_->set_ready(table_->context, ready ? 1 : 0, slice_of(reason));
  }

  [[nodiscard]] const orlop_host* table() const { return table_; }

 private:
  template <typename Message>
  struct Outcome {
    Result<Message> result{Status(Code::kInternal, "the kernel did not answer")};
    static void take(void* user, orlop_code code, orlop_slice payload) {
      auto* self = static_cast<Outcome*>(user);
      if (code != ORLOP_OK) {
        self->result = status_from(code, payload);
        return;
      }
      Message message;
      message.ParseFromArray(payload.data, static_cast<int>(payload.size));
      self->result = std::move(message);
    }
  };

  template <typename T>
  class Waiter {
   public:
    void set(Result<T> result) {
      const std::lock_guard lock(mutex_);
      result_ = std::make_unique<Result<T>>(std::move(result));
      arrived_.notify_one();  // under the lock: the waiter may be gone right after it
    }
    Result<T> wait() {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [this] { return result_ != nullptr; });
      return std::move(*result_);
    }

   private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::unique_ptr<Result<T>> result_;
  };

  static orlop_code visit_record(void* user, const orlop_record* record) {
    return (*static_cast<const RecordVisitor*>(user))(view_of(*record)) ? ORLOP_OK : ORLOP_CANCELLED;
  }
  static orlop_code visit_change(void* user, const orlop_change* change) {
    return (*static_cast<const ChangeVisitor*>(user))(view_of(*change)) ? ORLOP_OK : ORLOP_CANCELLED;
  }

  template <typename Request>
  Result<v1::ReadResult> read(decltype(orlop_host::get) function, const Request& request,
                              const RecordVisitor& visit) const {
    const std::string bytes = request.SerializeAsString();
    Outcome<v1::ReadResult> outcome;
    function(table_->context, slice_of(bytes), &visit_record, const_cast<RecordVisitor*>(&visit),
             &Outcome<v1::ReadResult>::take, &outcome);
    return std::move(outcome.result);
  }

  template <typename Message>
  static void finish(void* user, orlop_code code, orlop_slice payload) {
    const std::unique_ptr<Completion<Message>> done(static_cast<Completion<Message>*>(user));
    Outcome<Message> outcome;
    Outcome<Message>::take(&outcome, code, payload);
    (*done)(std::move(outcome.result));
  }
  static void finish_bytes(void* user, orlop_code code, orlop_slice payload) {
    const std::unique_ptr<Completion<std::string>> done(static_cast<Completion<std::string>*>(user));
    if (code != ORLOP_OK) {
      (*done)(status_from(code, payload));
    } else {
      (*done)(std::string(view_of(payload)));
    }
  }

  const orlop_host* table_;
};

}  // namespace orlop
