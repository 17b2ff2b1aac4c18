// Keys and certificates (X.509, RFC 5280), made and read. ECDSA over P-256 throughout.
//
// Values and pure functions but for the random numbers; any thread. All texts are PEM.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::auth {

using WallTime = std::chrono::system_clock::time_point;

struct KeyPair {
  std::string certificate;
  std::string key;
};

struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;  // IPv4 or IPv6, as text
  bool server = false;                 // else: for a client
  WallTime not_before;
  WallTime not_after;
};

struct CertificateFacts {
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;
  WallTime not_after;
};

// A private key alone (PKCS #8).
Result<std::string> make_key();
// Its public half.
Result<std::string> public_key_of(std::string_view key);

// A certificate authority that signs itself.
Result<KeyPair> make_authority(const std::string& common_name, WallTime not_before, WallTime not_after);
Result<KeyPair> make_certificate(const KeyPair& authority, const CertificateSpec& spec);

// kInvalid: not a certificate.
Result<CertificateFacts> read_certificate(std::string_view certificate);
// Whether the authority signed it.
bool is_signed_by(std::string_view certificate, std::string_view authority);

}  // namespace orlop::auth
