#include "cli/client/http_client.hpp"

#include <csignal>
#include <deque>
#include <optional>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>
#include <unistd.h>

namespace orlop::client {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

struct Connector::Parts {
  bool tls = false;
  bool insecure = false;
  std::string host, port, prefix, verify_name;
  std::string authorization;
  // Making an SSL object of a context is thread-safe in OpenSSL; the context is not changed after make().
  mutable ssl::context context{ssl::context::tls_client};
};

namespace {

constexpr char kAgent[] = "orlop/0.1";

std::string host_port_of(const Connector::Parts& parts) {
  const bool v6 = parts.host.find(':') != std::string::npos;
  return (v6 ? "[" + parts.host + "]" : parts.host) + ":" + parts.port;
}

Status split_url(const std::string& url, Connector::Parts& parts) {
  const auto scheme_end = url.find("://");
  const auto scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string::npos || (scheme != "http" && scheme != "https")) {
    return {Code::kBadRequest, "error: \"" + url + "\" is no http or https URL"};
  }
  parts.tls = scheme == "https";
  auto rest = url.substr(scheme_end + 3);
  const auto slash = rest.find('/');
  if (slash != std::string::npos) parts.prefix = rest.substr(slash);
  rest = rest.substr(0, slash);
  while (parts.prefix.ends_with('/')) parts.prefix.pop_back();
  const auto bracket = rest.find(']');
  const auto colon = rest.find(':', bracket == std::string::npos ? 0 : bracket);
  parts.host = rest.substr(0, colon);
  if (parts.host.starts_with('[') && parts.host.ends_with(']'))
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  parts.port = colon == std::string::npos ? (parts.tls ? "443" : "80") : rest.substr(colon + 1);
  if (parts.host.empty() || parts.port.empty()) return {Code::kBadRequest, "error: no host in the URL \"" + url + "\""};
  return {};
}

Status set_up_tls(const ClusterAccess& access, Connector::Parts& parts) {
  error_code error;
  auto& context = parts.context;
  context.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3);
  if (access.insecure) {
    context.set_verify_mode(ssl::verify_none, error);
  } else {
    context.set_verify_mode(ssl::verify_peer, error);
    if (access.ca_pem.empty()) {
      context.set_default_verify_paths(error);
    } else {
      context.add_certificate_authority(asio::buffer(access.ca_pem), error);
    }
    if (error) return {Code::kBadRequest, "error: unable to load root certificates: " + error.message()};
  }
  if (!access.client_certificate_pem.empty()) {
    context.use_certificate_chain(asio::buffer(access.client_certificate_pem), error);
    if (!error) context.use_private_key(asio::buffer(access.client_key_pem), ssl::context::pem, error);
    if (error) return {Code::kBadRequest, "error: tls: the client certificate or its key is bad: " + error.message()};
  }
  return {};
}

Status connect_failure(const Connector::Parts& parts, const error_code& error) {
  if (error == asio::error::connection_refused) {
    return {Code::kUnavailable, "The connection to the server " + host_port_of(parts) +
                                    " was refused - did you specify the right host or port?"};
  }
  return {Code::kUnavailable,
          "Unable to connect to the server: dial tcp " + host_port_of(parts) + ": " + error.message()};
}

Status connect_socket(const Connector::Parts& parts, asio::io_context& io, tcp::socket& socket) {
  error_code error;
  tcp::resolver resolver(io);
  const auto endpoints = resolver.resolve(parts.host, parts.port, error);
  if (error) {
    return {Code::kUnavailable, "Unable to connect to the server: dial tcp: lookup " + parts.host + ": no such host"};
  }
  asio::connect(socket, endpoints, error);
  if (error) return connect_failure(parts, error);
  socket.set_option(tcp::no_delay(true), error);
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  return {};
}

template <typename Stream>
Status shake_hands(const Connector::Parts& parts, Stream& tls) {
  error_code error;
  if (!parts.insecure) tls.set_verify_callback(ssl::host_name_verification(parts.verify_name), error);
  ::SSL_set_tlsext_host_name(tls.native_handle(), parts.verify_name.c_str());
  tls.handshake(ssl::stream_base::client, error);
  if (!error) return {};
  const long verdict = ::SSL_get_verify_result(tls.native_handle());
  if (verdict != X509_V_OK) {
    return {Code::kUnavailable,
            std::string("Unable to connect to the server: tls: failed to verify certificate: x509: ") +
                ::X509_verify_cert_error_string(verdict)};
  }
  return {Code::kUnavailable, "Unable to connect to the server: tls: " + error.message()};
}

Response take_head(const http::response_header<>& head) {
  Response response;
  response.status = static_cast<int>(head.result_int());
  response.content_type = std::string(head[http::field::content_type]);
  response.location = std::string(head[http::field::location]);
  const auto warnings = head.equal_range(http::field::warning);
  for (auto at = warnings.first; at != warnings.second; ++at) {
    // 299 agent "text with \" escaped"
    const std::string_view value(at->value().data(), at->value().size());
    const auto quote = value.find('"');
    if (quote == std::string_view::npos) continue;
    std::string text;
    for (size_t i = quote + 1; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      text += value[i];
    }
    response.warnings.push_back(std::move(text));
  }
  return response;
}

}  // namespace

Connector::Connector(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Connector::~Connector() = default;

Result<std::shared_ptr<const Connector>> Connector::make(const ClusterAccess& access) {
  auto parts = std::make_unique<Parts>();
  ORLOP_TRY(split_url(access.server, *parts));
  parts->insecure = access.insecure;
  parts->verify_name = access.tls_server_name.empty() ? parts->host : access.tls_server_name;
  if (parts->tls) ORLOP_TRY(set_up_tls(access, *parts));
  if (!access.token.empty()) {
    parts->authorization = "Bearer " + access.token;
  } else if (!access.username.empty()) {
    parts->authorization = "Basic " + encode_base64(access.username + ":" + access.password);
  }
  return std::shared_ptr<const Connector>(new Connector(std::move(parts)));
}

std::string Connector::url() const {
  return (parts_->tls ? "https://" : "http://") + host_port_of(*parts_);
}
std::string Connector::host_port() const {
  return host_port_of(*parts_);
}

// TLS or plain behind one type, so that Beast's HTTP code is compiled once.
struct HttpClient::Connection {
  asio::io_context io{1};
  tcp::socket socket{io};
  std::optional<ssl::stream<tcp::socket&>> tls;
  beast::flat_buffer buffer;
  bool open = false;
  bool used = false;

  template <typename Buffers>
  size_t read_some(const Buffers& buffers, error_code& error) {
    return tls ? tls->read_some(buffers, error) : socket.read_some(buffers, error);
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers, error_code& error) {
    return tls ? tls->write_some(buffers, error) : socket.write_some(buffers, error);
  }
  template <typename Buffers>
  size_t read_some(const Buffers& buffers) {
    error_code error;
    const auto size = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return size;
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers) {
    error_code error;
    const auto size = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return size;
  }

  // Between two answers the server has nothing to say: what can be read now is its farewell.
  bool stale() {
    char byte = 0;
    return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || buffer.size() != 0;
  }
};

HttpClient::HttpClient(std::shared_ptr<const Connector> connector) : connector_(std::move(connector)) {}
HttpClient::~HttpClient() {
  close();
}

void HttpClient::close() {
  if (!connection_) return;
  error_code ignored;
  connection_->socket.close(ignored);
  connection_.reset();
}

Status HttpClient::lost(std::string_view what, std::string_view reason) const {
  return {Code::kUnavailable, "Unable to connect to the server: " + std::string(what) + " " + connector_->url() + ": " +
                                  std::string(reason)};
}

Status HttpClient::ensure_connected() {
  if (connection_ && connection_->open && !(connection_->used && connection_->stale())) return {};
  close();
  connection_ = std::make_unique<Connection>();
  const auto& parts = connector_->parts();
  ORLOP_TRY(connect_socket(parts, connection_->io, connection_->socket));
  if (parts.tls) {
    connection_->tls.emplace(connection_->socket, parts.context);
    ORLOP_TRY(shake_hands(parts, *connection_->tls));
  }
  connection_->open = true;
  return {};
}

namespace {

http::request<http::string_body> make_request(const Connector::Parts& parts, std::string_view method,
                                              std::string_view target, const std::vector<Header>& headers,
                                              std::string body) {
  http::request<http::string_body> request;
  request.method_string({method.data(), method.size()});
  request.target(parts.prefix + std::string(target));
  request.set(http::field::host, host_port_of(parts));
  request.set(http::field::user_agent, kAgent);
  request.set(http::field::accept, "application/json");
  if (!parts.authorization.empty()) request.set(http::field::authorization, parts.authorization);
  for (const auto& header : headers) request.set(header.name, header.value);
  if (!body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    request.body() = std::move(body);
    request.content_length(request.body().size());
  }
  return request;
}

}  // namespace

Result<Response> HttpClient::request(std::string_view method, std::string_view target,
                                     const std::vector<Header>& headers, std::string body) {
  const auto message = make_request(connector_->parts(), method, target, headers, std::move(body));
  for (int attempt = 0;; ++attempt) {
    ORLOP_TRY(ensure_connected());
    auto& connection = *connection_;
    const bool reused = connection.used;
    connection.used = true;
    error_code error;
    http::write(connection, message, error);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    if (!error) http::read_header(connection, connection.buffer, parser, error);
    if (error) {
      close();
      // A kept connection that the server had just closed; asking twice for the same thing changes nothing.
      if (reused && attempt == 0 && method == "GET") continue;
      return lost(method, error == http::error::end_of_stream ? "EOF" : error.message());
    }
    http::read(connection, connection.buffer, parser, error);
    if (error) {
      close();
      return lost(method, error.message());
    }
    auto response = take_head(parser.get().base());
    response.body = std::move(parser.get().body());
    if (!parser.keep_alive()) close();
    return response;
  }
}

Result<Response> HttpClient::stream(std::string_view method, std::string_view target,
                                    const std::vector<Header>& headers,
                                    const std::function<bool(std::string_view)>& on_data) {
  ORLOP_TRY(ensure_connected());
  auto& connection = *connection_;
  connection.used = true;
  error_code error;
  http::write(connection, make_request(connector_->parts(), method, target, headers, {}), error);
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  if (!error) http::read_header(connection, connection.buffer, parser, error);
  if (error) {
    close();
    return lost(method, error.message());
  }
  auto response = take_head(parser.get().base());
  std::vector<char> piece(64 * 1024);
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    http::read_some(connection, connection.buffer, parser, error);
    if (error == http::error::need_buffer) error = {};
    const std::string_view got(piece.data(), piece.size() - body.size);
    if (!got.empty()) {
      if (response.status >= 400) {
        response.body += got;
      } else if (!on_data(got)) {
        close();
        return response;
      }
    }
    if (error) {
      close();
      return lost(method, error.message());
    }
  }
  if (!parser.keep_alive()) close();
  return response;
}

namespace {

// One session on one io_context, run by the calling thread alone; both directions wait at once.
class StreamRun {
 public:
  StreamRun(const Connector::Parts& parts, const StreamSession& session)
      : parts_(parts),
        session_(session),
        streams_(session.channels),
        tls_(io_, parts.context),
        input_(io_),
        signals_(io_) {}

  ~StreamRun() {
    // The descriptor is the process's own; only asio's hold on it ends, and its flags come back.
    if (input_.is_open()) input_.release();
    if (input_flags_ >= 0) ::fcntl(session_.input_fd, F_SETFL, input_flags_);
  }

  Result<Response> run() {
    ORLOP_TRY(connect_socket(parts_, io_, tls_.next_layer()));
    ORLOP_TRY(shake_hands(parts_, tls_));
    ORLOP_ASSIGN(auto response, upgrade());
    if (response.status != 101) return response;
    send(streams_.open());
    session_.on_open();
    if (session_.on_window) {
      error_code error;
      send(streams_.data(Channel::kWindow, session_.on_window()));
      signals_.add(SIGWINCH, error);
      wait_window();
    }
    start_input();
    // What came with the answer's head.
    const std::string early = beast::buffers_to_string(buffer_.data());
    if (take(early)) {
      read();
      io_.run();
    }
    if (!failure_.empty()) return {Code::kUnavailable, "error: error reading from the stream: " + failure_};
    return response;
  }

 private:
  Result<Response> upgrade() {
    error_code error;
    auto request = make_request(
        parts_, "POST", session_.target,
        {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}, {"X-Stream-Protocol-Version", "v4.channel.k8s.io"}}, {});
    http::write(tls_, request, error);
    http::response_parser<http::string_body> parser;
    if (!error) http::read_header(tls_, buffer_, parser, error);
    if (!error && parser.get().result() != http::status::switching_protocols) http::read(tls_, buffer_, parser, error);
    if (error) return Status(Code::kUnavailable, "Unable to connect to the server: " + error.message());
    auto response = take_head(parser.get().base());
    response.body = std::move(parser.get().body());
    return response;
  }

  // False: it is over.
  bool take(std::string_view bytes) {
    send(streams_.receive(bytes, session_.on_data));
    return !streams_.is_over();
  }

  void read() {
    tls_.async_read_some(asio::buffer(arrived_), [this](const error_code& error, size_t size) {
      if (error && error != asio::error::eof && error != ssl::error::stream_truncated) failure_ = error.message();
      if (!take({arrived_, size}) || error) {
        io_.stop();
        return;
      }
      read();
    });
  }

  void send(std::string frame) {
    if (frame.empty()) return;
    queue_.push_back(std::move(frame));
    if (queue_.size() == 1) write();
  }

  void write() {
    asio::async_write(tls_, asio::buffer(queue_.front()), [this](const error_code& error, size_t) {
      if (error) return;  // the reading side learns why
      queue_.pop_front();
      if (!queue_.empty()) {
        write();
      } else if (input_waits_) {
        input_waits_ = false;
        read_input();
      }
    });
  }

  void start_input() {
    if (session_.input_fd < 0) return;
    input_flags_ = ::fcntl(session_.input_fd, F_GETFL);
    error_code error;
    input_.assign(session_.input_fd, error);
    if (!error) read_input();
  }

  void read_input() {
    input_.async_read_some(asio::buffer(piece_), [this](const error_code& error, size_t size) {
      if (error && error != asio::error::eof) return;
      if (error) {
        send(streams_.end(Channel::kInput));
        return;
      }
      send(streams_.data(Channel::kInput, {piece_, size}));
      // A fast producer waits for the wire instead of filling the memory.
      if (queue_.size() > 16) {
        input_waits_ = true;
      } else {
        read_input();
      }
    });
  }

  void wait_window() {
    signals_.async_wait([this](const error_code& error, int) {
      if (error) return;
      send(streams_.data(Channel::kWindow, session_.on_window()));
      wait_window();
    });
  }

  const Connector::Parts& parts_;
  const StreamSession& session_;
  SpdyStreams streams_;
  asio::io_context io_{1};
  ssl::stream<tcp::socket> tls_;
  asio::posix::stream_descriptor input_;
  asio::signal_set signals_;
  beast::flat_buffer buffer_;
  std::deque<std::string> queue_;
  char arrived_[32 * 1024] = {};
  char piece_[32 * 1024] = {};
  bool input_waits_ = false;
  int input_flags_ = -1;
  std::string failure_;
};

}  // namespace

Result<Response> run_streams(const Connector& connector, const StreamSession& session) {
  if (!connector.parts().tls) {
    return {Code::kBadRequest, "error: exec and attach need an https server; " + connector.url() + " is plain http"};
  }
  StreamRun run(connector.parts(), session);
  return run.run();
}

Result<std::string> download(const std::string& url) {
  std::string at = url;
  for (int hop = 0; hop < 10; ++hop) {
    ClusterAccess access;
    const auto path = at.find('/', at.find("://") + 3);
    access.server = at.substr(0, path);
    ORLOP_ASSIGN(auto connector, Connector::make(access));
    HttpClient client(connector);
    ORLOP_ASSIGN(auto response,
                 client.request("GET", path == std::string::npos ? "/" : at.substr(path), {{"Accept", "*/*"}}));
    if (response.status == 200) return std::move(response.body);
    if (response.status < 300 || response.status >= 400 || response.location.empty()) {
      return {Code::kBadRequest, "error: unable to read URL \"" + url + "\", server reported " +
                                     std::to_string(response.status) +
                                     ", status code=" + std::to_string(response.status)};
    }
    at = response.location.front() == '/' ? access.server + response.location : response.location;
  }
  return {Code::kBadRequest, "error: unable to read URL \"" + url + "\": too many redirects"};
}

}  // namespace orlop::client
