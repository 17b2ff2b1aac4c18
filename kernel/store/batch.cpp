#include "kernel/store/batch.hpp"

#include <algorithm>
#include <cstring>

namespace orlop::store {
namespace {

std::vector<uint64_t> hashes_of(std::string_view terms) {
  std::vector<uint64_t> hashes;
  TermsView(terms).for_each([&](std::string_view term) { hashes.push_back(hash_term(term)); });
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  return hashes;
}

std::string_view bytes_of(const uint64_t& number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

std::string readable(std::string_view encoded_key) {
  KeyView key;
  return decode_key(encoded_key, key) ? describe(key.to_key()) : "object";
}

Status refusal(Code code, std::string message, const std::string& field) {
  return {code, message, {Cause{std::string(reason_of(code)), message, field}}};
}

}  // namespace

bool Batch::succeeded(int error) {
  if (error_ == 0) error_ = error;
  return error == 0;
}

Status Batch::failure(const std::string& what) const {
  return lmdb_failure(error_, what + environment_.folder());
}

Status Batch::load() {
  ORLOP_TRY(view_.load());
  before_ = state_ = view_.state();
  return Status::ok();
}

void Batch::put(MDB_dbi table, std::string_view key, std::string_view value) {
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  if (error_ == 0) error_ = mdb_put(txn_, table, &k, &v, 0);
}

void Batch::remove(MDB_dbi table, std::string_view key) {
  MDB_val k = to_val(key);
  if (error_ != 0) return;
  const int error = mdb_del(txn_, table, &k, nullptr);
  if (error != MDB_NOTFOUND) error_ = error;
}

void Batch::remove_if_revision(MDB_dbi table, std::string_view key, Revision revision) {
  MDB_val k = to_val(key);
  MDB_val v{};
  if (error_ != 0) return;
  const int error = mdb_get(txn_, table, &k, &v);
  if (error == MDB_NOTFOUND) return;
  Revision stored = 0;
  if (succeeded(error) && decode_revision(to_view(v), stored) && stored == revision) remove(table, key);
}

Status Batch::evaluate(const std::string& key, const Precondition& precondition, const std::string& field, bool& exists,
                       Version& current) {
  ORLOP_TRY(view_.latest(key, exists, current));
  switch (precondition.kind) {
    case Precondition::Kind::kNone:
      return Status::ok();
    case Precondition::Kind::kAbsent:
      if (!exists) return Status::ok();
      return refusal(Code::kAlreadyExists, readable(key) + " already exists", field);
    case Precondition::Kind::kExists:
      if (exists) return Status::ok();
      return refusal(Code::kNotFound, "there is no " + readable(key), field);
    case Precondition::Kind::kAtRevision:
      break;
  }
  if (!exists) return refusal(Code::kNotFound, "there is no " + readable(key), field);
  if (current.header.revision == precondition.revision) return Status::ok();
  return refusal(Code::kConflict,
                 readable(key) + " has changed: it is at revision " + std::to_string(current.header.revision) +
                     ", not at " + std::to_string(precondition.revision),
                 field);
}

Result<bool> Batch::is_unchanged(const PreparedWrite& write, const Version& current) const {
  Version wanted;
  if (!decode_version(write.version, wanted)) return false;
  if (wanted.terms != current.terms || wanted.sealed() != current.sealed()) return false;
  if (!wanted.sealed()) return wanted.stored == current.stored;
  // A value sealed with an older key is written anew, even if it is the same.
  if (wanted.header.sealing_key_id != current.header.sealing_key_id) return false;
  PlainBuffer plain;
  ORLOP_TRY(sealer_.open(current.header.sealing_key_id, current.stored, write.key, plain.bytes));
  return plain.bytes == write.plain;
}

Status Batch::evaluate_write(const PreparedWrite& write, std::size_t position, Step& step) {
  step.write = &write;
  Version current;
  ORLOP_TRY(evaluate(write.key, write.precondition, "writes[" + std::to_string(position) + "]", step.exists, current));
  if (!step.exists) {
    step.changes = write.operation == Operation::kPut;
    return Status::ok();
  }
  step.old.reserve(sizeof(VersionHeader) + current.terms.size() + current.stored.size());
  step.old.append(reinterpret_cast<const char*>(&current.header), sizeof(VersionHeader));
  step.old.append(current.terms).append(current.stored);
  if (!decode_version(step.old, step.old_version)) return damaged(environment_.folder(), "a record cannot be read");
  if (write.operation == Operation::kPut && write.skip_if_unchanged) {
    ORLOP_ASSIGN(const bool unchanged, is_unchanged(write, current));
    step.changes = !unchanged;
  }
  return Status::ok();
}

Result<CommitResult> Batch::apply(const PreparedTransaction& transaction) {
  std::vector<Step> steps(transaction.writes.size());
  bool exists = false;
  Version current;
  for (std::size_t i = 0; i < transaction.checks.size(); ++i) {
    const PreparedCheck& check = transaction.checks[i];
    ORLOP_TRY(evaluate(check.key, check.precondition, "checks[" + std::to_string(i) + "]", exists, current));
  }
  uint64_t changes = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ORLOP_TRY(evaluate_write(transaction.writes[i], i, steps[i]));
    if (steps[i].changes) ++changes;
  }
  CommitResult result;
  if (changes != 0) {
    result.first = state_.revision + 1;
    result.last = state_.revision + changes;
  }
  result.writes.reserve(steps.size());
  for (Step& step : steps) {
    result.writes.push_back(perform(step, result.first, result.last));
    if (error_ != 0) return failure("cannot write to the store in ");
  }
  result.revision = state_.revision;
  return result;
}

WriteOutcome Batch::perform(Step& step, Revision first, Revision last) {
  const PreparedWrite& write = *step.write;
  WriteOutcome outcome;
  const VersionHeader& old = step.old_version.header;
  if (!step.changes) {
    if (step.exists) outcome = {false, old.revision, 0, old.create_revision};
    return outcome;
  }
  const Revision revision = ++state_.revision;
  LogHeader header{};
  header.create_revision = step.exists ? old.create_revision : revision;
  header.commit_time_ms = now_ms_;
  header.transaction_before = static_cast<uint32_t>(revision - first);
  header.transaction_after = static_cast<uint32_t>(last - revision);
  const bool is_delete = write.operation == Operation::kDelete;
  const ChangeType type = is_delete ? ChangeType::kDeleted : step.exists ? ChangeType::kUpdated : ChangeType::kCreated;
  header.type = static_cast<uint8_t>(type);
  if (step.exists) header.flags |= kLogHasOld;
  link_history(header, step);
  if (update_index(step, revision)) header.flags |= kLogTermsRemoved;
  append_log(step, header, revision);
  if (is_delete) {
    remove(tables_.latest, write.key);
    put(tables_.graves, write.key, bytes_of(revision));
  } else {
    put_latest(step, revision, header.create_revision);
  }
  const std::string_view space = space_of(write.key);
  if (type != ChangeType::kUpdated) {
    auto count = count_changes_.find(space);
    if (count == count_changes_.end()) count = count_changes_.emplace(space, 0).first;
    count->second += is_delete ? -1 : 1;
  }
  const std::string_view kind = space.substr(0, space.find('\0'));
  if (!kinds_.contains(kind)) kinds_.emplace(kind);
  return {true, revision, step.exists ? old.revision : 0, header.create_revision};
}

// The entry's links to the object's earlier changes; see LogHeader.
void Batch::link_history(LogHeader& header, const Step& step) {
  if (step.exists) {
    header.previous = step.old_version.header.revision;
  } else {
    MDB_val key = to_val(step.write->key);
    MDB_val value{};
    const int error = mdb_get(txn_, tables_.graves, &key, &value);
    if (error == MDB_NOTFOUND || !succeeded(error)) return;
    decode_revision(to_view(value), header.previous);
  }
  bool found = false;
  LogEntry parent;
  if (header.previous <= state_.compacted || !view_.log_entry(header.previous, found, parent) || !found) return;
  header.jump = header.previous;
  header.span = 1;
  LogEntry grandparent;
  if (parent.header.jump <= state_.compacted || !view_.log_entry(parent.header.jump, found, grandparent) || !found)
    return;
  if (grandparent.header.jump != 0 && parent.header.span == grandparent.header.span) {
    header.jump = grandparent.header.jump;
    header.span = 2 * parent.header.span + 1;
  }
}

void Batch::append_log(const Step& step, const LogHeader& source, Revision revision) {
  LogHeader header = source;
  header.key_bytes = static_cast<uint16_t>(step.write->key.size());
  const std::size_t size = sizeof(header) + step.write->key.size() + step.old.size();
  MDB_val key = to_val(revision);
  MDB_val value{size, nullptr};
  if (error_ != 0 || !succeeded(mdb_put(txn_, tables_.log, &key, &value, MDB_APPEND | MDB_RESERVE))) return;
  auto* out = static_cast<char*>(value.mv_data);
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + sizeof(header), step.write->key.data(), step.write->key.size());
  std::memcpy(out + sizeof(header) + step.write->key.size(), step.old.data(), step.old.size());
  state_.log_bytes += size;
}

void Batch::put_latest(const Step& step, Revision revision, Revision create_revision) {
  MDB_val key = to_val(step.write->key);
  MDB_val value{step.write->version.size(), nullptr};
  if (error_ != 0 || !succeeded(mdb_put(txn_, tables_.latest, &key, &value, MDB_RESERVE))) return;
  VersionHeader header{};
  std::memcpy(&header, step.write->version.data(), sizeof(header));
  header.revision = revision;
  header.create_revision = create_revision;
  auto* out = static_cast<char*>(value.mv_data);
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + sizeof(header), step.write->version.data() + sizeof(header), value.mv_size - sizeof(header));
}

// True: terms were taken away.
bool Batch::update_index(const Step& step, Revision revision) {
  const std::vector<uint64_t> before = step.exists ? hashes_of(step.old_version.terms) : std::vector<uint64_t>();
  const std::vector<uint64_t>& after = step.write->term_hashes;  // of a delete: none
  if (before == after) return false;
  for (const uint64_t hash : after) {
    if (!std::binary_search(before.begin(), before.end(), hash))
      put(tables_.index, index_key(step.write->key, hash), {});
  }
  bool removed = false;
  for (const uint64_t hash : before) {
    if (std::binary_search(after.begin(), after.end(), hash)) continue;
    const std::string key = index_key(step.write->key, hash);
    remove(tables_.index, key);
    put(tables_.index_old, key, bytes_of(revision));
    removed = true;
  }
  return removed;
}

// What only reads before `revision` needed goes with its log entry.
void Batch::forget(Revision revision, const LogEntry& entry) {
  const std::string key(entry.key);
  const std::string old(entry.old);  // deleting moves pages about
  const LogHeader header = entry.header;
  state_.log_bytes -= sizeof(LogHeader) + key.size() + old.size();
  if (header.type == static_cast<uint8_t>(ChangeType::kDeleted)) remove_if_revision(tables_.graves, key, revision);
  if ((header.flags & kLogTermsRemoved) == 0) return;
  Version version;
  if (!decode_version(old, version)) return;
  for (const uint64_t hash : hashes_of(version.terms)) {
    remove_if_revision(tables_.index_old, index_key(key, hash), revision);
  }
}

Result<bool> Batch::trim(const Bounds& bounds) {
  uint64_t dropped = 0;
  while (state_.compacted < state_.revision) {
    bool found = false;
    LogEntry entry;
    ORLOP_TRY(view_.log_entry(state_.compacted + 1, found, entry));
    if (!found) return damaged(environment_.folder(), "the log does not begin where it should");
    const Revision end = state_.compacted + 1 + entry.header.transaction_after;
    const bool due = end <= bounds.revision || entry.header.commit_time_ms < bounds.committed_before_ms ||
                     (bounds.log_bytes_max != 0 && state_.log_bytes > bounds.log_bytes_max);
    if (!due) return false;
    if (dropped >= bounds.entries_max) return true;
    for (Revision revision = state_.compacted + 1; revision <= end; ++revision, ++dropped) {
      ORLOP_TRY(view_.log_entry(revision, found, entry));
      if (!found) return damaged(environment_.folder(), "the log has no revision " + std::to_string(revision));
      forget(revision, entry);
      remove(tables_.log, bytes_of(revision));
      if (error_ != 0) return failure("cannot compact the store in ");
    }
    state_.compacted = end;
  }
  return false;
}

int Batch::finish() {
  for (const auto& [space, change] : count_changes_) {
    if (change == 0) continue;
    MDB_val key = to_val(space);
    MDB_val value{};
    uint64_t count = 0;
    const int error = mdb_get(txn_, tables_.counts, &key, &value);
    if (error == 0) decode_revision(to_view(value), count);
    if (error != 0 && error != MDB_NOTFOUND) succeeded(error);
    count += static_cast<uint64_t>(change);
    if (count == 0) {
      remove(tables_.counts, space);
    } else {
      put(tables_.counts, space, bytes_of(count));
    }
  }
  put(tables_.main, kStateKey, {reinterpret_cast<const char*>(&state_), sizeof(state_)});
  return error_;
}

}  // namespace orlop::store
