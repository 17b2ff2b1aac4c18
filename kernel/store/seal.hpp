// Sealing of values: AES-256-GCM (NIST SP 800-38D) by OpenSSL. Private to this folder.
#pragma once

#include "kernel/store/lmdb_store.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::store {

// A sealed value is nonce (12 bytes, random), tag (16 bytes), cipher text. It is bound to the object's key: moved to
// another one it does not open. Safe to use from several threads at once.
class Sealer {
 public:
  explicit Sealer(std::vector<SealingKey> keys) : keys_(std::move(keys)) {}
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  [[nodiscard]] bool can_seal() const { return !keys_.empty(); }
  // The key that seals; only if can_seal().
  [[nodiscard]] uint32_t key_id() const { return keys_.front().id; }

  // Appends the sealed value to `out`. kInternal: OpenSSL refused.
  Status seal(std::string_view plain, std::string_view bound_to, std::string& out) const;

  // Replaces `out` by the plain value. kUnavailable: the key with this id was not given; kInternal: damaged or tampered
  // with.
  Status open(uint32_t key_id, std::string_view sealed, std::string_view bound_to, std::string& out) const;

 private:
  std::vector<SealingKey> keys_;
};

// A buffer for plain values that is wiped when it goes.
struct PlainBuffer {
  PlainBuffer() = default;
  ~PlainBuffer();
  PlainBuffer(const PlainBuffer&) = delete;
  PlainBuffer& operator=(const PlainBuffer&) = delete;

  std::string bytes;
};

}  // namespace orlop::store
