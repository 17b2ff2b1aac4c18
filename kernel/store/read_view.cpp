#include "kernel/store/read_view.hpp"

namespace orlop::store {

Status damaged(const std::string& folder, const std::string& what) {
  return {Code::kInternal, "the store in " + folder + " is damaged: " + what + "; restore a snapshot"};
}

Status ReadView::load() {
  MDB_val key = to_val(kStateKey);
  MDB_val value{};
  const int error = mdb_get(txn_, tables_.main, &key, &value);
  if (error != 0 || !decode_state(to_view(value), state_)) {
    return damaged(environment_.folder(), "its state cannot be read");
  }
  return Status::ok();
}

Result<Revision> ReadView::resolve(Revision at_revision) {
  if (at_revision == 0 || at_revision == state_.revision) return state_.revision;
  if (at_revision > state_.revision) {
    return Status(Code::kBadRequest, "revision " + std::to_string(at_revision) + " lies in the future: the latest is " +
                                         std::to_string(state_.revision));
  }
  if (at_revision < state_.compacted) {
    return Status(Code::kGone, "revision " + std::to_string(at_revision) + " has been compacted: the oldest is " +
                                   std::to_string(state_.compacted));
  }
  // Compaction ends at a transaction's end, and there is no log entry there any more.
  if (at_revision == state_.compacted) return at_revision;
  bool found = false;
  LogEntry entry;
  ORLOP_TRY(log_entry(at_revision, found, entry));
  if (!found) return damaged(environment_.folder(), "the log has no revision " + std::to_string(at_revision));
  return at_revision + entry.header.transaction_after;
}

Status ReadView::log_entry(Revision revision, bool& found, LogEntry& out) {
  MDB_val key = to_val(revision);
  MDB_val value{};
  const int error = mdb_get(txn_, tables_.log, &key, &value);
  found = error == 0;
  if (error == MDB_NOTFOUND) return Status::ok();
  if (error != 0) return lmdb_failure(error, "cannot read the log of the store in " + environment_.folder());
  if (!decode_log_entry(to_view(value), out)) {
    return damaged(environment_.folder(), "log entry " + std::to_string(revision) + " cannot be read");
  }
  return Status::ok();
}

Status ReadView::latest(std::string_view encoded_key, bool& found, Version& out) {
  MDB_val key = to_val(encoded_key);
  MDB_val value{};
  const int error = mdb_get(txn_, tables_.latest, &key, &value);
  found = error == 0;
  if (error == MDB_NOTFOUND) return Status::ok();
  if (error != 0) return lmdb_failure(error, "cannot read the store in " + environment_.folder());
  if (!decode_version(to_view(value), out)) return damaged(environment_.folder(), "a record cannot be read");
  return Status::ok();
}

Status ReadView::version_at_or_before(const Version& latest, Revision revision, bool& found, Version& out) {
  if (latest.header.revision <= revision) {
    found = true;
    out = latest;
    return Status::ok();
  }
  return version_through_log(latest.header.revision, revision, found, out);
}

Status ReadView::version_at(std::string_view encoded_key, Revision revision, bool& found, Version& out) {
  Version newest;
  ORLOP_TRY(latest(encoded_key, found, newest));
  if (found) return version_at_or_before(newest, revision, found, out);
  if (revision >= state_.revision) return Status::ok();
  MDB_val key = to_val(encoded_key);
  MDB_val value{};
  const int error = mdb_get(txn_, tables_.graves, &key, &value);
  if (error == MDB_NOTFOUND) return Status::ok();
  Revision deleted = 0;
  if (error != 0 || !decode_revision(to_view(value), deleted)) {
    return damaged(environment_.folder(), "a deletion's record cannot be read");
  }
  if (deleted <= revision) return Status::ok();
  return version_through_log(deleted, revision, found, out);
}

// `head` is the object's last change and newer than `revision`. Follows the object's history back to its first change
// after `revision`: what that one replaced is the answer. Every entry on the way is newer than `revision`, so the log
// holds it.
Status ReadView::version_through_log(Revision head, Revision revision, bool& found, Version& out) {
  for (;;) {
    LogEntry entry;
    ORLOP_TRY(log_entry(head, found, entry));
    if (!found) return damaged(environment_.folder(), "the log has no revision " + std::to_string(head));
    if (entry.header.previous <= revision) {
      found = !entry.old.empty();
      if (found && !decode_version(entry.old, out)) {
        return damaged(environment_.folder(), "log entry " + std::to_string(head) + " cannot be read");
      }
      return Status::ok();
    }
    const Revision next = entry.header.jump > revision ? entry.header.jump : entry.header.previous;
    if (next >= head) return damaged(environment_.folder(), "a history does not lead back");
    head = next;
  }
}

Status ReadView::open_value(std::string_view encoded_key, const Version& version, PlainBuffer& plain,
                            std::string_view& out) {
  out = version.stored;
  if (!version.sealed()) return Status::ok();
  ORLOP_TRY(sealer_.open(version.header.sealing_key_id, version.stored, encoded_key, plain.bytes));
  out = plain.bytes;
  return Status::ok();
}

Status ReadView::to_record(std::string_view encoded_key, const Version& version, PlainBuffer& plain, RecordView& out) {
  if (!decode_key(encoded_key, out.key)) return damaged(environment_.folder(), "a key cannot be read");
  out.create_revision = version.header.create_revision;
  out.revision = version.header.revision;
  out.index_terms = TermsView(version.terms);
  out.sealed = version.sealed();
  return open_value(encoded_key, version, plain, out.value);
}

Result<Cursor> ReadView::cursor(MDB_dbi table) {
  MDB_cursor* cursor = nullptr;
  const int error = mdb_cursor_open(txn_, table, &cursor);
  if (error != 0) return lmdb_failure(error, "cannot read the store in " + environment_.folder());
  return Cursor(cursor);
}

Status ReadView::to_change(const LogEntry& entry, Revision revision, bool want_previous, ChangeView& out) {
  const LogHeader& header = entry.header;
  out = ChangeView{};
  out.type = static_cast<ChangeType>(header.type);
  out.revision = revision;
  out.create_revision = header.create_revision;
  out.transaction_first = revision - header.transaction_before;
  out.transaction_last = revision + header.transaction_after;
  out.commit_time_ms = header.commit_time_ms;
  if (!decode_key(entry.key, out.key)) return damaged(environment_.folder(), "a key cannot be read");
  Version old;
  const bool has_old = !entry.old.empty();
  if (has_old) {
    if (!decode_version(entry.old, old)) return damaged(environment_.folder(), "a log entry cannot be read");
    out.previous_revision = old.header.revision;
    out.previous_index_terms = TermsView(old.terms);
  }
  Version now = old;
  if (out.type != ChangeType::kDeleted) {
    bool found = false;
    ORLOP_TRY(version_at(entry.key, revision, found, now));
    if (!found || now.header.revision != revision) {
      return damaged(environment_.folder(), "revision " + std::to_string(revision) + " has no value");
    }
  }
  out.index_terms = TermsView(now.terms);
  out.sealed = now.sealed();
  ORLOP_TRY(open_value(entry.key, now, plain_, out.value));
  if (!want_previous || !has_old) return Status::ok();
  std::string_view previous;
  ORLOP_TRY(open_value(entry.key, old, plain_previous_, previous));
  out.previous_value = previous;
  return Status::ok();
}

namespace {

// A pull looks at no more log entries than this, so that its transaction stays short whatever its filter leaves out.
constexpr uint64_t kEntriesLookedAtMax = 50000;

bool matches(const PullRequest& request, std::string_view encoded_key) {
  KeyView key;
  if (!decode_key(encoded_key, key)) return true;  // shown, so that the damage is reported
  if (request.name_space && *request.name_space != key.name_space) return false;
  if (request.kinds.empty()) return true;
  for (const std::string& kind : request.kinds) {
    if (kind == key.kind) return true;
  }
  return false;
}

}  // namespace

Result<PullResult> ReadView::pull(const PullRequest& request, const ChangeVisitor& visitor) {
  if (request.cursor > state_.revision) {
    return Status(Code::kBadRequest, "cursor " + std::to_string(request.cursor) +
                                         " lies in the future: the latest is " + std::to_string(state_.revision));
  }
  if (request.cursor < state_.compacted) {
    return Status(Code::kGone, "cursor " + std::to_string(request.cursor) + " has been compacted: the oldest is " +
                                   std::to_string(state_.compacted));
  }
  PullResult result{request.cursor, request.cursor == state_.revision, 0};
  if (result.reached_end) return result;
  ORLOP_ASSIGN(const Cursor log, cursor(tables_.log));
  Revision revision = request.cursor + 1;
  MDB_val key = to_val(revision);
  MDB_val value{};
  int error = mdb_cursor_get(log.get(), &key, &value, MDB_SET);
  uint64_t looked_at = 0;
  uint64_t bytes = 0;
  bool stop = false;
  for (; error == 0; error = mdb_cursor_get(log.get(), &key, &value, MDB_NEXT), ++revision) {
    LogEntry entry;
    Revision stored = 0;
    if (!decode_revision(to_view(key), stored) || stored != revision || !decode_log_entry(to_view(value), entry)) {
      return damaged(environment_.folder(), "the log is broken at revision " + std::to_string(revision));
    }
    if (matches(request, entry.key)) {
      ChangeView change;
      ORLOP_TRY(to_change(entry, revision, request.want_previous, change));
      if (!visitor(change)) stop = true;
      bytes += change.value.size() + (change.previous_value ? change.previous_value->size() : 0);
      ++result.changes;
    }
    ++looked_at;
    if (entry.header.transaction_after != 0) continue;
    result.next_cursor = revision;
    const bool full = (request.max_changes != 0 && result.changes >= request.max_changes) ||
                      (request.max_bytes != 0 && bytes >= request.max_bytes) || looked_at >= kEntriesLookedAtMax;
    if (stop || full) break;
  }
  if (error != 0 && error != MDB_NOTFOUND) return lmdb_failure(error, "cannot read the log");
  result.reached_end = result.next_cursor == state_.revision;
  if (error == MDB_NOTFOUND && !result.reached_end) {
    return damaged(environment_.folder(), "the log ends before revision " + std::to_string(state_.revision));
  }
  return result;
}

}  // namespace orlop::store
