// Lists and counts, at the latest and at older revisions.
#include "kernel/store/read_view.hpp"

#include <algorithm>

namespace orlop::store {
namespace {

// Records beyond a page that are counted to tell how many remain.
constexpr uint64_t kRemainingCountedMax = 5000;

// Walks the keys of one table that start with a prefix.
class Range {
 public:
  Range() = default;
  Range(Cursor cursor, std::string prefix) : cursor_(std::move(cursor)), prefix_(std::move(prefix)) {}

  // To the first key of the range that is not before `from`.
  int seek(std::string_view from) {
    key_ = to_val(std::max(from, std::string_view(prefix_)));
    return settle(mdb_cursor_get(cursor_.get(), &key_, &value_, MDB_SET_RANGE));
  }
  int next() { return settle(mdb_cursor_get(cursor_.get(), &key_, &value_, MDB_NEXT)); }
  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] std::string_view key() const { return to_view(key_); }
  [[nodiscard]] std::string_view value() const { return to_view(value_); }

 private:
  int settle(int error) {
    valid_ = error == 0 && to_view(key_).starts_with(prefix_);
    return error == MDB_NOTFOUND ? 0 : error;
  }

  Cursor cursor_;
  std::string prefix_;
  MDB_val key_{};
  MDB_val value_{};
  bool valid_ = false;
};

// The keys that a list has to look at, in order: those of the live records (or of the index), merged, for an older
// revision, with those of records (or of index entries) that have gone since.
class Candidates {
 public:
  Status open(ReadView& view, const Tables& tables, const ListRequest& request, Revision revision) {
    by_term_ = request.index_term.has_value();
    kind_bytes_ = request.kind.size();
    revision_ = revision;
    term_hash_ = by_term_ ? hash_term(*request.index_term) : 0;
    std::string prefix = by_term_ ? index_prefix(request.kind, term_hash_) : request.kind + '\0';
    if (request.name_space) prefix.append(*request.name_space).push_back('\0');
    std::string from;
    if (request.start_after) {
      const Key after{request.kind, request.start_after->name_space, request.start_after->name};
      from = by_term_ ? index_key(encode_key(after), term_hash_) : encode_key(after);
    }
    ORLOP_ASSIGN(Cursor live, view.cursor(by_term_ ? tables.index : tables.latest));
    live_ = Range(std::move(live), prefix);
    int error = start(live_, from);
    if (error == 0 && revision < view.state().revision) {
      ORLOP_ASSIGN(Cursor gone, view.cursor(by_term_ ? tables.index_old : tables.graves));
      gone_ = Range(std::move(gone), prefix);
      error = start(gone_, from);
      if (error == 0) error = skip_long_gone();
    }
    return error == 0 ? Status::ok() : lmdb_failure(error, "cannot list");
  }

  [[nodiscard]] bool valid() const { return live_.valid() || gone_.valid(); }
  // The record's encoded key.
  [[nodiscard]] std::string_view key() {
    const std::string_view key = from_live() ? live_.key() : gone_.key();
    if (!by_term_) return key;
    record_key_of_index(key, kind_bytes_, record_key_);
    return record_key_;
  }
  // The bytes of the latest version, where the table holds them.
  [[nodiscard]] std::optional<std::string_view> version() const {
    if (by_term_ || !from_live()) return std::nullopt;
    return live_.value();
  }

  Status next() {
    const bool both = live_.valid() && gone_.valid() && live_.key() == gone_.key();
    const bool live = from_live();
    int error = live ? live_.next() : 0;
    if (error == 0 && (!live || both)) {
      error = gone_.next();
      if (error == 0) error = skip_long_gone();
    }
    return error == 0 ? Status::ok() : lmdb_failure(error, "cannot list");
  }

 private:
  static int start(Range& range, const std::string& from) {
    const int error = range.seek(from);
    return error == 0 && range.valid() && range.key() == from ? range.next() : error;
  }
  [[nodiscard]] bool from_live() const { return live_.valid() && (!gone_.valid() || live_.key() <= gone_.key()); }
  // What had gone at or before the revision that is read does not concern it.
  int skip_long_gone() {
    int error = 0;
    Revision gone_at = 0;
    while (error == 0 && gone_.valid() && decode_revision(gone_.value(), gone_at) && gone_at <= revision_) {
      error = gone_.next();
    }
    return error;
  }

  bool by_term_ = false;
  std::size_t kind_bytes_ = 0;
  uint64_t term_hash_ = 0;
  Revision revision_ = 0;
  Range live_;
  Range gone_;
  std::string record_key_;
};

Status check_request(const ListRequest& request) {
  if (request.kind.empty()) return {Code::kInvalid, "a list needs a kind"};
  const Key* after = request.start_after ? &*request.start_after : nullptr;
  const std::size_t space_bytes = request.name_space ? request.name_space->size() : 0;
  const std::size_t after_bytes = after != nullptr ? after->name_space.size() + after->name.size() : 0;
  if (request.kind.size() + std::max(space_bytes, after_bytes) + 2 > kKeyBytesMax) {
    return {Code::kInvalid, "a key to list is longer than " + std::to_string(kKeyBytesMax) + " bytes"};
  }
  if (request.kind.find('\0') != std::string::npos ||
      (request.name_space && request.name_space->find('\0') != std::string::npos)) {
    return {Code::kInvalid, "a key to list holds a NUL byte"};
  }
  return Status::ok();
}

// Moves on to the next candidate that is a match; `found` false: there is none.
Status next_match(ReadView& view, Candidates& candidates, const ListRequest& request, Revision revision, bool& found,
                  Version& version) {
  while (candidates.valid()) {
    if (const auto bytes = candidates.version()) {
      Version newest;
      if (!decode_version(*bytes, newest)) return {Code::kInternal, "a record of the store cannot be read"};
      ORLOP_TRY(view.version_at_or_before(newest, revision, found, version));
    } else {
      ORLOP_TRY(view.version_at(candidates.key(), revision, found, version));
    }
    if (found && (!request.index_term || TermsView(version.terms).contains(*request.index_term))) return Status::ok();
    ORLOP_TRY(candidates.next());
  }
  found = false;
  return Status::ok();
}

}  // namespace

Result<ListResult> ReadView::list(const ListRequest& request, const RecordVisitor& visitor) {
  ORLOP_TRY(check_request(request));
  ListResult result;
  ORLOP_ASSIGN(result.revision, resolve(request.at_revision));
  Candidates candidates;
  ORLOP_TRY(candidates.open(*this, tables_, request, result.revision));
  bool found = false;
  bool stopped = false;
  Version version;
  ORLOP_TRY(next_match(*this, candidates, request, result.revision, found, version));
  while (found && !stopped && (request.limit == 0 || result.count < request.limit)) {
    RecordView record;
    ORLOP_TRY(to_record(candidates.key(), version, plain_, record));
    stopped = !visitor(record);
    ++result.count;
    ORLOP_TRY(candidates.next());
    ORLOP_TRY(next_match(*this, candidates, request, result.revision, found, version));
  }
  result.more = found;
  if (!found) {
    result.remaining = 0;
  } else if (result.revision == state_.revision && !request.index_term) {
    if (!request.start_after) {
      uint64_t all = 0;
      ORLOP_TRY(stored_count(request, all));
      result.remaining = all - std::min(all, result.count);
      return result;
    }
    uint64_t left = 0;
    for (; candidates.valid() && left <= kRemainingCountedMax; ++left) ORLOP_TRY(candidates.next());
    if (left <= kRemainingCountedMax) result.remaining = left;
  }
  return result;
}

Result<uint64_t> ReadView::count(const ListRequest& request) {
  ORLOP_TRY(check_request(request));
  ORLOP_ASSIGN(const Revision revision, resolve(request.at_revision));
  uint64_t count = 0;
  if (revision == state_.revision && !request.index_term && !request.start_after) {
    ORLOP_TRY(stored_count(request, count));
    return count;
  }
  Candidates candidates;
  ORLOP_TRY(candidates.open(*this, tables_, request, revision));
  bool found = false;
  Version version;
  ORLOP_TRY(next_match(*this, candidates, request, revision, found, version));
  for (; found; ++count) {
    ORLOP_TRY(candidates.next());
    ORLOP_TRY(next_match(*this, candidates, request, revision, found, version));
  }
  return count;
}

Status ReadView::stored_count(const ListRequest& request, uint64_t& out) {
  std::string prefix = request.kind + '\0';
  if (request.name_space) prefix.append(*request.name_space).push_back('\0');
  ORLOP_ASSIGN(Cursor counts, cursor(tables_.counts));
  Range range(std::move(counts), prefix);
  int error = range.seek(prefix);
  for (out = 0; error == 0 && range.valid(); error = range.next()) {
    uint64_t one = 0;
    if (!decode_revision(range.value(), one)) return damaged(environment_.folder(), "a count cannot be read");
    out += one;
  }
  return error == 0 ? Status::ok() : lmdb_failure(error, "cannot count");
}

}  // namespace orlop::store
