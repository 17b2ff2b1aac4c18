#include "kernel/store/format.hpp"

#include <cstring>

namespace orlop::store {

bool decode_state(std::string_view bytes, State& out) {
  if (bytes.size() < sizeof(State)) return false;
  std::memcpy(&out, bytes.data(), sizeof(State));
  return std::memcmp(out.magic, kFormatMagic, sizeof(kFormatMagic)) == 0;
}

bool decode_version(std::string_view bytes, Version& out) {
  if (bytes.size() < sizeof(VersionHeader)) return false;
  std::memcpy(&out.header, bytes.data(), sizeof(VersionHeader));
  bytes.remove_prefix(sizeof(VersionHeader));
  if (bytes.size() < out.header.terms_bytes) return false;
  out.terms = bytes.substr(0, out.header.terms_bytes);
  out.stored = bytes.substr(out.header.terms_bytes);
  return true;
}

bool decode_log_entry(std::string_view bytes, LogEntry& out) {
  if (bytes.size() < sizeof(LogHeader)) return false;
  std::memcpy(&out.header, bytes.data(), sizeof(LogHeader));
  bytes.remove_prefix(sizeof(LogHeader));
  if (bytes.size() < out.header.key_bytes) return false;
  out.key = bytes.substr(0, out.header.key_bytes);
  out.old = bytes.substr(out.header.key_bytes);
  const bool has_old = (out.header.flags & kLogHasOld) != 0;
  const bool known_type = out.header.type >= 1 && out.header.type <= 3;
  return known_type && has_old == !out.old.empty();
}

bool decode_revision(std::string_view bytes, uint64_t& out) {
  if (bytes.size() != sizeof(out)) return false;
  std::memcpy(&out, bytes.data(), sizeof(out));
  return true;
}

std::string encode_terms(const std::vector<std::string>& terms) {
  std::string encoded;
  for (const std::string& term : terms) {
    encoded.push_back(static_cast<char>(term.size() & 0xff));
    encoded.push_back(static_cast<char>(term.size() >> 8));
    encoded.append(term);
  }
  return encoded;
}

uint64_t hash_term(std::string_view term) {
  // FNV-1a, then the finaliser of SplitMix64: short terms that differ in one letter end up far apart.
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : term) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  return hash ^ (hash >> 31);
}

std::string index_prefix(std::string_view kind, uint64_t term_hash) {
  std::string prefix(kind);
  prefix.push_back('\0');
  prefix.append(reinterpret_cast<const char*>(&term_hash), sizeof(term_hash));
  return prefix;
}

std::string index_key(std::string_view encoded_key, uint64_t term_hash) {
  const std::size_t kind_bytes = encoded_key.find('\0');
  std::string key = index_prefix(encoded_key.substr(0, kind_bytes), term_hash);
  key.append(encoded_key.substr(kind_bytes + 1));
  return key;
}

void record_key_of_index(std::string_view index_key, std::size_t kind_bytes, std::string& out) {
  out.assign(index_key.substr(0, kind_bytes + 1));
  out.append(index_key.substr(kind_bytes + 1 + sizeof(uint64_t)));
}

std::string_view space_of(std::string_view encoded_key) {
  const std::size_t first = encoded_key.find('\0');
  return encoded_key.substr(0, encoded_key.find('\0', first + 1) + 1);
}

}  // namespace orlop::store
