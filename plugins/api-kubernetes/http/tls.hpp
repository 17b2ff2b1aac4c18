// The server's end of TLS: 1.2 at least, 1.3 preferred, ALPN http/1.1, client certificates asked for but not required.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/http/exchange.hpp"

#include <memory>
#include <string>
#include <string_view>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace orlop::http {

// One certificate with its key. Immutable; a connection holds the one that it began with, so that a new one can be put
// in place at any moment.
class TlsContext {
 public:
  // PEM texts. `client_ca`: who may sign client certificates. kInvalid: one of them cannot be read or they do not
  // match.
  static Result<std::shared_ptr<TlsContext>> make(std::string_view certificate, std::string_view key,
                                                  std::string_view client_ca);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  [[nodiscard]] SSL_CTX* native() const { return context_; }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
};

// Reads the peer's certificate after the handshake.
PeerIdentity read_identity(SSL* ssl);

}  // namespace orlop::http
