// Transactions made ready, and their application within one LMDB write transaction. Private to this folder.
#pragma once

#include "kernel/store/environment.hpp"
#include "kernel/store/format.hpp"
#include "kernel/store/read_view.hpp"
#include "kernel/store/seal.hpp"

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <lmdb.h>

namespace orlop::store {

// A write in the form in which it is stored, but for its revisions. Made on the caller's thread, so that the committer
// does little more than copy.
struct PreparedWrite {
  std::string key;  // encoded
  Operation operation = Operation::kPut;
  Precondition precondition;
  bool skip_if_unchanged = false;
  std::string version;  // an encoded Version, its revisions not yet set
  std::vector<uint64_t> term_hashes;
  std::string plain;  // of a sealed value with skip_if_unchanged
};

struct PreparedCheck {
  std::string key;
  Precondition precondition;
};

struct PreparedTransaction {
  std::vector<PreparedWrite> writes;
  std::vector<PreparedCheck> checks;
  Durability durability = Durability::kDurable;
  CommitCallback done;
  std::size_t bytes = 0;
  std::chrono::steady_clock::time_point queued;
  bool answered = false;  // relaxed, and acknowledged already
};

// Checks and encodes. The errors are those of Store::commit that need no look at the store.
Result<PreparedTransaction> prepare(Transaction transaction, const Sealer& sealer, std::size_t bytes_max);

// One group commit under way. Every LMDB error is sticky: when error() is not 0 the LMDB transaction has to be aborted,
// and nothing that apply returned holds.
class Batch {
 public:
  Batch(const Environment& environment, const Sealer& sealer, MDB_txn* txn, int64_t now_ms)
      : environment_(environment),
        tables_(environment.tables()),
        sealer_(sealer),
        view_(environment, sealer, txn),
        txn_(txn),
        now_ms_(now_ms) {}

  // First of all. A failure here is a damaged file.
  Status load();

  // Evaluates the preconditions and, if they hold, writes.
  Result<CommitResult> apply(const PreparedTransaction& transaction);

  struct Bounds {
    Revision revision = 0;            // drop at least this far
    int64_t committed_before_ms = 0;  // what is older
    uint64_t log_bytes_max = 0;       // the oldest while the log is larger; 0: no such bound
    uint64_t entries_max = 0;         // at most about this many now
  };
  // Drops the oldest transactions of the log. True: there is more to drop.
  Result<bool> trim(const Bounds& bounds);

  // Writes what is kept in memory during the batch; to be called last.
  int finish();

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] bool changed() const {
    return state_.revision != before_.revision || state_.compacted != before_.compacted;
  }
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const std::set<std::string, std::less<>>& kinds() const { return kinds_; }

 private:
  // A write whose turn has come.
  struct Step {
    const PreparedWrite* write = nullptr;
    bool exists = false;
    bool changes = true;
    std::string old;  // the encoded version that it replaces, copied: LMDB moves pages about under a writer
    Version old_version;
  };

  bool succeeded(int error);
  Status failure(const std::string& what) const;
  Status evaluate(const std::string& key, const Precondition& precondition, const std::string& field, bool& exists,
                  Version& current);
  Status evaluate_write(const PreparedWrite& write, std::size_t position, Step& step);
  Result<bool> is_unchanged(const PreparedWrite& write, const Version& current) const;
  WriteOutcome perform(Step& step, Revision first, Revision last);
  void put_latest(const Step& step, Revision revision, Revision create_revision);
  void append_log(const Step& step, const LogHeader& header, Revision revision);
  void link_history(LogHeader& header, const Step& step);
  bool update_index(const Step& step, Revision revision);
  void forget(Revision revision, const LogEntry& entry);
  void put(MDB_dbi table, std::string_view key, std::string_view value);
  void remove(MDB_dbi table, std::string_view key);
  void remove_if_revision(MDB_dbi table, std::string_view key, Revision revision);

  const Environment& environment_;
  const Tables& tables_;
  const Sealer& sealer_;
  ReadView view_;
  MDB_txn* txn_;
  int64_t now_ms_;
  State before_{};
  State state_{};
  int error_ = 0;
  std::map<std::string, int64_t, std::less<>> count_changes_;
  std::set<std::string, std::less<>> kinds_;
};

}  // namespace orlop::store
