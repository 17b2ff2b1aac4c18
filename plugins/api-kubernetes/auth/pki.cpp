#include "plugins/api-kubernetes/auth/pki.hpp"

#include <memory>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace orlop::auth {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<&BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<&EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<&X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<&X509_EXTENSION_free>>;

Status failure(const std::string& what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return {Code::kInvalid, what + ": " + text};
}

BioPtr reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

KeyPtr read_key(std::string_view text) {
  return KeyPtr(PEM_read_bio_PrivateKey(reader(text).get(), nullptr, nullptr, nullptr));
}

CertificatePtr parse(std::string_view text) {
  return CertificatePtr(PEM_read_bio_X509(reader(text).get(), nullptr, nullptr, nullptr));
}

std::string write_key(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

std::string write_certificate(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

void set_serial(X509* certificate) {
  unsigned char bytes[16];
  RAND_bytes(bytes, sizeof bytes);
  bytes[0] &= 0x7f;
  std::unique_ptr<BIGNUM, Freer<&BN_free>> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

void set_time(ASN1_TIME* field, WallTime when) {
  ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(when));
}

void add_name(X509_NAME* name, int nid, const std::string& value) {
  X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

std::string alternative_names(const CertificateSpec& spec) {
  std::string text;
  for (const std::string& name : spec.dns_names) text += (text.empty() ? "DNS:" : ",DNS:") + name;
  for (const std::string& address : spec.addresses) text += (text.empty() ? "IP:" : ",IP:") + address;
  return text;
}

CertificatePtr blank(EVP_PKEY* key, WallTime not_before, WallTime not_after) {
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  set_serial(certificate.get());
  set_time(X509_getm_notBefore(certificate.get()), not_before);
  set_time(X509_getm_notAfter(certificate.get()), not_after);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

Result<std::string> finish_leaf(X509* certificate, X509* issuer, EVP_PKEY* issuer_key, bool server,
                                const std::string& names) {
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  bool good = add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
              add_extension(certificate, issuer, NID_ext_key_usage, server ? "serverAuth" : "clientAuth") &&
              add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
  if (good && !names.empty()) good = add_extension(certificate, issuer, NID_subject_alt_name, names);
  if (!good || X509_sign(certificate, issuer_key, EVP_sha256()) == 0) return failure("a certificate cannot be made");
  return write_certificate(certificate);
}

}  // namespace

Result<std::string> make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failure("a key cannot be made");
  return write_key(key.get());
}

Result<std::string> public_key_of(std::string_view key_text) {
  KeyPtr key = read_key(key_text);
  if (!key) return failure("a key cannot be read");
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key.get());
  return text_of(bio.get());
}

Result<KeyPair> make_authority(const std::string& common_name, WallTime not_before, WallTime not_after) {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failure("a key cannot be made");
  CertificatePtr certificate = blank(key.get(), not_before, not_after);
  X509* raw = certificate.get();
  add_name(X509_get_subject_name(raw), NID_commonName, common_name);
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  bool good = add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE") &&
              add_extension(raw, raw, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign") &&
              add_extension(raw, raw, NID_subject_key_identifier, "hash");
  if (!good || X509_sign(raw, key.get(), EVP_sha256()) == 0) return failure("the CA cannot be made");
  return KeyPair{write_certificate(raw), write_key(key.get())};
}

Result<KeyPair> make_certificate(const KeyPair& authority, const CertificateSpec& spec) {
  CertificatePtr issuer = parse(authority.certificate);
  KeyPtr issuer_key = read_key(authority.key);
  if (!issuer || !issuer_key) return failure("the CA cannot be read");
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failure("a key cannot be made");
  CertificatePtr certificate = blank(key.get(), spec.not_before, spec.not_after);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (const std::string& organization : spec.organizations) add_name(subject, NID_organizationName, organization);
  add_name(subject, NID_commonName, spec.common_name);
  ORLOP_ASSIGN(std::string text,
               finish_leaf(certificate.get(), issuer.get(), issuer_key.get(), spec.server, alternative_names(spec)));
  return KeyPair{std::move(text), write_key(key.get())};
}

Result<CertificateFacts> read_certificate(std::string_view text) {
  CertificatePtr certificate = parse(text);
  if (!certificate) return failure("a certificate cannot be read");
  CertificateFacts facts;
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
  facts.common_name = name;
  std::tm parts{};
  ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts);
  facts.not_after = std::chrono::system_clock::from_time_t(timegm(&parts));
  std::unique_ptr<GENERAL_NAMES, Freer<&GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    auto* value = static_cast<ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    const unsigned char* data = ASN1_STRING_get0_data(value);
    int size = ASN1_STRING_length(value);
    if (type == GEN_DNS) {
      facts.dns_names.emplace_back(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    } else {
      char address[INET6_ADDRSTRLEN] = "";
      inet_ntop(size == 4 ? AF_INET : AF_INET6, data, address, sizeof address);
      facts.addresses.emplace_back(address);
    }
  }
  return facts;
}

bool is_signed_by(std::string_view certificate_text, std::string_view authority) {
  CertificatePtr certificate = parse(certificate_text);
  CertificatePtr issuer = parse(authority);
  bool good = certificate && issuer && X509_verify(certificate.get(), X509_get0_pubkey(issuer.get())) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace orlop::auth
