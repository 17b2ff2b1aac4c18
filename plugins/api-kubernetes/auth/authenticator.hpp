// Who sent a request: a client certificate of our CA, a bearer token, or nobody (system:anonymous).
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/auth/token.hpp"
#include "plugins/api-kubernetes/auth/user.hpp"
#include "plugins/api-kubernetes/http/exchange.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orlop::auth {

// Static tokens, as kube-apiserver's --token-auth-file: lines of token,user,uid[,"group1,group2"].
// kInvalid: a line has fewer than three fields; the message names it.
Result<std::unordered_map<std::string, User>> parse_token_file(std::string_view text);

// Threads: any.
class Authenticator {
 public:
  // `signer` must outlive it.
  Authenticator(Host host, const TokenSigner& signer, std::unordered_map<std::string, User> static_tokens);

  // kUnauthorized: credentials were shown and are not good.
  Result<User> authenticate(const http::Request& request) const;

  // A bearer token. `audiences`: at least one of them must be the token's; empty: the API server's own.
  // `matched`, when given, gets the audiences that both have.
  Result<User> authenticate_token(std::string_view token, const std::vector<std::string>& audiences,
                                  std::vector<std::string>* matched) const;

 private:
  Result<TokenClaims> verified_claims(std::string_view token) const;
  Status check_alive(const TokenClaims& claims) const;
  Status check_uid(std::string_view kind, const std::string& name_space, const std::string& name,
                   const std::string& uid) const;

  Host host_;
  const TokenSigner& signer_;
  std::unordered_map<std::string, User> static_tokens_;
  // A signature costs a tenth of a millisecond to check: what was found good is remembered by the token's hash.
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, TokenClaims> verified_;  // guarded by mutex_
};

}  // namespace orlop::auth
