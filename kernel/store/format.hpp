// The bytes of the data file: what stands in its tables, and how. Private to this folder.
//
// All numbers are little-endian. Tables are described in README.md.
#pragma once

#include "kernel/store/store.hpp"

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <lmdb.h>

namespace orlop::store {

static_assert(std::endian::native == std::endian::little, "the data file is written in this machine's byte order");

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr char kFormatMagic[8] = {'o', 'r', 'l', 'o', 'p', 'k', 'v', '\n'};
inline constexpr std::string_view kStateKey = "orlop.state";

// One record in the unnamed table; written by every commit.
struct State {
  char magic[8];
  uint32_t format_version;
  uint32_t reserved;
  uint64_t revision;   // last one given out
  uint64_t compacted;  // the log holds (compacted, revision], without a gap
  uint64_t log_bytes;  // values of the log table
};
static_assert(sizeof(State) == 40);

// One version of an object: header, terms, stored value (as written, or sealed).
struct [[gnu::packed]] VersionHeader {
  uint64_t create_revision;
  uint64_t revision;
  uint32_t sealing_key_id;
  uint32_t terms_bytes;
  uint32_t flags;
};
static_assert(sizeof(VersionHeader) == 28);
inline constexpr uint32_t kVersionSealed = 1;

struct Version {
  VersionHeader header{};
  std::string_view terms;
  std::string_view stored;

  [[nodiscard]] bool sealed() const { return (header.flags & kVersionSealed) != 0; }
};

// One change: header, key, and the version that it replaced (if any).
struct LogHeader {
  // The object's change before this one, 0 if there is none or it was compacted before this change was made. Unlike
  // ChangeView::previous_revision it leads across deletions.
  uint64_t previous;
  // A change of the object further back, `span` steps away, as in a skew-binary list: it makes looking up an old
  // version logarithmic. 0: none.
  uint64_t jump;
  uint64_t create_revision;
  int64_t commit_time_ms;
  uint32_t span;
  uint32_t transaction_before;  // revisions of the same transaction before this one
  uint32_t transaction_after;   // and after it
  uint16_t key_bytes;
  uint8_t type;
  uint8_t flags;
};
static_assert(sizeof(LogHeader) == 48);
inline constexpr uint8_t kLogHasOld = 1;
inline constexpr uint8_t kLogTermsRemoved = 2;  // it took terms from the object: index_old may name this revision

struct LogEntry {
  LogHeader header{};
  std::string_view key;
  std::string_view old;  // an encoded Version; empty: none
};

inline std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}
// LMDB does not write through the pointers that it is given as keys and data.
inline MDB_val to_val(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
inline MDB_val to_val(const uint64_t& number) {
  return {sizeof(number), const_cast<uint64_t*>(&number)};
}

// False: the bytes are damaged.
bool decode_state(std::string_view bytes, State& out);
bool decode_version(std::string_view bytes, Version& out);
bool decode_log_entry(std::string_view bytes, LogEntry& out);
bool decode_revision(std::string_view bytes, uint64_t& out);

// Terms as TermsView reads them.
std::string encode_terms(const std::vector<std::string>& terms);

// What stands for a term in the index. Stable: it is part of the format.
uint64_t hash_term(std::string_view term);

// kind NUL hash: the prefix of all records of a kind that carry a term.
std::string index_prefix(std::string_view kind, uint64_t term_hash);
// The index's key for one record; `encoded_key` as of encode_key.
std::string index_key(std::string_view encoded_key, uint64_t term_hash);
// The reverse: the record's encoded key.
void record_key_of_index(std::string_view index_key, std::size_t kind_bytes, std::string& out);

// kind NUL name_space NUL: the key of `counts`, and the prefix of the keys in a name space.
std::string_view space_of(std::string_view encoded_key);

}  // namespace orlop::store
