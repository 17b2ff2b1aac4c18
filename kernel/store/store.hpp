// The kernel's store: objects as bytes under keys, one global revision, and the log of every change.
//
// What the store promises, before any method. The words are those of etcd's guarantees, and so are the meanings.
//
// Writes are strict-serialisable: transactions take effect one after the other, each at some moment between its call
// and its answer, and that order is the order of their revisions. Each change of one object takes one new revision; the
// changes of a transaction take consecutive ones. A transaction is atomic: all of it happens, or none; no read, no pull
// and no crash ever shows a part. What was acknowledged as durable is on disk: it outlives kill -9 and the loss of
// power.
//
// Reads answer from one consistent snapshot: the latest, or that of an older revision which is still retained. A read
// that starts after an acknowledgement sees what was acknowledged, whoever made the write. Readers never wait for
// writers (with one exception, see Durability::kRelaxed) nor writers for readers.
//
// Watching is pulling from a cursor. The changes so seen are
//   - ordered: by revision, and a later pull never shows an earlier one;
//   - unique: from one cursor chain, no change is shown twice;
//   - reliable: none is left out; if the log no longer reaches back to the cursor, the pull says kGone and shows
//   nothing;
//   - atomic: a batch never ends inside a transaction;
//   - resumable: a cursor is a number; it may be kept, and used after any break, restart or crash;
//   - bookmarkable: a batch also says how far it looked, so that a cursor moves on when nothing matched.
// Nothing is held between two pulls: a watcher that stalls costs nothing.
//
// The store knows no kind of object by name and never looks into a value.
//
// Threads: every method may be called from any thread at any time, until the object is destroyed. A visitor runs on the
// caller's thread while a read transaction is open: it must return soon and must not call the store.
#pragma once

#include "kernel/store/key.hpp"
#include "orlop/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::store {

// Counts changes. 0 is the empty store, the first change is 1. As an argument of a read 0 means "the latest".
using Revision = uint64_t;

// ----------------------------------------------------------------------------------------------------------------
// views

// The index terms of a record, in the order in which they were written. A view.
class TermsView {
 public:
  TermsView() = default;
  explicit TermsView(std::string_view encoded) : encoded_(encoded) {}

  [[nodiscard]] bool contains(std::string_view term) const;
  [[nodiscard]] std::vector<std::string> to_vector() const;
  [[nodiscard]] bool empty() const { return encoded_.empty(); }
  // The store's own form.
  [[nodiscard]] std::string_view encoded() const { return encoded_; }
  // Calls f(std::string_view) for each.
  template <typename Function>
  void for_each(Function&& f) const {
    for (std::size_t at = 0; at + 2 <= encoded_.size();) {
      const auto low = static_cast<unsigned char>(encoded_[at]);
      const auto high = static_cast<unsigned char>(encoded_[at + 1]);
      const std::size_t size = low | (static_cast<std::size_t>(high) << 8);
      f(encoded_.substr(at + 2, size));
      at += 2 + size;
    }
  }

 private:
  std::string_view encoded_;
};

// One version of one object. All views point into the store's map (or, for sealed values, into a buffer that is wiped
// and reused): valid during the visitor's call only.
struct RecordView {
  KeyView key;
  Revision create_revision = 0;  // of the change that brought it into being
  Revision revision = 0;         // of its last change
  std::string_view value;
  TermsView index_terms;
  bool sealed = false;  // it is stored encrypted
};

// The same, owned.
struct Record {
  Key key;
  Revision create_revision = 0;
  Revision revision = 0;
  std::string value;
  std::vector<std::string> index_terms;
  bool sealed = false;
};

enum class ChangeType : uint8_t { kCreated = 1, kUpdated = 2, kDeleted = 3 };

// One change of one object, as the log tells it. Views as in RecordView.
struct ChangeView {
  ChangeType type = ChangeType::kCreated;
  KeyView key;
  Revision revision = 0;           // of this change
  Revision previous_revision = 0;  // of the version that it replaced; 0: there was none
  Revision create_revision = 0;    // of the object, as it is after the change (deleted: as it was)
  Revision transaction_first = 0;  // the transaction's revisions are [transaction_first, transaction_last]
  Revision transaction_last = 0;
  int64_t commit_time_ms = 0;  // Unix time
  std::string_view value;      // after the change; deleted: the last value
  TermsView index_terms;       // of that value
  bool sealed = false;
  // The version that was replaced or deleted, when PullRequest::want_previous asked for it and there was one.
  std::optional<std::string_view> previous_value;
  TermsView previous_index_terms;  // always set when there was a previous version
};

// ------------------------------------------------------------------------------------------------------- reads and
// pulls

struct ListRequest {
  std::string kind;                       // one kind
  std::optional<std::string> name_space;  // unset: all of them; "": the objects that live in none
  std::optional<std::string> index_term;  // only records that carry this term
  // Only keys after this one (its kind is ignored). With the revision of the first page: the way to list page by page.
  std::optional<Key> start_after;
  uint64_t limit = 0;  // records; 0: no limit
  Revision at_revision = 0;
};

struct ListResult {
  Revision revision = 0;              // what was listed is the state at this revision
  uint64_t count = 0;                 // records shown
  bool more = false;                  // the limit, or the visitor, ended it and records are left
  std::optional<uint64_t> remaining;  // how many are left, where that was cheap to know
};

struct PullRequest {
  Revision cursor = 0;                    // changes after this revision
  std::vector<std::string> kinds;         // empty: all
  std::optional<std::string> name_space;  // unset: all
  uint64_t max_changes = 1000;            // passed only so that a transaction is not split; 0: no limit
  uint64_t max_bytes = 4u << 20;          // of values; likewise
  bool want_previous = false;
};

struct PullResult {
  Revision next_cursor = 0;  // the cursor of the next pull; also a bookmark: everything up to it was looked at
  bool reached_end = false;  // next_cursor is the latest revision of the snapshot
  uint64_t changes = 0;      // shown
};

// What the store measures about itself. Sizes in bytes, times in microseconds.
struct Stats {
  Revision current_revision = 0;
  Revision compacted_revision = 0;
  uint64_t file_bytes = 0;  // length of the data file
  uint64_t used_bytes = 0;  // of which pages in use
  uint64_t map_bytes = 0;   // address space set aside
  uint64_t log_bytes = 0;   // keys and values of the change log
  uint64_t log_entries = 0;
  uint64_t records = 0;  // live objects
  uint64_t index_entries = 0;
  uint64_t readers = 0;              // reader slots in use, of all processes
  uint64_t map_growths = 0;          // since the store was opened, as all that follows
  uint64_t commits = 0;              // group commits, each with one fsync
  uint64_t transactions = 0;         // that were written
  uint64_t transactions_failed = 0;  // for a precondition
  uint64_t changes = 0;
  uint64_t batch_transactions_max = 0;  // the largest group
  uint64_t commit_us_total = 0;         // spent in the commit with its fsync
  uint64_t commit_us_max = 0;
  uint64_t commit_us_last = 0;
  // Group commits by their number of transactions: 1, 2 to 3, 4 to 7, … , the last: 2048 and above.
  std::array<uint64_t, 12> batch_histogram{};
};

// Return false to stop.
using RecordVisitor = std::function<bool(const RecordView&)>;
using ChangeVisitor = std::function<bool(const ChangeView&)>;
// Once for each key asked for, in that order; null: there is no such object at that revision.
using GetVisitor = std::function<bool(std::size_t index, const RecordView*)>;

// Reading alone: what other processes get.
//
// Errors of every read: kGone, the revision or cursor asked for has been compacted (list again); kBadRequest, it lies
// in the future; kInvalid, a key is none (see validate); kUnavailable, there is no free reader slot, or a sealed
// value's key was not given; kInternal, the file is damaged.
class Reader {
 public:
  virtual ~Reader() = default;

  // Shows each of `keys`; all from one snapshot, whose revision is returned. `at_revision` inside a transaction stands
  // for that transaction's end, here and in list and count: half a transaction is never seen.
  virtual Result<Revision> get(std::span<const Key> keys, Revision at_revision, const GetVisitor& visitor) = 0;

  // One record, copied. kNotFound when there is none.
  Result<Record> get(const Key& key, Revision at_revision = 0);

  // Shows the records asked for in the order of their keys. The latest by index term costs in proportion to the
  // matches, not to the records.
  virtual Result<ListResult> list(const ListRequest& request, const RecordVisitor& visitor) = 0;

  // How many records list would show without a limit. For a kind, or a kind in a name space, at the latest revision: at
  // once; otherwise as long as listing.
  virtual Result<uint64_t> count(const ListRequest& request) = 0;

  // Shows the changes after request.cursor that match. When the visitor returns false, the batch ends with that
  // transaction (the rest of which is still shown). kGone also when cursor < compacted_revision(). A single call looks
  // at a bounded number of log entries, so it may show nothing and yet not have reached the end.
  virtual Result<PullResult> pull(const PullRequest& request, const ChangeVisitor& visitor) = 0;

  // The last committed revision. Never goes back. For a moment it may be behind a relaxed write that was acknowledged
  // (reads are not: they wait).
  virtual Revision current_revision() = 0;

  // Reads at this revision and pulls from this cursor are the oldest that succeed.
  virtual Revision compacted_revision() = 0;

  virtual Stats stats() = 0;
};

// ---------------------------------------------------------------------------------------------------------------
// writes

struct Precondition {
  enum class Kind : uint8_t {
    kNone,
    kAbsent,      // else kAlreadyExists
    kExists,      // else kNotFound
    kAtRevision,  // its last change is `revision`; else kConflict, and kNotFound when there is no such object
  };
  Kind kind = Kind::kNone;
  Revision revision = 0;

  static Precondition none() { return {}; }
  static Precondition absent() { return {Kind::kAbsent, 0}; }
  static Precondition exists() { return {Kind::kExists, 0}; }
  static Precondition at(Revision revision) { return {Kind::kAtRevision, revision}; }
};

enum class Operation : uint8_t { kPut, kDelete };

struct Write {
  Key key;
  Operation operation = Operation::kPut;
  std::string value;
  // Opaque strings ("owner/4f…", "label/app=nginx") that list can ask for. Each at most 1024 bytes, without NUL; 64 at
  // most; replaced as a whole by each put. Never encrypted.
  std::vector<std::string> index_terms;
  Precondition precondition;
  bool sealed = false;             // store the value encrypted; needs a sealing key
  bool skip_if_unchanged = false;  // a put of the same value, terms and sealing changes nothing and takes no revision
};

// A condition on an object that the transaction does not write.
struct Check {
  Key key;
  Precondition precondition;
};

enum class Durability : uint8_t {
  // Acknowledged strictly after the fsync.
  kDurable,
  // Acknowledged once it holds its place in the order, ahead of the fsync: a crash, a power cut, a full disk or a
  // failed
  // fsync in that moment (typically 1 to 5 ms) loses it. Reads in this process wait for the commit, so that they see
  // it. For
  // what is rewritten all the time anyway. The store's options can switch it off; it is then as kDurable.
  kRelaxed,
};

struct Transaction {
  std::vector<Write> writes;  // no key twice
  std::vector<Check> checks;
  Durability durability = Durability::kDurable;
};

struct WriteOutcome {
  bool changed = false;            // false: skipped as unchanged, or a delete of what was not there
  Revision revision = 0;           // of this change; not changed: of the record as it stands, 0 if there is none
  Revision previous_revision = 0;  // of the version replaced or deleted; 0: none
  Revision create_revision = 0;
};

struct CommitResult {
  Revision revision = 0;  // the store's revision after the transaction
  Revision first = 0;     // its revisions are [first, last]; both 0 when nothing changed
  Revision last = 0;
  std::vector<WriteOutcome> writes;  // in the transaction's order
};

// Called exactly once: on the committer's thread, or on the caller's before commit returns when the transaction is
// refused at once. Must return soon and may not wait for the store; it may call commit. Relaxed ones are called before
// reads can see the write without waiting, so they must not read either.
using CommitCallback = std::function<void(Result<CommitResult>)>;

// Called after each group commit that changed something, on the committer's thread, with the new revision and the
// sorted kinds that were touched. May pull and read; must return soon, and may not wait for a commit.
using CommitListener = std::function<void(Revision revision, std::span<const std::string> kinds)>;

// Reading and writing: one process has it open at a time.
class Store : public Reader {
 public:
  // Queues the transaction; whatever is queued is written as one LMDB transaction with one fsync. Its preconditions are
  // evaluated in its turn, against everything before it; if one fails, nothing of it is written, others are not
  // disturbed. Errors: kConflict, kAlreadyExists, kNotFound: a precondition (Status::causes() names the write or check
  // in `field`, as "writes[2]"); kInvalid: a key, a term, or sealed without a sealing key; kBadRequest: a key twice;
  // kTooLarge: larger than the options allow; kUnavailable: the disk is full (tried again by the next commit), or an
  // earlier fsync failed (until the store is reopened), or the store is closing; kInternal: the file is damaged.
  virtual void commit(Transaction transaction, CommitCallback done) = 0;

  // The same, waiting for the answer. Not from a visitor, a callback or a listener.
  Result<CommitResult> commit_and_wait(Transaction transaction);

  // Adds a listener; it is called until the token is given to remove_listener, which waits for a call that is under way
  // (from within a listener: returns at once).
  virtual uint64_t on_commit(CommitListener listener) = 0;
  virtual void remove_listener(uint64_t token) = 0;

  // Drops the log up to and including `revision` (rounded down to a transaction's end), and waits until that is done.
  // Reads at it still succeed. Returns compacted_revision(). kBadRequest: in the future. Older than what is compacted
  // already: nothing happens. Besides, the store compacts by itself by age and size, as its options say.
  virtual Result<Revision> compact(Revision revision) = 0;

  // Writes a consistent copy of the latest state and the log to a new file at `path`, with a checksum; returns its
  // revision. Writes go on meanwhile (unless the map has to grow: they then wait for the copy). kAlreadyExists: the
  // file does; kUnavailable: it cannot be written, with the reason.
  virtual Result<Revision> snapshot(const std::string& path) = 0;
};

}  // namespace orlop::store
