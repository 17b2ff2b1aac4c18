#include "plugins/api-kubernetes/auth/token.hpp"

#include "plugins/api-kubernetes/auth/encoding.hpp"

#include <algorithm>

#include <boost/json.hpp>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace orlop::auth {
namespace json = boost::json;

namespace {

constexpr size_t kHalf = 32;  // of a P-256 signature
constexpr size_t kTokenBytesMax = 16 * 1024;

using SignaturePtr = std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

std::string der_to_raw(const std::string& der) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &data, static_cast<long>(der.size())), &ECDSA_SIG_free);
  std::string raw(2 * kHalf, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, kHalf);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kHalf, kHalf);
  return raw;
}

std::string raw_to_der(const std::string& raw) {
  const auto* in = reinterpret_cast<const unsigned char*>(raw.data());
  SignaturePtr signature(ECDSA_SIG_new(), &ECDSA_SIG_free);
  ECDSA_SIG_set0(signature.get(), BN_bin2bn(in, kHalf, nullptr), BN_bin2bn(in + kHalf, kHalf, nullptr));
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(signature.get(), &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(std::max(size, 0)));
  OPENSSL_free(der);
  return out;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

int64_t number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code error;
  return value->to_number<int64_t>(error);
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

json::object reference(const std::string& name, const std::string& uid) {
  json::object out;
  out["name"] = name;
  out["uid"] = uid;
  return out;
}

json::object payload_of(const TokenClaims& claims) {
  json::object payload;
  payload["sub"] = "system:serviceaccount:" + claims.name_space + ":" + claims.account;
  if (claims.expires == 0) {
    payload["iss"] = "kubernetes/serviceaccount";
    payload["kubernetes.io/serviceaccount/namespace"] = claims.name_space;
    payload["kubernetes.io/serviceaccount/secret.name"] = claims.secret;
    payload["kubernetes.io/serviceaccount/service-account.name"] = claims.account;
    payload["kubernetes.io/serviceaccount/service-account.uid"] = claims.account_uid;
    return payload;
  }
  payload["iss"] = kTokenIssuer;
  json::array audiences;
  for (const std::string& audience : claims.audiences) audiences.emplace_back(audience);
  payload["aud"] = std::move(audiences);
  payload["iat"] = claims.issued;
  payload["nbf"] = claims.issued;
  payload["exp"] = claims.expires;
  payload["jti"] = claims.id;
  json::object kubernetes;
  kubernetes["namespace"] = claims.name_space;
  kubernetes["serviceaccount"] = reference(claims.account, claims.account_uid);
  if (!claims.pod.empty()) kubernetes["pod"] = reference(claims.pod, claims.pod_uid);
  if (!claims.secret.empty()) kubernetes["secret"] = reference(claims.secret, claims.secret_uid);
  if (!claims.node.empty()) kubernetes["node"] = reference(claims.node, claims.node_uid);
  payload["kubernetes.io"] = std::move(kubernetes);
  return payload;
}

Status refuse(const char* why) {
  return {Code::kUnauthorized, why};
}

Result<TokenClaims> claims_of(const json::object& payload) {
  TokenClaims claims;
  if (text_at(payload, "iss") == "kubernetes/serviceaccount") {
    claims.name_space = text_at(payload, "kubernetes.io/serviceaccount/namespace");
    claims.secret = text_at(payload, "kubernetes.io/serviceaccount/secret.name");
    claims.account = text_at(payload, "kubernetes.io/serviceaccount/service-account.name");
    claims.account_uid = text_at(payload, "kubernetes.io/serviceaccount/service-account.uid");
    return claims;
  }
  if (text_at(payload, "iss") != kTokenIssuer) return refuse("the token's issuer is not this cluster");
  claims.issued = number_at(payload, "iat");
  claims.expires = number_at(payload, "exp");
  claims.id = text_at(payload, "jti");
  if (claims.expires == 0) return refuse("the token has no expiry");
  if (const json::value* audiences = payload.if_contains("aud"); audiences != nullptr) {
    if (audiences->is_string()) claims.audiences.emplace_back(audiences->as_string());
    if (audiences->is_array()) {
      for (const json::value& item : audiences->as_array()) {
        if (item.is_string()) claims.audiences.emplace_back(item.as_string());
      }
    }
  }
  const json::object* kubernetes = object_at(payload, "kubernetes.io");
  if (kubernetes == nullptr) return refuse("the token names no service account");
  claims.name_space = text_at(*kubernetes, "namespace");
  auto take = [&](std::string_view key, std::string& name, std::string& uid) {
    if (const json::object* bound = object_at(*kubernetes, key); bound != nullptr) {
      name = text_at(*bound, "name");
      uid = text_at(*bound, "uid");
    }
  };
  take("serviceaccount", claims.account, claims.account_uid);
  take("pod", claims.pod, claims.pod_uid);
  take("secret", claims.secret, claims.secret_uid);
  take("node", claims.node, claims.node_uid);
  return claims;
}

}  // namespace

Result<std::unique_ptr<TokenSigner>> TokenSigner::make(std::string_view key_text) {
  BIO* bio = BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) {
    ERR_clear_error();
    EVP_PKEY_free(key);
    return Status(Code::kInvalid, "the service account key is not a P-256 private key");
  }
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key, &der);
  std::string id = base64url(sha256({reinterpret_cast<char*>(der), static_cast<size_t>(std::max(size, 0))}));
  OPENSSL_free(der);
  return std::unique_ptr<TokenSigner>(new TokenSigner(key, std::move(id)));
}

TokenSigner::TokenSigner(EVP_PKEY* key, std::string key_id) : key_(key), key_id_(std::move(key_id)) {}
TokenSigner::~TokenSigner() {
  EVP_PKEY_free(key_);
}

std::string TokenSigner::sign(const TokenClaims& claims) const {
  json::object header;
  header["alg"] = "ES256";
  header["kid"] = key_id_;
  std::string text = base64url(json::serialize(header)) + "." + base64url(json::serialize(payload_of(claims)));
  DigestPtr context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_);
  size_t size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
  std::string der(size, '\0');
  EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(der.data()), &size, data, text.size());
  der.resize(size);
  return text + "." + base64url(der_to_raw(der));
}

Result<TokenClaims> TokenSigner::verify(std::string_view token, int64_t now_s) const {
  size_t first = token.find('.');
  size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.size() > kTokenBytesMax) return refuse("not a token");
  auto header_text = base64url_decode(token.substr(0, first));
  auto payload_text = base64url_decode(token.substr(first + 1, second - first - 1));
  auto raw = base64url_decode(token.substr(second + 1));
  if (!header_text || !payload_text || !raw || raw->size() != 2 * kHalf) return refuse("not a token");
  boost::system::error_code error;
  json::value header = json::parse(*header_text, error);
  if (error || !header.is_object() || text_at(header.as_object(), "alg") != "ES256") return refuse("not a token");
  DigestPtr context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_);
  std::string der = raw_to_der(*raw);
  int good = EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(der.data()), der.size(),
                              reinterpret_cast<const unsigned char*>(token.data()), second);
  ERR_clear_error();
  if (good != 1) return refuse("the token's signature is wrong");
  json::value payload = json::parse(*payload_text, error);
  if (error || !payload.is_object()) return refuse("not a token");
  ORLOP_ASSIGN(TokenClaims claims, claims_of(payload.as_object()));
  if (claims.account.empty() || claims.name_space.empty()) return refuse("the token names no service account");
  if (claims.expires != 0 && claims.expires <= now_s) return refuse("the token has expired");
  return claims;
}

std::string TokenSigner::key_set() const {
  unsigned char point[1 + 2 * kHalf];
  size_t size = 0;
  EVP_PKEY_get_octet_string_param(key_, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size);
  std::string_view bytes(reinterpret_cast<char*>(point), size);
  json::object key;
  key["use"] = "sig";
  key["kty"] = "EC";
  key["kid"] = key_id_;
  key["crv"] = "P-256";
  key["alg"] = "ES256";
  key["x"] = base64url(bytes.substr(1, kHalf));
  key["y"] = base64url(bytes.substr(1 + kHalf, kHalf));
  json::object set;
  set["keys"] = json::array{std::move(key)};
  return json::serialize(set);
}

}  // namespace orlop::auth
