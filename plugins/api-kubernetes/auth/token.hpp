// Service account tokens: JSON web tokens (RFC 7519) signed with ES256 (RFC 7518, section 3.4).
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

typedef struct evp_pkey_st EVP_PKEY;

namespace orlop::auth {

// What a token says. Times: seconds since 1970; expires 0: never (tokens of secrets).
struct TokenClaims {
  std::string name_space;
  std::string account;
  std::string account_uid;
  std::vector<std::string> audiences;
  int64_t issued = 0;
  int64_t expires = 0;
  std::string id;
  // What the token is bound to; empty: nothing.
  std::string pod, pod_uid;
  std::string secret, secret_uid;
  std::string node, node_uid;
};

inline constexpr std::string_view kTokenIssuer = "https://kubernetes.default.svc.cluster.local";

// Issues and checks tokens. Immutable, any thread.
class TokenSigner {
 public:
  // `key`: a P-256 private key, PEM. kInvalid: it is none.
  static Result<std::unique_ptr<TokenSigner>> make(std::string_view key);
  ~TokenSigner();
  TokenSigner(const TokenSigner&) = delete;
  TokenSigner& operator=(const TokenSigner&) = delete;

  [[nodiscard]] std::string sign(const TokenClaims& claims) const;
  // Signature, issuer, dates. Whether the account still exists is the caller's to check. kUnauthorized: what is wrong.
  [[nodiscard]] Result<TokenClaims> verify(std::string_view token, int64_t now_s) const;
  // The public key as a JSON web key set (RFC 7517), for /openid/v1/jwks.
  [[nodiscard]] std::string key_set() const;

 private:
  TokenSigner(EVP_PKEY* key, std::string key_id);
  EVP_PKEY* key_;
  std::string key_id_;
};

}  // namespace orlop::auth
