// From a caller's transaction to what the committer needs.
#include "kernel/store/batch.hpp"

#include <algorithm>
#include <cstring>

namespace orlop::store {
namespace {

constexpr std::size_t kTermBytesMax = 1024;
constexpr std::size_t kTermsMax = 64;

Status check_terms(const Write& write) {
  if (write.index_terms.size() > kTermsMax) {
    return {Code::kInvalid, describe(write.key) + " has " + std::to_string(write.index_terms.size()) +
                                " index terms; at most " + std::to_string(kTermsMax) + " are possible"};
  }
  for (const std::string& term : write.index_terms) {
    if (term.empty() || term.size() > kTermBytesMax || term.find('\0') != std::string::npos) {
      return {Code::kInvalid, describe(write.key) +
                                  " has an index term that is empty, holds a NUL byte, or is longer than " +
                                  std::to_string(kTermBytesMax) + " bytes"};
    }
  }
  return Status::ok();
}

Status prepare_value(Write& write, const Sealer& sealer, PreparedWrite& out) {
  ORLOP_TRY(check_terms(write));
  const std::string terms = encode_terms(write.index_terms);
  VersionHeader header{};
  header.terms_bytes = static_cast<uint32_t>(terms.size());
  if (write.sealed) {
    if (!sealer.can_seal()) {
      return {Code::kInvalid, describe(write.key) + " is to be sealed, and the store was given no sealing key"};
    }
    header.flags = kVersionSealed;
    header.sealing_key_id = sealer.key_id();
  }
  out.version.reserve(sizeof(header) + terms.size() + write.value.size() + 32);
  out.version.append(reinterpret_cast<const char*>(&header), sizeof(header)).append(terms);
  if (write.sealed) {
    ORLOP_TRY(sealer.seal(write.value, out.key, out.version));
    if (write.skip_if_unchanged) out.plain = std::move(write.value);
  } else {
    out.version.append(write.value);
  }
  for (const std::string& term : write.index_terms) out.term_hashes.push_back(hash_term(term));
  std::sort(out.term_hashes.begin(), out.term_hashes.end());
  out.term_hashes.erase(std::unique(out.term_hashes.begin(), out.term_hashes.end()), out.term_hashes.end());
  return Status::ok();
}

Status check_distinct(const PreparedTransaction& transaction, const Transaction& source) {
  if (transaction.writes.size() < 2) return Status::ok();
  std::vector<const std::string*> keys;
  for (const PreparedWrite& write : transaction.writes) keys.push_back(&write.key);
  std::sort(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a < *b; });
  const auto twice =
      std::adjacent_find(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a == *b; });
  if (twice == keys.end()) return Status::ok();
  for (const Write& write : source.writes) {
    if (encode_key(write.key) == **twice) {
      return {Code::kBadRequest, "a transaction writes " + describe(write.key) + " twice"};
    }
  }
  return {Code::kBadRequest, "a transaction writes a key twice"};
}

}  // namespace

Result<PreparedTransaction> prepare(Transaction transaction, const Sealer& sealer, std::size_t bytes_max) {
  PreparedTransaction out;
  out.durability = transaction.durability;
  out.writes.resize(transaction.writes.size());
  for (std::size_t i = 0; i < transaction.writes.size(); ++i) {
    Write& write = transaction.writes[i];
    ORLOP_TRY(validate(write.key));
    out.writes[i].key = encode_key(write.key);
    out.writes[i].operation = write.operation;
    out.writes[i].precondition = write.precondition;
    out.writes[i].skip_if_unchanged = write.skip_if_unchanged;
    if (write.operation == Operation::kPut) ORLOP_TRY(prepare_value(write, sealer, out.writes[i]));
    out.bytes += out.writes[i].key.size() + out.writes[i].version.size() + sizeof(LogHeader);
  }
  for (const Check& check : transaction.checks) {
    ORLOP_TRY(validate(check.key));
    out.checks.push_back({encode_key(check.key), check.precondition});
  }
  if (out.bytes > bytes_max) {
    return Status(Code::kTooLarge, "a transaction of " + std::to_string(out.bytes) + " bytes is too large: at most " +
                                       std::to_string(bytes_max) + " are possible");
  }
  ORLOP_TRY(check_distinct(out, transaction));
  return out;
}

}  // namespace orlop::store
