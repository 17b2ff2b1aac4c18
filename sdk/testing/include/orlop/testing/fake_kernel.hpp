// A kernel in memory, for the unit tests of a plugin: a real orlop_host table over a store, a clock and a set of
// capabilities that the test holds in its hands.
//
// What it keeps of the real kernel: the rules of object metadata (the same functions), optimistic concurrency and its
// messages, one revision over all objects, transactions, the change log with cursors and compaction, index terms,
// permissions, deadlines of calls, wakes. What it does not: nothing touches a disk, nothing is slow, and nothing
// happens by itself. Time stands still until advance(); commits are answered before commit() returns. Wakes come from a
// thread of the kernel's, at once unless a fault holds them back; run_until_idle() and advance() wait until they have
// come.
//
//   FakeKernel kernel;
//   kernel.create("pods", pod);                       // as some other client
//   MyController controller(kernel.host());           // the code under test
//   kernel.run_until_idle([&] { return controller.step(); });
//   EXPECT_TRUE(kernel.get<Pod>("pods", "default", "web"));
//
// For built-in kinds orlop::Objects<T>(kernel.host()) works as in a plugin, too.
//
// Threads: every method from any thread, so that plugins with threads of their own can be tested. Visitors run under
// the kernel's lock and must not call it, as abi/host.h says; one that does is answered kInternal and the message is
// logged.
#pragma once

#include "orlop/abi/host.h"
#include "orlop/abi/plugin.h"
#include "orlop/host.hpp"
#include "orlop/plugin.hpp"
#include "orlop/result.hpp"
#include "orlop/serialize.hpp"
#include "orlop/v1/api.pb.h"
#include "orlop/v1/store.pb.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace google::protobuf {
class Service;
}

namespace orlop::testing {

struct FakeKernelOptions {
  std::string plugin = "test";          // whose permissions and log these are
  std::vector<std::string> reads{"*"};  // its manifest's permissions
  std::vector<std::string> writes{"*"};
  int64_t wall_ns = 1'700'000'000'000'000'000;  // 2023-11-14T22:13:20Z
  int64_t monotonic_ns = 1'000'000'000;
  uint64_t seed = 1;  // of uids and of the faults; print it when a test fails
};

struct LogLine {
  LogLevel level = LogLevel::kInfo;
  std::string text;
};

// How often wakes go wrong, each from 0 (never) to 1 (always); drawn from the seed.
struct WakeFaults {
  double delayed = 0;   // held until the next advance() or run_until_idle()
  double lost = 0;      // folded into the next wake that is delivered; run_until_idle() makes up for it at the latest
  double repeated = 0;  // delivered twice
};

struct CallRecord {
  v1::CallTarget target;
  std::string payload;
};

class FakeKernel {
 public:
  explicit FakeKernel(FakeKernelOptions options = {});
  // Calls that are not answered yet end with kCancelled.
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  // Both live as long as the kernel.
  [[nodiscard]] const orlop_host* table() const;
  [[nodiscard]] Host host() const { return Host(table()); }

  // ---------------------------------------------------------------------------------------------- the plugin under
  // test

  // Who is woken, and who answers invoke(). The plugin outlives the kernel or is detached.
  void attach(Plugin& plugin);
  void attach(const orlop_plugin& plugin);
  void on_wake(std::function<void(uint32_t reasons)> wake);
  void detach();

  // Calls the attached plugin's handle_call() and waits for its respond(), at most 30 s of real time (kTimeout).
  Result<std::string> invoke(const std::string& method, const std::string& payload);
  template <typename Response, typename Request>
  Result<Response> invoke(const std::string& method, const Request& request) {
    ORLOP_ASSIGN(const std::string bytes, invoke(method, request.SerializeAsString()));
    Response response;
    if (!response.ParseFromString(bytes)) {
      return Status(Code::kInternal, method + " answered what cannot be read as " + response.GetTypeName());
    }
    return response;
  }

  // Delivers wakes that are held back, then calls `step` (if any), until nothing is held and step() returns 0 (no work
  // done). False: still not idle after `rounds_max`.
  bool run_until_idle(const std::function<std::size_t()>& step = {}, std::size_t rounds_max = 10'000);

  // ---------------------------------------------------------------------------------------------- time

  // Moves both clocks, stopping at each moment that wake_at() asked for and at each deadline of a call.
  void advance(std::chrono::nanoseconds by);
  [[nodiscard]] int64_t monotonic_now_ns() const;
  [[nodiscard]] int64_t wall_now_ns() const;
  // The moment that the plugin asked to be woken at, if any.
  [[nodiscard]] std::optional<int64_t> wake_asked_ns() const;

  // ---------------------------------------------------------------------------------------------- objects

  // What is known of a kind. One that is not described: in namespaces or not, as it comes; generation counted; status
  // in field 3.
  void describe_kind(v1::KindInfo kind);
  // Stands for the kind's provider: looks at each write before the rules of metadata. A verdict without a value leaves
  // the value as it is. Runs under the kernel's lock.
  using Admit = std::function<v1::Verdict(const v1::Review&)>;
  void on_admit(Admit admit);
  // Index terms beside those that the kernel itself and on_admit give ("owner/UID"), and "label/KEY=VALUE".
  void index_with(std::function<std::vector<std::string>(const std::string& kind, std::string_view value)> terms);

  // As another client: without the plugin's permissions and without faults.
  Result<v1::CommitResult> commit(const v1::CommitRequest& request);
  Result<v1::Written> write(const v1::Write& write);
  Status remove(const std::string& kind, const std::string& name_space, const std::string& name,
                const v1::DeleteOptions& options = {});

  // T: a message with metadata. The typed ones return the object as stored, and none when something is wrong with it.
  template <typename T>
  Result<T> create(const std::string& kind, const T& object) {
    return put(v1::CREATE, kind, object, {});
  }
  // Replaces whatever is there.
  template <typename T>
  Result<T> update(const std::string& kind, const T& object, const std::string& subresource = {}) {
    return put(v1::UPDATE, kind, object, subresource);
  }
  template <typename T>
  Result<T> get(const std::string& kind, const std::string& name_space, const std::string& name) const {
    ORLOP_ASSIGN(const std::string value, get_value(kind, name_space, name));
    return parse<T>(kind, value);
  }
  // In the order of their keys; every namespace when empty.
  template <typename T>
  std::vector<T> list(const std::string& kind, const std::string& name_space = {},
                      const std::string& index_term = {}) const {
    std::vector<T> out;
    for (const std::string& value : list_values(kind, name_space, index_term)) {
      if (!out.emplace_back().ParseFromString(value)) out.pop_back();
    }
    return out;
  }
  Result<std::string> get_value(const std::string& kind, const std::string& name_space, const std::string& name) const;
  std::vector<std::string> list_values(const std::string& kind, const std::string& name_space = {},
                                       const std::string& index_term = {}) const;
  [[nodiscard]] uint64_t revision() const;
  // How many commits asked for by the plugin were carried out.
  [[nodiscard]] std::size_t plugin_commits() const;

  // ---------------------------------------------------------------------------------------------- capabilities

  // `reply` is called once, from any thread, then or later.
  using Reply = std::function<void(Result<std::string>)>;
  using Handler = std::function<void(const v1::CallTarget& target, const std::string& payload, Reply reply)>;
  // Answers calls of `capability`; `provider` empty: those that name none, and those whose provider nobody else is.
  void provide(const std::string& capability, Handler handler, const std::string& provider = {});
  // The same by a generated service (cc_generic_services), which outlives the kernel. Failures by CallController::fail.
  void provide(const std::string& capability, google::protobuf::Service& service, const std::string& provider = {});
  void withdraw(const std::string& capability, const std::string& provider = {});
  // What the plugin called, oldest first.
  [[nodiscard]] std::vector<CallRecord> calls() const;

  // ---------------------------------------------------------------------------------------------- what the plugin said

  [[nodiscard]] std::vector<LogLine> logs() const;
  [[nodiscard]] bool logged(std::string_view part) const;
  // The last set_ready(); unset: there was none.
  [[nodiscard]] std::optional<std::pair<bool, std::string>> readiness() const;
  // The kinds of its last subscribe(); unset: none yet. Empty: all.
  [[nodiscard]] std::optional<std::vector<std::string>> subscription() const;

  // ---------------------------------------------------------------------------------------------- faults

  // The plugin's next `count` commits fail so, and write nothing.
  void fail_commits(Status failure, std::size_t count = 1);
  // The plugin's next `count` commits are carried out, but it is told this failure: an answer that got lost.
  void lose_answers(Status failure, std::size_t count = 1);
  // The same with the store's own conflict, and nothing written.
  void conflict_commits(std::size_t count = 1);
  // The plugin's next `count` reads (get, list, pull) fail so.
  void fail_reads(Status failure, std::size_t count = 1);
  void set_wake_faults(WakeFaults faults);
  // None of the faults that were asked for and have not struck yet will strike.
  void clear_faults();
  // Runs before each commit of the plugin, on its thread and without the kernel's lock: what it writes lies between the
  // plugin's reads and its write.
  void before_commit(std::function<void()> meanwhile);
  // A wake out of nothing: spurious ones are allowed.
  void wake(uint32_t reasons = ORLOP_WAKE_CHANGES);
  // Drops the change log up to now: cursors and reads of older revisions answer kGone.
  void compact();

 private:
  class State;

  template <typename T>
  static Result<T> parse(const std::string& kind, const std::string& value) {
    T object;
    if (!object.ParseFromString(value)) {
      return Status(Code::kInternal,
                    "a stored object of kind \"" + kind + "\" cannot be read as " + object.GetTypeName());
    }
    return object;
  }
  template <typename T>
  Result<T> put(v1::Verb verb, const std::string& kind, const T& object, const std::string& subresource) {
    v1::Write change;
    change.set_verb(verb);
    change.mutable_key()->set_kind(kind);
    change.mutable_key()->set_namespace_(object.metadata().namespace_());
    change.mutable_key()->set_name(object.metadata().name());
    change.set_subresource(subresource);
    change.set_value(serialize(object));
    ORLOP_ASSIGN(const v1::Written written, write(change));
    return parse<T>(kind, written.value());
  }

  std::shared_ptr<State> state_;
};

}  // namespace orlop::testing
