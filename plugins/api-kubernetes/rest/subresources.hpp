// Tokens of service accounts, for REST and for the Tokens service of capability `api`.
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/auth/token.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::rest {

struct TokenWish {
  std::string name_space;
  std::string account;
  std::vector<std::string> audiences;  // empty: the API server's own
  int64_t expiration_seconds = 3600;   // 600 at least, a day at most
  std::string pod, pod_uid;            // bound to; empty: none
  std::string secret, secret_uid;
  std::string node;
};

struct IssuedToken {
  std::string token;
  int64_t expires_s = 0;
};

// kNotFound: the account or what it is to be bound to does not exist. kConflict: another uid.
Result<IssuedToken> issue_token(const Host& host, const auth::TokenSigner& signer, const TokenWish& wish);

}  // namespace orlop::rest
