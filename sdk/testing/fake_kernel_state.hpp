// What stands behind FakeKernel; for this folder alone.
#pragma once

#include "orlop/testing/fake_kernel.hpp"
#include "sdk/testing/fake_store.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>

namespace orlop::testing {

// Wakes go out from a thread of its own, as in the kernel: a plugin that holds a lock of its own while it commits is
// not called back on its own stack.
class FakeKernel::State : public std::enable_shared_from_this<FakeKernel::State> {
 public:
  explicit State(FakeKernelOptions options);
  ~State();
  void stop();

  // --- the table's functions
  template <typename Request, typename Read, typename Done>
  orlop_code read(orlop_slice request, const Read& run, orlop_completion done, void* user, Done* answer_type);
  orlop_code get(orlop_slice request, orlop_record_visitor visit, void* visit_user, orlop_completion done, void* user);
  orlop_code list(orlop_slice request, orlop_record_visitor visit, void* visit_user, orlop_completion done, void* user);
  orlop_code pull(orlop_slice request, orlop_change_visitor visit, void* visit_user, orlop_completion done, void* user);
  orlop_code subscribe(orlop_slice request);
  void commit(orlop_slice request, orlop_completion done, void* user);
  void call(orlop_slice target, orlop_slice payload, orlop_completion done, void* user);
  void respond(uint64_t id, orlop_code code, orlop_slice payload);
  void wake_at(int64_t at_ns);
  void log(int32_t level, orlop_slice message);

  // --- for FakeKernel
  Result<v1::CommitResult> commit_locked(const v1::CommitRequest& request, std::vector<std::string>& touched);
  Result<v1::CommitResult> commit_as_client(const v1::CommitRequest& request);
  void changed(const std::vector<std::string>& kinds);
  void push_wake_locked(uint32_t reasons);
  bool release_held();
  void wait_delivered();
  void advance(int64_t by_ns);
  void answer_call(uint64_t id, Result<std::string> result);
  Status permission(bool writes, const std::string& kind) const;

  const FakeKernelOptions options_;
  orlop_host table_{};

  // The thread that runs a visitor, and so holds the lock.
  std::atomic<std::thread::id> visiting_;
  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable changed_;
  FakeStore store_;
  int64_t wall_ns_ = 0;
  int64_t monotonic_ns_ = 0;
  std::optional<int64_t> wake_at_;
  std::mt19937_64 random_;
  std::size_t plugin_commits_ = 0;

  FakeKernel::Admit admit_;
  std::function<std::vector<std::string>(const std::string&, std::string_view)> index_;

  std::function<void(uint32_t)> wake_;
  std::function<void(Call)> handle_call_;
  std::deque<uint32_t> wakes_;  // to be delivered
  bool delivering_ = false;
  uint32_t held_ = 0;  // delayed
  uint32_t lost_ = 0;
  WakeFaults faults_;
  bool stopping_ = false;

  struct PendingCall {
    int64_t deadline_ns = 0;
    orlop_completion done = nullptr;
    void* user = nullptr;
    std::string what;
  };
  std::map<std::pair<std::string, std::string>, FakeKernel::Handler> handlers_;
  std::map<uint64_t, PendingCall> pending_;
  std::vector<CallRecord> calls_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, std::optional<Result<std::string>>> invoked_;

  std::deque<Status> commit_failures_;
  std::deque<Status> read_failures_;
  std::deque<Status> lost_answers_;
  std::size_t conflicts_ = 0;
  std::function<void()> before_commit_;

  std::vector<LogLine> logs_;
  std::optional<std::pair<bool, std::string>> readiness_;
  std::optional<std::vector<std::string>> subscription_;

 private:
  void deliver_loop();
  std::thread deliverer_;
};

}  // namespace orlop::testing
