#include "kernel/store/seal.hpp"

#include <algorithm>
#include <climits>
#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace orlop::store {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

const unsigned char* bytes_of(std::string_view view) {
  return reinterpret_cast<const unsigned char*>(view.data());
}

}  // namespace

Sealer::~Sealer() {
  for (SealingKey& key : keys_) OPENSSL_cleanse(key.secret.data(), key.secret.size());
}

PlainBuffer::~PlainBuffer() {
  if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
}

Status Sealer::seal(std::string_view plain, std::string_view bound_to, std::string& out) const {
  if (plain.size() > INT_MAX) return {Code::kTooLarge, "a value of more than 2 GiB cannot be sealed"};
  const std::size_t at = out.size();
  out.resize(at + kNonceBytes + kTagBytes + plain.size());
  auto* nonce = reinterpret_cast<unsigned char*>(out.data() + at);
  unsigned char* tag = nonce + kNonceBytes;
  unsigned char* cipher = tag + kTagBytes;
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool sealed =
      context != nullptr && RAND_bytes(nonce, kNonceBytes) == 1 &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, keys_.front().secret.data(), nonce) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), cipher, &length, bytes_of(plain), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), cipher + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1;
  if (!sealed) return {Code::kInternal, "OpenSSL could not seal a value"};
  return Status::ok();
}

Status Sealer::open(uint32_t key_id, std::string_view sealed, std::string_view bound_to, std::string& out) const {
  const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const SealingKey& k) { return k.id == key_id; });
  if (key == keys_.end()) {
    return {Code::kUnavailable, "a value is sealed with key " + std::to_string(key_id) + ", which was not given"};
  }
  if (sealed.size() < kNonceBytes + kTagBytes || sealed.size() > INT_MAX) {
    return {Code::kInternal, "a sealed value is damaged: its length cannot be right"};
  }
  const unsigned char* nonce = bytes_of(sealed);
  const unsigned char* tag = nonce + kNonceBytes;
  const unsigned char* cipher = tag + kTagBytes;
  const std::size_t cipher_bytes = sealed.size() - kNonceBytes - kTagBytes;
  if (!out.empty()) OPENSSL_cleanse(out.data(), out.size());
  out.resize(cipher_bytes);
  auto* plain = reinterpret_cast<unsigned char*>(out.data());
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  int last = 0;
  const bool opened =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key->secret.data(), nonce) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), plain, &length, cipher, static_cast<int>(cipher_bytes)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, const_cast<unsigned char*>(tag)) == 1 &&
      EVP_DecryptFinal_ex(context.get(), plain + length, &last) == 1;
  if (!opened) return {Code::kInternal, "a sealed value does not open: it is damaged, or its key is another one"};
  return Status::ok();
}

}  // namespace orlop::store
