#include "plugins/node-agent/probes/http_check.hpp"

#include "plugins/node-agent/probes/resolve.hpp"
#include "plugins/node-agent/probes/tcp_check.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace orlop::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr size_t kBodyMax = 10 * 1024;
constexpr int kRedirectsMax = 10;

std::string url_of(const HttpCheck& check) {
  return (check.tls ? "https://" : "http://") + join_host_port(check.host, check.port) + check.path;
}

// One check from its first connection to its last answer. Owned by the operations that are under way.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(asio::io_context& io, asio::ssl::context& tls, HttpCheck check, std::chrono::milliseconds timeout,
              CheckDone done)
      : io_(io),
        tls_(tls),
        check_(std::move(check)),
        until_(std::chrono::steady_clock::now() + timeout),
        done_(std::move(done)) {}

  void begin() {
    plain_.reset();
    secure_.reset();
    parser_.emplace();
    parser_->body_limit(boost::none);
    buffer_.clear();
    body_.clear();
    resolve(io_, check_.host, check_.port,
            [self = shared_from_this()](const boost::system::error_code& error, const Endpoints& endpoints) {
              if (error) return self->fail(dial_error(self->address(), error));
              self->connect(endpoints);
            });
  }

 private:
  [[nodiscard]] std::string address() const { return join_host_port(check_.host, check_.port); }
  beast::tcp_stream& lowest() { return secure_ ? beast::get_lowest_layer(*secure_) : *plain_; }

  void fail(const std::string& why) { done_({CheckOutcome::kFailure, "Get \"" + url_of(check_) + "\": " + why}); }
  void fail_io(const boost::system::error_code& error) {
    if (error == beast::error::timeout)
      return fail("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    if (error == http::error::end_of_stream || error == asio::error::eof || error == asio::ssl::error::stream_truncated)
      return fail("EOF");
    if (error == asio::error::connection_reset)
      return fail("read tcp " + address() + ": read: connection reset by peer");
    fail(error.message());
  }

  void connect(const Endpoints& endpoints) {
    if (check_.tls) {
      secure_.emplace(io_, tls_);
    } else {
      plain_.emplace(io_);
    }
    lowest().expires_at(until_);
    lowest().async_connect(endpoints, [self = shared_from_this()](const boost::system::error_code& error, const auto&) {
      if (error) return self->fail(dial_error(self->address(), error));
      if (!self->check_.tls) return self->write();
      SSL_set_tlsext_host_name(self->secure_->native_handle(), self->check_.host.c_str());
      self->secure_->async_handshake(asio::ssl::stream_base::client, [self](const boost::system::error_code& refused) {
        if (refused) return self->fail_io(refused);
        self->write();
      });
    });
  }

  void fill_request() {
    request_ = {};
    request_.version(11);
    request_.method(http::verb::get);
    request_.target(check_.path);
    const bool usual = check_.port == (check_.tls ? 443 : 80);
    request_.set(http::field::host, usual ? check_.host : address());
    request_.set(http::field::user_agent, check_.user_agent);
    request_.set(http::field::accept, "*/*");
    request_.set(http::field::connection, "close");
    std::string previous;
    for (const auto& [name, value] : check_.headers) {
      // The pod's own replace ours; several of one name all stand.
      const bool again =
          std::count_if(check_.headers.begin(), check_.headers.end(),
                        [&, wanted = name](const auto& h) { return beast::iequals(h.first, wanted); }) > 1 &&
          beast::iequals(previous, name);
      if (again) {
        request_.insert(name, value);
      } else {
        request_.set(name, value);
      }
      previous = name;
    }
    if (request_[http::field::accept].empty()) request_.erase(http::field::accept);
  }

  void write() {
    fill_request();
    const auto written = [self = shared_from_this()](const boost::system::error_code& error, size_t) {
      if (error) return self->fail_io(error);
      self->read_header();
    };
    if (check_.tls) {
      http::async_write(*secure_, request_, written);
    } else {
      http::async_write(lowest(), request_, written);
    }
  }

  void read_header() {
    const auto read = [self = shared_from_this()](const boost::system::error_code& error, size_t) {
      if (error) return self->fail_io(error);
      self->read_body();
    };
    if (check_.tls) {
      http::async_read_header(*secure_, buffer_, *parser_, read);
    } else {
      http::async_read_header(lowest(), buffer_, *parser_, read);
    }
  }

  void read_body() {
    if (parser_->is_done() || body_.size() >= kBodyMax) return finish();
    auto& piece = parser_->get().body();
    piece.data = piece_;
    piece.size = std::min(sizeof piece_, kBodyMax - body_.size());
    const size_t room = piece.size;
    const auto read = [self = shared_from_this(), room](const boost::system::error_code& error, size_t) {
      self->body_.append(self->piece_, room - self->parser_->get().body().size);
      if (error && error != http::error::need_buffer) {
        // The header has come: what is missing of the body does not change what it says.
        if (error != beast::error::timeout) return self->finish();
        return self->fail("context deadline exceeded (Client.Timeout or context cancellation while reading body)");
      }
      self->read_body();
    };
    if (check_.tls) {
      http::async_read_some(*secure_, buffer_, *parser_, read);
    } else {
      http::async_read_some(lowest(), buffer_, *parser_, read);
    }
  }

  void finish() {
    const unsigned status = parser_->get().result_int();
    const bool is_redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    const std::string location(parser_->get()[http::field::location]);
    if (is_redirect && !location.empty()) {
      auto redirect = follow_location(check_, location);
      if (redirect && redirect->same_host) {
        if (++redirects_ > kRedirectsMax) return fail("stopped after 10 redirects");
        check_ = std::move(redirect->target);
        return begin();
      }
      return done_({CheckOutcome::kWarning, "Probe terminated redirects, Response body: " + body_});
    }
    if (status >= 200 && status < 400) return done_({CheckOutcome::kSuccess, body_});
    done_({CheckOutcome::kFailure, "HTTP probe failed with statuscode: " + std::to_string(status)});
  }

  asio::io_context& io_;
  asio::ssl::context& tls_;
  HttpCheck check_;
  std::chrono::steady_clock::time_point until_;
  CheckDone done_;
  int redirects_ = 0;
  std::optional<beast::tcp_stream> plain_;  // one of the two
  std::optional<beast::ssl_stream<beast::tcp_stream>> secure_;
  http::request<http::empty_body> request_;
  std::optional<http::response_parser<http::buffer_body>> parser_;
  beast::flat_buffer buffer_;
  char piece_[4096];
  std::string body_;
};

}  // namespace

Result<Redirect> follow_location(const HttpCheck& from, const std::string& location) {
  Redirect redirect{from, true};
  HttpCheck& target = redirect.target;
  std::string rest = location.substr(0, location.find('#'));
  size_t scheme_end = rest.find("://");
  if (rest.starts_with("//")) {
    rest.erase(0, 2);
  } else if (scheme_end != std::string::npos && rest.find('/') > scheme_end) {
    const std::string scheme = rest.substr(0, scheme_end);
    if (scheme != "http" && scheme != "https") return Status(Code::kInvalid, "unsupported protocol scheme " + scheme);
    target.tls = scheme == "https";
    rest.erase(0, scheme_end + 3);
  } else {
    const std::string path = from.path.substr(0, from.path.find('?'));
    if (rest.starts_with('/')) {
      target.path = rest;
    } else if (rest.starts_with('?')) {
      target.path = path + rest;
    } else {
      target.path = path.substr(0, path.rfind('/') + 1) + rest;
    }
    return redirect;
  }
  const size_t path_at = std::min(rest.find_first_of("/?"), rest.size());
  std::string authority = rest.substr(0, path_at);
  target.path = rest.substr(path_at);
  if (!target.path.starts_with('/')) target.path.insert(0, 1, '/');
  target.port = target.tls ? 443 : 80;
  const size_t colon = authority.rfind(':');
  if (colon != std::string::npos && authority.find(']', colon) == std::string::npos) {
    std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), target.port);
    authority.resize(colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  redirect.same_host = authority == from.host;
  target.host = authority;
  return redirect;
}

void run_http_check(asio::io_context& io, asio::ssl::context& tls, HttpCheck check, std::chrono::milliseconds timeout,
                    CheckDone done) {
  std::make_shared<HttpSession>(io, tls, std::move(check), timeout, std::move(done))->begin();
}

}  // namespace orlop::agent
