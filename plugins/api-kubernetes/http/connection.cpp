#include "plugins/api-kubernetes/http/answer_head.hpp"
#include "plugins/api-kubernetes/http/gzip.hpp"
#include "plugins/api-kubernetes/http/server_state.hpp"

#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace orlop::http {
namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = Exchange::Clock;

namespace {
constexpr size_t kHeadBytesMax = 256 * 1024;
constexpr size_t kReadBytes = 16 * 1024;
constexpr auto kTick = std::chrono::seconds(5);
constexpr size_t kDrainBytesMax = 16 * 1024 * 1024;
}  // namespace

class Connection final : public Exchange, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server::State& server, tcp::socket socket, std::shared_ptr<TlsContext> tls)
      : server_(server),
        tls_(std::move(tls)),
        ssl_context_(borrow(tls_->native())),
        stream_(std::move(socket), ssl_context_),
        watchdog_(stream_.get_executor()),
        wait_timer_(stream_.get_executor()),
        ended_timer_(stream_.get_executor()) {}

  asio::awaitable<void> run();
  void on_server_stop(bool force);

  void notify() override {
    if (notified_.exchange(true)) return;
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->wait_timer_.cancel(); });
  }
  void post(std::coroutine_handle<> handle) override {
    asio::post(stream_.get_executor(), [self = shared_from_this(), handle] { handle.resume(); });
  }
  auto executor() { return stream_.get_executor(); }

 protected:
  void start_write(std::coroutine_handle<> handle) override;
  void start_wait(Clock::time_point deadline, std::coroutine_handle<> handle) override;
  void start_backend(std::coroutine_handle<> handle) override;
  void start_backend_read(std::coroutine_handle<> handle) override;
  void start_tunnel(std::coroutine_handle<> handle) override;
  void on_begin(bool long_lived) override;

 private:
  using Stream = asio::ssl::stream<tcp::socket>;
  using Backend = asio::generic::stream_protocol::socket;
  using Parser = beast::http::request_parser<beast::http::string_body>;

  // asio's context frees what it holds; ours is shared.
  static asio::ssl::context borrow(SSL_CTX* native) {
    SSL_CTX_up_ref(native);
    return asio::ssl::context(native);
  }

  asio::awaitable<bool> read_request();
  asio::awaitable<bool> read_more();
  asio::awaitable<void> refuse(int status, std::string_view message);
  asio::awaitable<void> answer();
  asio::awaitable<void> send_whole();
  asio::awaitable<void> close();
  asio::awaitable<bool> send(std::string bytes);
  asio::awaitable<bool> connect_backend();
  asio::awaitable<bool> run_tunnel();
  asio::awaitable<void> pump_to_client(bool* first_done);
  asio::awaitable<void> pump_to_backend(bool* first_done);
  Driver drive();
  void fill_request();
  void look_for_close();
  void watch();
  void set_deadline(std::chrono::seconds after) { deadline_ = Clock::now() + after; }
  void abort();
  void reset_exchange();
  std::string next_chunk(std::string bytes, bool last);

  Server::State& server_;
  std::shared_ptr<TlsContext> tls_;
  asio::ssl::context ssl_context_;
  Stream stream_;
  asio::steady_timer watchdog_;
  asio::steady_timer wait_timer_;
  asio::steady_timer ended_timer_;
  std::optional<Backend> backend_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<GzipStream> gzip_;
  PeerIdentity identity_;
  std::string remote_address_;
  bool loopback_ = false;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool handler_ended_ = false;
  bool handler_failed_ = false;
  bool keep_alive_ = true;
  bool head_sent_ = false;
  bool tunnelled_ = false;
  bool idle_ = true;
  char closing_byte_[4096];
};

void start_connection(Server::State& state, tcp::socket socket, std::shared_ptr<TlsContext> tls) {
  auto connection = std::make_shared<Connection>(state, std::move(socket), std::move(tls));
  {
    std::lock_guard lock(state.mutex);
    state.connections.insert(connection.get());
  }
  asio::co_spawn(connection->executor(), connection->run(), [&state, connection](const std::exception_ptr&) {
    std::lock_guard lock(state.mutex);
    state.connections.erase(connection.get());
    state.emptied.notify_all();
  });
}

void stop_connection(Connection& connection, bool force) {
  connection.on_server_stop(force);
}

void Connection::on_server_stop(bool force) {
  asio::post(stream_.get_executor(), [self = shared_from_this(), force] {
    self->keep_alive_ = false;
    self->gone_ = self->gone_ || !self->idle_;
    self->wait_timer_.cancel();
    if (self->backend_) {
      error_code ignored;
      self->backend_->close(ignored);
    }
    if (self->idle_ || force || self->tunnelled_) self->abort();
  });
}

void Connection::abort() {
  gone_ = true;
  error_code ignored;
  stream_.next_layer().close(ignored);
  if (backend_) backend_->close(ignored);
  wait_timer_.cancel();
}

void Connection::watch() {
  watchdog_.expires_after(kTick);
  watchdog_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error) return;
    if (Clock::now() >= self->deadline_) {
      self->abort();
    } else {
      self->watch();
    }
  });
}

asio::awaitable<void> Connection::run() {
  error_code error;
  tcp::endpoint remote = stream_.next_layer().remote_endpoint(error);
  remote_address_ = remote.address().to_string();
  loopback_ = remote.address().is_loopback();
  set_deadline(server_.options.handshake_timeout);
  watch();
  co_await stream_.async_handshake(Stream::server, asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    identity_ = read_identity(stream_.native_handle());
    while (keep_alive_ && !server_.stopping && co_await read_request()) {
      idle_ = false;
      co_await answer();
      idle_ = true;
    }
  }
  co_await close();
}

asio::awaitable<void> Connection::close() {
  error_code ignored;
  if (stream_.next_layer().is_open() && !gone_) {
    set_deadline(std::chrono::seconds(1));
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
  }
  stream_.next_layer().close(ignored);
  watchdog_.cancel();
}

asio::awaitable<bool> Connection::read_more() {
  error_code error;
  auto space = buffer_.prepare(kReadBytes);
  size_t count = co_await stream_.async_read_some(space, asio::redirect_error(asio::use_awaitable, error));
  buffer_.commit(count);
  co_return !error;
}

// Reads one request into request_. False: the connection is to be closed.
asio::awaitable<bool> Connection::read_request() {
  reset_exchange();
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(kHeadBytesMax);
  parser_->body_limit(server_.options.body_bytes_max);
  bool continued = false;
  set_deadline(server_.options.idle_timeout);
  while (true) {
    bool progressed = false;
    if (buffer_.size() > 0) {
      error_code error;
      set_deadline(server_.options.request_timeout);
      size_t used = parser_->put(buffer_.data(), error);
      buffer_.consume(used);
      if (error == beast::http::error::need_more) error = {};
      if (error == beast::http::error::body_limit) {
        co_await refuse(413, "Request entity too large: limit is " + std::to_string(server_.options.body_bytes_max));
        co_return false;
      }
      if (error == beast::http::error::header_limit) {
        co_await refuse(431, "Request header fields too large");
        co_return false;
      }
      if (error) {
        co_await refuse(400, "Bad Request: " + error.message());
        co_return false;
      }
      if (parser_->is_done()) break;
      progressed = used > 0;
      if (!continued && parser_->is_header_done() && beast::iequals(parser_->get()["Expect"], "100-continue")) {
        continued = true;
        if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
      }
    }
    if (progressed && buffer_.size() > 0) continue;
    if (!co_await read_more()) co_return false;
  }
  fill_request();
  co_return true;
}

void Connection::reset_exchange() {
  headers_.clear();
  status_ = 0;
  streaming_ = head_sent_ = handler_ended_ = handler_failed_ = false;
  body_.clear();
  gzip_.reset();
  notified_ = false;
}

void Connection::fill_request() {
  auto& message = parser_->get();
  auto view = [](beast::string_view text) { return std::string_view(text.data(), text.size()); };
  request_.method = view(message.method_string());
  request_.target = view(message.target());
  size_t question = request_.target.find('?');
  std::string_view path = request_.target.substr(0, question);
  request_.raw_query = question == std::string_view::npos ? std::string_view() : request_.target.substr(question + 1);
  request_.path = percent_decode(path, false).value_or(std::string(path));
  request_.query = Query::parse(request_.raw_query);
  request_.headers.clear();
  for (const auto& field : message) {
    request_.headers.emplace_back(view(field.name_string()), view(field.value()));
  }
  request_.body = std::move(message.body());
  request_.peer = &identity_;
  request_.remote_address = remote_address_;
  request_.loopback = loopback_;
  keep_alive_ = message.keep_alive();
}

asio::awaitable<void> Connection::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  server_.handler.refuse(*this, status, message);
  co_await send_whole();
  // An answer is lost when the socket is closed with unread bytes in it: take some more of them first.
  error_code error;
  stream_.next_layer().shutdown(tcp::socket::shutdown_send, error);
  set_deadline(std::chrono::seconds(5));
  std::string sink(64 * 1024, '\0');
  for (size_t drained = 0; !error && drained < kDrainBytesMax;) {
    drained += co_await stream_.next_layer().async_read_some(asio::buffer(sink),
                                                             asio::redirect_error(asio::use_awaitable, error));
  }
  gone_ = true;
}

Driver Connection::drive() {
  auto self = shared_from_this();
  try {
    co_await server_.handler.handle(*this);
  } catch (const std::exception& exception) {
    handler_failed_ = true;
    server_.handler.refuse(*this, 500, std::string("Internal error: ") + exception.what());
  }
  handler_ended_ = true;
  ended_timer_.cancel();
}

asio::awaitable<void> Connection::answer() {
  deadline_ = Clock::time_point::max();
  ended_timer_.expires_at(Clock::time_point::max());
  drive();
  if (!handler_ended_) {
    error_code ignored;
    co_await ended_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (backend_) {
    error_code ignored;
    backend_->close(ignored);
  }
  if (tunnelled_ || !stream_.next_layer().is_open()) {
    keep_alive_ = false;
    gone_ = true;
    co_return;
  }
  set_deadline(server_.options.write_timeout);
  if (!streaming_) {
    co_await send_whole();
  } else if (handler_failed_) {
    // The head is out: a cut stream is the only way left to tell that the answer is not whole.
    abort();
  } else {
    co_await send(next_chunk({}, true));
  }
}

asio::awaitable<bool> Connection::send(std::string bytes) {
  error_code error;
  co_await asio::async_write(stream_, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  if (error) gone_ = true;
  co_return !error;
}

asio::awaitable<void> Connection::send_whole() {
  if (status_ == 0) server_.handler.refuse(*this, 500, "Internal error: no answer");
  bool compress = body_.size() > server_.options.compress_bytes_min &&
                  (!loopback_ || server_.options.compress_on_loopback) &&
                  accepts_gzip(request_.header("Accept-Encoding"));
  if (compress) {
    body_ = GzipStream().add(body_, true);
    add_header("Content-Encoding", "gzip");
    add_header("Vary", "Accept-Encoding");
  }
  std::string out;
  out.reserve(256 + body_.size());
  append_answer_head(out, {status_, content_type_, headers_, body_.size(), keep_alive_ && !server_.stopping});
  if (request_.method != "HEAD") out += body_;
  body_.clear();
  co_await send(std::move(out));
}

void Connection::on_begin(bool long_lived) {
  if (long_lived) {
    keep_alive_ = false;
    look_for_close();
  } else if ((!loopback_ || server_.options.compress_on_loopback) && accepts_gzip(request_.header("Accept-Encoding"))) {
    gzip_.emplace();
    add_header("Content-Encoding", "gzip");
    add_header("Vary", "Accept-Encoding");
  }
}

// The client sends nothing while it reads a long answer; what it does send early is dropped, since the connection is
// closed after the answer.
void Connection::look_for_close() {
  stream_.async_read_some(asio::buffer(closing_byte_), [self = shared_from_this()](const error_code& error, size_t) {
    if (!error && !self->handler_ended_) return self->look_for_close();
    if (self->handler_ended_) return;
    self->gone_ = true;
    self->wait_timer_.cancel();
    if (self->backend_) {
      error_code ignored;
      self->backend_->close(ignored);
    }
  });
}

std::string Connection::next_chunk(std::string bytes, bool last) {
  std::string out;
  if (!head_sent_) {
    head_sent_ = true;
    append_answer_head(out, {status_, content_type_, headers_, kChunked, keep_alive_ && !server_.stopping});
  }
  if (gzip_) bytes = gzip_->add(bytes, last);
  append_chunk(out, bytes);
  if (last) out += "0\r\n\r\n";
  return out;
}

void Connection::start_write(std::coroutine_handle<> handle) {
  outgoing_ = next_chunk(std::move(outgoing_), false);
  if (outgoing_.empty()) return post(handle);
  set_deadline(server_.options.write_timeout);
  asio::async_write(stream_, asio::buffer(outgoing_),
                    [self = shared_from_this(), handle](const error_code& error, size_t) {
                      self->deadline_ = Clock::time_point::max();
                      self->last_ok_ = !error;
                      if (error) self->gone_ = true;
                      handle.resume();
                    });
}

void Connection::start_wait(Clock::time_point deadline, std::coroutine_handle<> handle) {
  wait_timer_.expires_at(deadline);
  wait_timer_.async_wait([self = shared_from_this(), handle](const error_code&) { handle.resume(); });
}

asio::awaitable<bool> Connection::connect_backend() {
  error_code error;
  backend_.emplace(stream_.get_executor());
  set_deadline(std::chrono::seconds(10));
  if (!backend_address_.unix_socket.empty()) {
    asio::local::stream_protocol::endpoint endpoint(backend_address_.unix_socket);
    co_await backend_->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  } else {
    auto address = asio::ip::make_address(backend_address_.host, error);
    if (!error) {
      tcp::endpoint endpoint(address, backend_address_.port);
      co_await backend_->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    }
  }
  if (!error) {
    co_await asio::async_write(*backend_, asio::buffer(outgoing_), asio::redirect_error(asio::use_awaitable, error));
  }
  deadline_ = Clock::time_point::max();
  co_return !error;
}

void Connection::start_backend(std::coroutine_handle<> handle) {
  asio::co_spawn(stream_.get_executor(), connect_backend(),
                 [self = shared_from_this(), handle](const std::exception_ptr& failure, bool connected) {
                   self->last_ok_ = !failure && connected;
                   handle.resume();
                 });
}

void Connection::start_backend_read(std::coroutine_handle<> handle) {
  incoming_.resize(32 * 1024);
  backend_->async_read_some(asio::buffer(incoming_),
                            [self = shared_from_this(), handle](const error_code& error, size_t count) {
                              self->incoming_.resize(count);
                              self->last_ok_ = !error;
                              handle.resume();
                            });
}

void Connection::start_tunnel(std::coroutine_handle<> handle) {
  asio::co_spawn(stream_.get_executor(), run_tunnel(),
                 [self = shared_from_this(), handle](const std::exception_ptr& failure, bool sent) {
                   self->last_ok_ = !failure && sent;
                   if (self->tunnelled_) self->gone_ = false;
                   handle.resume();
                   if (self->tunnelled_) self->gone_ = true;
                 });
}

// Joins the client with the backend once the latter has switched protocols. False: nothing was sent to the client.
asio::awaitable<bool> Connection::run_tunnel() {
  if (!co_await connect_backend()) co_return false;
  std::string head;
  size_t end = std::string::npos;
  error_code error;
  set_deadline(std::chrono::seconds(30));
  while (end == std::string::npos) {
    char piece[4096];
    size_t count =
        co_await backend_->async_read_some(asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
    if (error || head.size() > kHeadBytesMax) co_return false;
    head.append(piece, count);
    end = head.find("\r\n\r\n");
  }
  bool switched = head.compare(0, 9, "HTTP/1.1 ") == 0 && head.compare(9, 3, "101") == 0;
  tunnelled_ = true;
  keep_alive_ = false;
  if (!co_await send(std::move(head))) co_return true;
  deadline_ = Clock::time_point::max();
  bool first_done = false;
  if (!switched) {
    // Its error goes to the client as it stands; the backend closes behind it or the bound below ends it.
    set_deadline(std::chrono::seconds(10));
    co_await pump_to_client(&first_done);
    co_return true;
  }
  asio::steady_timer other(stream_.get_executor(), Clock::time_point::max());
  bool other_ended = false;
  asio::co_spawn(stream_.get_executor(), pump_to_backend(&first_done),
                 [&other, &other_ended, self = shared_from_this()](const std::exception_ptr&) {
                   other_ended = true;
                   other.cancel();
                 });
  co_await pump_to_client(&first_done);
  if (!other_ended) co_await other.async_wait(asio::redirect_error(asio::use_awaitable, error));
  co_return true;
}

asio::awaitable<void> Connection::pump_to_client(bool* first_done) {
  error_code error;
  std::string bytes(32 * 1024, '\0');
  while (true) {
    size_t count =
        co_await backend_->async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), count),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
  }
  if (!std::exchange(*first_done, true)) {
    // The backend is done: all it said has been sent. End the TLS stream, then the reading half.
    error_code ignored;
    set_deadline(std::chrono::seconds(5));
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
    stream_.next_layer().close(ignored);
  }
}

asio::awaitable<void> Connection::pump_to_backend(bool* first_done) {
  error_code error;
  std::string bytes(32 * 1024, '\0');
  if (buffer_.size() > 0) {
    co_await asio::async_write(*backend_, buffer_.data(), asio::redirect_error(asio::use_awaitable, error));
    buffer_.consume(buffer_.size());
  }
  while (!error) {
    size_t count =
        co_await stream_.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    co_await asio::async_write(*backend_, asio::buffer(bytes.data(), count),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  if (!std::exchange(*first_done, true)) {
    error_code ignored;
    backend_->close(ignored);
  }
}

}  // namespace orlop::http
