#include "plugins/api-kubernetes/auth/authenticator.hpp"

#include "orlop/object_meta.hpp"
#include "plugins/api-kubernetes/auth/encoding.hpp"

#include <algorithm>

namespace orlop::auth {
namespace {

constexpr size_t kVerifiedMax = 8192;
constexpr int64_t kNsPerSecond = 1'000'000'000;

std::vector<std::string> split_csv(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back().push_back(c);
    }
  }
  return fields;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Status unauthorized() {
  return {Code::kUnauthorized, "Unauthorized"};
}

User account_user(const TokenClaims& claims) {
  User user;
  user.name = "system:serviceaccount:" + claims.name_space + ":" + claims.account;
  user.uid = claims.account_uid;
  user.groups = {"system:serviceaccounts", "system:serviceaccounts:" + claims.name_space, std::string(kAuthenticated)};
  if (!claims.id.empty()) user.extra["authentication.kubernetes.io/credential-id"] = {"JTI=" + claims.id};
  if (!claims.pod.empty()) {
    user.extra["authentication.kubernetes.io/pod-name"] = {claims.pod};
    user.extra["authentication.kubernetes.io/pod-uid"] = {claims.pod_uid};
  }
  return user;
}

}  // namespace

Result<std::unordered_map<std::string, User>> parse_token_file(std::string_view text) {
  std::unordered_map<std::string, User> tokens;
  int number = 0;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string> fields = split_csv(line);
    if (fields.size() < 3) {
      return Status(Code::kInvalid, "line " + std::to_string(number) + ": token,user,uid[,\"groups\"] expected");
    }
    User user{fields[1], fields[2], {}, {}};
    for (size_t i = 3; i < fields.size(); ++i) {
      for (std::string& group : split_csv(fields[i])) {
        if (!group.empty()) user.groups.push_back(std::move(group));
      }
    }
    user.groups.emplace_back(kAuthenticated);
    tokens[fields[0]] = std::move(user);
  }
  return tokens;
}

Authenticator::Authenticator(Host host, const TokenSigner& signer, std::unordered_map<std::string, User> static_tokens)
    : host_(host), signer_(signer), static_tokens_(std::move(static_tokens)) {}

Result<User> Authenticator::authenticate(const http::Request& request) const {
  std::string_view header = request.header("Authorization");
  if (!header.empty()) {
    constexpr std::string_view kBearer = "bearer ";
    std::string scheme(header.substr(0, kBearer.size()));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return std::tolower(c); });
    if (scheme != kBearer) return unauthorized();
    return authenticate_token(trim(header.substr(kBearer.size())), {}, nullptr);
  }
  if (request.peer->presented) {
    if (!request.peer->verified || request.peer->common_name.empty()) return unauthorized();
    User user{request.peer->common_name, "", request.peer->organizations, {}};
    if (!user.in_group(kAuthenticated)) user.groups.emplace_back(kAuthenticated);
    return user;
  }
  return anonymous();
}

Result<User> Authenticator::authenticate_token(std::string_view token, const std::vector<std::string>& audiences,
                                               std::vector<std::string>* matched) const {
  if (auto found = static_tokens_.find(std::string(token)); found != static_tokens_.end()) return found->second;
  auto claims = verified_claims(token);
  if (!claims) return unauthorized();
  if (claims->expires != 0) {
    std::vector<std::string> wanted = audiences;
    if (wanted.empty()) wanted.emplace_back(kTokenIssuer);
    bool any = false;
    for (const std::string& audience : claims->audiences) {
      if (std::find(wanted.begin(), wanted.end(), audience) == wanted.end()) continue;
      any = true;
      if (matched != nullptr) matched->push_back(audience);
    }
    if (!any) return unauthorized();
  }
  if (!check_alive(*claims)) return unauthorized();
  return account_user(*claims);
}

Result<TokenClaims> Authenticator::verified_claims(std::string_view token) const {
  int64_t now_s = host_.wall_now_ns() / kNsPerSecond;
  std::string key = sha256(token);
  {
    std::lock_guard lock(mutex_);
    auto found = verified_.find(key);
    if (found != verified_.end()) {
      if (found->second.expires == 0 || found->second.expires > now_s) return found->second;
      verified_.erase(found);
    }
  }
  ORLOP_ASSIGN(TokenClaims claims, signer_.verify(token, now_s));
  std::lock_guard lock(mutex_);
  if (verified_.size() >= kVerifiedMax) verified_.clear();
  verified_.emplace(std::move(key), claims);
  return claims;
}

Status Authenticator::check_alive(const TokenClaims& claims) const {
  ORLOP_TRY(check_uid("serviceaccounts", claims.name_space, claims.account, claims.account_uid));
  if (!claims.pod.empty()) ORLOP_TRY(check_uid("pods", claims.name_space, claims.pod, claims.pod_uid));
  if (!claims.secret.empty()) ORLOP_TRY(check_uid("secrets", claims.name_space, claims.secret, claims.secret_uid));
  if (!claims.node.empty()) ORLOP_TRY(check_uid("nodes", "", claims.node, claims.node_uid));
  return Status::ok();
}

Status Authenticator::check_uid(std::string_view kind, const std::string& name_space, const std::string& name,
                                const std::string& uid) const {
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(std::string(kind));
  key->set_namespace_(name_space);
  key->set_name(name);
  bool alive = false;
  auto result = host_.get(request, [&](const RecordView& record) {
    auto view = meta::parse(record.value);
    alive = view.is_ok() && (uid.empty() || view->uid == uid);
    return true;
  });
  if (!result) return result.status();
  return alive ? Status::ok() : unauthorized();
}

}  // namespace orlop::auth
