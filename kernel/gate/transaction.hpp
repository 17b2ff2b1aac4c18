// One commit on its way through the gate: read, check, admit, apply the rules of metadata, write, and again if others
// were faster. For this folder alone.
//
// Threads: it moves from thread to thread (caller, providers' threads, committer, worker) and is on one at a time; the
// answers of several providers to one attempt are the exception, counted by awaiting_.
#pragma once

#include "kernel/gate/gate_state.hpp"
#include "orlop/object_rules.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orlop::gate {

// True while the committer runs a completion of this gate on this thread: reads must not happen there.
bool on_committer();

class Transaction : public std::enable_shared_from_this<Transaction> {
 public:
  Transaction(std::shared_ptr<GateState> gate, std::shared_ptr<const Actor> actor, v1::CommitRequest request,
              Gate::CommitDone done);

  // Once.
  void start();
  // The turn that it waited for has come; on the worker.
  void turn_came();

 private:
  // What one write of the request has become in this attempt.
  struct Item {
    std::shared_ptr<const KindEntry> kind;
    store::Key key;
    bool call_out = false;
    std::string uid;  // CREATE: chosen once, kept over attempts

    bool found = false;  // the object exists, and this is how
    uint64_t revision = 0;
    uint64_t create_revision = 0;
    std::string current;
    std::vector<std::string> current_terms;

    v1::Verdict verdict;  // of the provider, or what it said in the write itself

    enum class Plan : uint8_t { kPut, kRemove, kNothing };
    Plan plan = Plan::kPut;
    std::string value;  // stored, or the last one
    std::vector<std::string> terms;
  };

  Status check_request();
  Status check_key(const v1::Write& write, const KindEntry& kind) const;

  void attempt();
  Status read_current();
  Status check_current(std::size_t index) const;
  Status ask_providers(std::vector<std::pair<std::string, std::vector<std::size_t>>>& groups);
  v1::AdmitRequest admit_request(const std::vector<std::size_t>& items, Status& failure);
  void admitted(const std::string& provider, const std::vector<std::size_t>& items, Result<v1::AdmitResponse> answer);
  void fail_admission(std::size_t index, Status status);

  void apply_and_commit();
  Status plan(Item& item, const v1::Write& write);
  Status plan_delete(Item& item, const v1::Write& write);
  void commit_to_store();
  void answer_dry_run();
  void committed(Result<store::CommitResult> result);
  // What a failed precondition of the store means; unset: begin again, for the sake of items_[contended].
  std::optional<Status> explain(const Status& failure, std::size_t& contended) const;
  void begin_again(std::size_t contended);

  v1::CommitResult result_of(const store::CommitResult& stored);
  void finish(Result<v1::CommitResult> result);

  [[nodiscard]] meta::Subject subject(const Item& item) const {
    return {item.key.kind, item.key.name_space, item.key.name};
  }
  [[nodiscard]] static meta::KindRules rules(const Item& item) {
    return {item.kind->info.tracks_generation(), item.kind->info.status_field()};
  }

  const std::shared_ptr<GateState> gate_;
  const std::shared_ptr<const Actor> actor_;
  v1::CommitRequest request_;
  Gate::CommitDone done_;

  std::vector<Item> items_;
  uint32_t attempts_ = 0;
  int64_t now_s_ = 0;
  uint64_t read_revision_ = 0;

  std::optional<store::Key> turn_;  // the object whose turn it holds, or waits for

  std::vector<std::size_t> store_writes_;  // the item of each write that the store was given
  std::vector<std::size_t> store_checks_;  // the item of each check behind the request's own preconditions

  std::atomic<std::size_t> awaiting_{0};
  std::mutex admission_mutex_;  // guards the two below while providers answer
  Status admission_failure_;
  std::size_t admission_failure_index_ = 0;
};

}  // namespace orlop::gate
