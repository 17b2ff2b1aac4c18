#include "plugins/api-kubernetes/http/tls.hpp"

#include <cstring>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace orlop::http {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

BioPtr memory_bio(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

Status openssl_failure(const std::string& what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return {Code::kInvalid, what + ": " + text};
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  static constexpr unsigned char kHttp1[] = "\x08http/1.1";
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, kHttp1, sizeof kHttp1 - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

// A certificate that we did not sign must not break the handshake: the answer is 401, which a person understands.
int accept_any(int, X509_STORE_CTX*) {
  return 1;
}

Status load_certificate(SSL_CTX* context, std::string_view certificate, std::string_view key) {
  BioPtr bio = memory_bio(certificate);
  CertificatePtr leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  if (!leaf) return openssl_failure("the serving certificate cannot be read");
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) return openssl_failure("the serving certificate is refused");
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    SSL_CTX_add0_chain_cert(context, next);
  }
  ERR_clear_error();
  BioPtr key_bio = memory_bio(key);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> private_key(
      PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  if (!private_key) return openssl_failure("the serving key cannot be read");
  if (SSL_CTX_use_PrivateKey(context, private_key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return openssl_failure("the serving key does not belong to the certificate");
  }
  return Status::ok();
}

Status load_client_ca(SSL_CTX* context, std::string_view client_ca) {
  BioPtr bio = memory_bio(client_ca);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int count = 0;
  while (true) {
    CertificatePtr ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!ca) break;
    X509_STORE_add_cert(store, ca.get());
    SSL_CTX_add_client_CA(context, ca.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return {Code::kInvalid, "the client CA holds no certificate"};
  return Status::ok();
}

std::string entry_text(X509_NAME_ENTRY* entry) {
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(std::string_view certificate, std::string_view key,
                                                     std::string_view client_ca) {
  SSL_CTX* native = SSL_CTX_new(TLS_server_method());
  if (native == nullptr) return openssl_failure("no TLS context");
  std::shared_ptr<TlsContext> context(new TlsContext(native));
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_ciphersuites(native, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
  // One ticket is enough for a client that comes back; each costs a write in the handshake.
  SSL_CTX_set_num_tickets(native, 1);
  static constexpr unsigned char kSessionContext[] = "orlop";
  SSL_CTX_set_session_id_context(native, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER, &accept_any);
  SSL_CTX_set_alpn_select_cb(native, &select_alpn, nullptr);
  ORLOP_TRY(load_certificate(native, certificate, key));
  ORLOP_TRY(load_client_ca(native, client_ca));
  return context;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

PeerIdentity read_identity(SSL* ssl) {
  PeerIdentity identity;
  CertificatePtr certificate(SSL_get1_peer_certificate(ssl), &X509_free);
  if (!certificate) return identity;
  identity.presented = true;
  // A session that is resumed brings its verdict along, not a new look at the dates.
  identity.verified =
      SSL_get_verify_result(ssl) == X509_V_OK && X509_cmp_current_time(X509_get0_notAfter(certificate.get())) > 0;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid == NID_commonName) identity.common_name = entry_text(entry);
    if (nid == NID_organizationName) identity.organizations.push_back(entry_text(entry));
  }
  return identity;
}

}  // namespace orlop::http
