// HTTP/1.1 to the API server: one keep-alive connection (TLS or plain) with blocking requests, streams, and joined
// streams.
//
// A Connector holds what connections share (parsed certificates, the TLS context, the standing headers) and may be used
// by many threads at once; make one for a cluster. An HttpClient is one connection: one thread at a time, cheap to
// make, connects at its first request and again when the server has closed it.
//
// Failures are Status values whose message is the line that kubectl would print:
//   kUnavailable  The connection to the server HOST:PORT was refused - did you specify the right host or port?
//                 Unable to connect to the server: …    (name lookup, TLS, a connection that broke)
//   kBadRequest   the URL cannot be parsed, or a certificate or key cannot be
// An answer of the server, whatever its HTTP status, is no failure here.
#pragma once

#include "cli/client/kubeconfig.hpp"
#include "cli/client/spdy.hpp"
#include "orlop/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::client {

struct Header {
  std::string name, value;
};

struct Response {
  int status = 0;
  std::string content_type;
  std::vector<std::string> warnings;  // the texts of the Warning headers (RFC 7234, code 299)
  std::string location;
  std::string body;
};

class Connector {
 public:
  static Result<std::shared_ptr<const Connector>> make(const ClusterAccess& access);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // "https://127.0.0.1:6443", without the prefix.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::string host_port() const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }

 private:
  explicit Connector(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

class HttpClient {
 public:
  explicit HttpClient(std::shared_ptr<const Connector> connector);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `target` is the path with its query. Authentication and Host are added; Accept is application/json unless given.
  Result<Response> request(std::string_view method, std::string_view target, const std::vector<Header>& headers = {},
                           std::string body = {});

  // Gives the body in pieces as they arrive, until its end or until `on_data` returns false (the connection is closed
  // then). The body of an answer of 400 and above is not given to `on_data` but returned.
  Result<Response> stream(std::string_view method, std::string_view target, const std::vector<Header>& headers,
                          const std::function<bool(std::string_view)>& on_data);

  void close();

 private:
  struct Connection;
  Status ensure_connected();
  Status lost(std::string_view what, std::string_view reason) const;
  std::shared_ptr<const Connector> connector_;
  std::unique_ptr<Connection> connection_;
};

// A container's streams joined to this process, for exec and attach.
struct StreamSession {
  std::string target;
  std::vector<Channel> channels;  // those that the target asks for, and kStatus
  int input_fd = -1;              // read for kInput; -1: none
  // Called once when the server has agreed.
  std::function<void()> on_open;
  // What to send on kWindow: after on_open and at each SIGWINCH. Null: nothing.
  std::function<std::string()> on_window;
  // What came on a stream.
  std::function<void(Channel channel, std::string_view bytes)> on_data;
};

// Runs until the server has ended the streams it sends on. The Response is the server's refusal when its status is not
// 101. Only for https servers.
Result<Response> run_streams(const Connector& connector, const StreamSession& session);

// The text of a URL over http or https with the system's certificates; follows redirects. kBadRequest: not a URL, or
// the server's answer is no 200.
Result<std::string> download(const std::string& url);

}  // namespace orlop::client
