// Reads within one LMDB transaction: versions, lists, the log. Private to this folder.
#pragma once

#include "kernel/store/environment.hpp"
#include "kernel/store/format.hpp"
#include "kernel/store/seal.hpp"
#include "kernel/store/store.hpp"

#include <memory>
#include <string>
#include <string_view>

#include <lmdb.h>

namespace orlop::store {

struct CursorDeleter {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorDeleter>;

// kInternal: something in the file is not what it should be.
Status damaged(const std::string& folder, const std::string& what);

// Looks at one snapshot. Everything that it hands out points into the map, or into its own buffers, and is valid until
// the next call or the end of the transaction. Used by one thread.
class ReadView {
 public:
  // Does not own any of the three.
  ReadView(const Environment& environment, const Sealer& sealer, MDB_txn* txn)
      : environment_(environment), tables_(environment.tables()), sealer_(sealer), txn_(txn) {}

  // First of all: reads the state of the snapshot.
  Status load();
  [[nodiscard]] const State& state() const { return state_; }

  // The revision that a read "at" means: 0 the latest; inside a transaction, its end. kGone, kBadRequest.
  Result<Revision> resolve(Revision at_revision);

  // The record as it was at `revision` (as resolved). `found` false: it was not there.
  Status version_at(std::string_view encoded_key, Revision revision, bool& found, Version& out);
  // The same for a record whose latest version is at hand.
  Status version_at_or_before(const Version& latest, Revision revision, bool& found, Version& out);

  // Decodes the latest version. `found` false: there is none.
  Status latest(std::string_view encoded_key, bool& found, Version& out);

  // A record for a visitor; opens the seal into `plain`.
  Status to_record(std::string_view encoded_key, const Version& version, PlainBuffer& plain, RecordView& out);

  Result<ListResult> list(const ListRequest& request, const RecordVisitor& visitor);
  Result<uint64_t> count(const ListRequest& request);
  Result<PullResult> pull(const PullRequest& request, const ChangeVisitor& visitor);

  Status log_entry(Revision revision, bool& found, LogEntry& out);
  Result<Cursor> cursor(MDB_dbi table);

 private:
  Status version_through_log(Revision head, Revision revision, bool& found, Version& out);
  Status stored_count(const ListRequest& request, uint64_t& out);
  Status to_change(const LogEntry& entry, Revision revision, bool want_previous, ChangeView& out);
  Status open_value(std::string_view encoded_key, const Version& version, PlainBuffer& plain, std::string_view& out);

  const Environment& environment_;
  const Tables& tables_;
  const Sealer& sealer_;
  MDB_txn* txn_;
  State state_{};
  PlainBuffer plain_;
  PlainBuffer plain_previous_;
};

}  // namespace orlop::store
