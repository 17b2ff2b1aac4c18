// HTTP/1.1 over TLS (RFC 9112): the intake of the API.
//
// Each connection has a strand of its own over a pool of io threads. Requests of one connection are answered in their
// order. Bounds: head 256 KiB, body `body_bytes_max`, and a deadline for the handshake, for a request once begun, for
// idleness and for a write that does not move. What breaks a bound is answered (413, 431, 408) where an answer can
// still be read.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/http/exchange.hpp"
#include "plugins/api-kubernetes/http/tls.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace orlop::http {

struct ServerOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 6443;  // 0: any free one
  unsigned threads = 0;  // 0: as many as there are cores
  size_t body_bytes_max = 3 * 1024 * 1024;
  size_t compress_bytes_min = 128 * 1024;
  // A loopback has no bandwidth to save: compressing there only costs time.
  bool compress_on_loopback = false;
  std::chrono::seconds handshake_timeout{10};
  std::chrono::seconds request_timeout{60};
  std::chrono::seconds idle_timeout{300};
  std::chrono::seconds write_timeout{300};
};

class Server {
 public:
  // `handler` must outlive the server. `thread_started`, when given, runs first on each io thread.
  Server(ServerOptions options, Handler& handler);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Opens the port and starts the threads. kConflict: the port is in use, and may be free the next time that this is
  // called; kUnavailable: the address cannot be bound for another reason; the message says which. kInvalid: it is none.
  Status start(std::shared_ptr<TlsContext> tls);
  // For the connections to come. Any thread.
  void set_tls(std::shared_ptr<TlsContext> tls);
  // The port in use, after start().
  [[nodiscard]] uint16_t port() const;
  [[nodiscard]] size_t connections() const;
  // Ends the intake, tells every exchange that it is gone, waits for the handlers, closes, joins. Idempotent.
  void stop();
  // Runs something on an io thread at or after a moment, unless the server stops before. Any thread.
  void run_at(Exchange::Clock::time_point when, std::function<void()> work);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace orlop::http
