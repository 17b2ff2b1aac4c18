#include "tests/bench/http_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace orlop::bench {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

std::string tls_error(std::string_view doing) {
  std::array<char, 256> text{};
  const unsigned long code = ERR_get_error();
  ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  return std::string(doing) + ": " + (code == 0 ? "the connection was closed" : text.data());
}

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// A connected socket, or -1.
int connect_to(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found) != 0) return -1;
  int descriptor = -1;
  for (addrinfo* one = found; one != nullptr && descriptor < 0; one = one->ai_next) {
    descriptor = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) continue;
    if (::connect(descriptor, one->ai_addr, one->ai_addrlen) != 0) {
      ::close(descriptor);
      descriptor = -1;
    }
  }
  ::freeaddrinfo(found);
  if (descriptor < 0) return -1;
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A handshake that hangs ends; afterwards the socket does not block.
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return descriptor;
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
std::unique_ptr<BIO, BioFree> memory_of(const std::string& text) {
  return std::unique_ptr<BIO, BioFree>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

void interrupt(int) {
  interrupt_seen = 1;
}
bool interrupted() {
  return interrupt_seen != 0;
}

// ------------------------------------------------------------------------------------------------------- Connection

Connection::Connection(Client& client, std::size_t index) : client_(client), index_(index) {}
Connection::~Connection() {
  disconnect();
}

Status Connection::connect() {
  socket_ = connect_to(client_.endpoint_);
  if (socket_ < 0) return {Code::kUnavailable, "cannot connect to " + client_.endpoint_.host};
  tls_ = SSL_new(client_.context_);
  SSL_set_fd(tls_, socket_);
  SSL_set_tlsext_host_name(tls_, client_.endpoint_.host.c_str());
  if (!client_.endpoint_.insecure) {
    X509_VERIFY_PARAM* checks = SSL_get0_param(tls_);
    if (X509_VERIFY_PARAM_set1_ip_asc(checks, client_.endpoint_.host.c_str()) != 1) {
      ERR_clear_error();
      SSL_set1_host(tls_, client_.endpoint_.host.c_str());
    }
  }
  if (SSL_connect(tls_) != 1) {
    Status failure(Code::kUnavailable, tls_error("TLS handshake with " + client_.endpoint_.host));
    disconnect();
    return failure;
  }
  const timeval no_limit{};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &no_limit, sizeof no_limit);
  BIO_socket_nbio(socket_, 1);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = this;
  ::epoll_ctl(client_.epoll_, EPOLL_CTL_ADD, socket_, &event);
  stage_ = Stage::kHead;
  line_.clear();
  return Status::ok();
}

void Connection::disconnect() {
  if (tls_ != nullptr) SSL_free(tls_);
  tls_ = nullptr;
  if (socket_ >= 0) ::close(socket_);  // leaves the epoll set by that
  socket_ = -1;
  wants_write_ = false;
}

void Connection::fail() {
  ERR_clear_error();
  disconnect();
  if (!busy_) return;
  busy_ = false;
  if (on_answer) on_answer(*this, Answer{});
}

void Connection::send(std::string_view request) {
  sent_at_ = Clock::now();
  busy_ = true;
  if (tls_ == nullptr && !connect()) return fail();
  out_.assign(request);
  out_done_ = 0;
  flush();
}

void Connection::flush() {
  while (out_done_ < out_.size()) {
    const int wrote = SSL_write(tls_, out_.data() + out_done_, static_cast<int>(out_.size() - out_done_));
    if (wrote > 0) {
      out_done_ += static_cast<std::size_t>(wrote);
      continue;
    }
    const int why = SSL_get_error(tls_, wrote);
    if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) return fail();
    if (!wants_write_) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLOUT;
      event.data.ptr = this;
      ::epoll_ctl(client_.epoll_, EPOLL_CTL_MOD, socket_, &event);
      wants_write_ = true;
    }
    return;
  }
  if (wants_write_) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = this;
    ::epoll_ctl(client_.epoll_, EPOLL_CTL_MOD, socket_, &event);
    wants_write_ = false;
  }
}

void Connection::readable() {
  do {
    const int got = SSL_read(tls_, client_.buffer_.data(), static_cast<int>(client_.buffer_.size()));
    if (got <= 0) {
      const int why = SSL_get_error(tls_, got);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
      if (stage_ == Stage::kUntilClose) {
        disconnect();
        return finish();
      }
      return fail();
    }
    take({client_.buffer_.data(), static_cast<std::size_t>(got)});
  } while (tls_ != nullptr && SSL_has_pending(tls_) == 1);
}

// True: the head is complete, and `data` is what follows it.
bool Connection::take_head(std::string_view& data) {
  const std::size_t before = line_.size();
  line_.append(data);
  const std::size_t end = line_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end == std::string::npos) return false;
  data.remove_prefix(end + 4 - before);
  line_.resize(end + 2);
  status_ = 0;
  if (line_.size() > 12) std::from_chars(line_.data() + 9, line_.data() + 12, status_);
  bool chunked = false;
  bool has_length = false;
  left_ = 0;
  close_after_ = false;
  std::string_view rest = line_;
  rest.remove_prefix(rest.find("\r\n") + 2);
  while (!rest.empty()) {
    const std::size_t line_end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(line_end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_letters(name, "content-length")) {
      std::from_chars(value.data(), value.data() + value.size(), left_);
      has_length = true;
    } else if (same_letters(name, "transfer-encoding")) {
      chunked = same_letters(value, "chunked");
    } else if (same_letters(name, "connection")) {
      close_after_ = same_letters(value, "close");
    }
  }
  line_.clear();
  body_.clear();
  body_bytes_ = 0;
  const bool no_body = status_ == 204 || status_ == 304;
  stage_ = chunked ? Stage::kChunkSize : has_length || no_body ? Stage::kFixedBody : Stage::kUntilClose;
  return true;
}

void Connection::take_body(std::string_view piece) {
  body_bytes_ += piece.size();
  if (on_data) {
    on_data(piece);
  } else if (keep_body) {
    body_.append(piece);
  }
}

void Connection::take(std::string_view data) {
  for (;;) {
    switch (stage_) {
      case Stage::kHead:
        if (!busy_ || data.empty() || !take_head(data)) return;
        if (stage_ == Stage::kFixedBody && left_ == 0) return finish();
        break;
      case Stage::kFixedBody:
      case Stage::kChunkData: {
        const std::string_view piece = data.substr(0, left_);
        if (piece.empty()) return;
        left_ -= piece.size();
        data.remove_prefix(piece.size());
        take_body(piece);
        if (left_ > 0) return;
        if (stage_ == Stage::kFixedBody) return finish();
        stage_ = Stage::kChunkEnd;
        left_ = 2;
        break;
      }
      case Stage::kChunkEnd: {
        const std::size_t skipped = std::min<std::size_t>(left_, data.size());
        left_ -= skipped;
        data.remove_prefix(skipped);
        if (left_ > 0) return;
        stage_ = Stage::kChunkSize;
        break;
      }
      case Stage::kChunkSize:
      case Stage::kTrailer: {
        const std::size_t end = data.find('\n');
        line_.append(data.substr(0, end));
        if (end == std::string_view::npos) return;
        data.remove_prefix(end + 1);
        const std::string line = std::exchange(line_, {});
        if (stage_ == Stage::kTrailer) {
          if (trimmed(line).empty()) return finish();
          break;
        }
        left_ = 0;
        std::from_chars(line.data(), line.data() + line.size(), left_, 16);
        stage_ = left_ == 0 ? Stage::kTrailer : Stage::kChunkData;
        break;
      }
      case Stage::kUntilClose:
        take_body(data);
        return;
    }
  }
}

void Connection::finish() {
  stage_ = Stage::kHead;
  busy_ = false;
  if (close_after_) disconnect();
  // The handler may send, which does not touch body_.
  if (on_answer) on_answer(*this, Answer{.status = status_, .body = body_, .body_bytes = body_bytes_});
}

// ----------------------------------------------------------------------------------------------------------- Client

Result<std::unique_ptr<Client>> Client::make(const Endpoint& endpoint) {
  std::unique_ptr<Client> client(new Client(endpoint));
  client->buffer_.resize(kReadBytes);
  client->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (client->epoll_ < 0) return Status(Code::kInternal, std::string("epoll_create1: ") + std::strerror(errno));
  ORLOP_TRY(client->prepare_tls());
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  client->fixed_headers_ = " HTTP/1.1\r\nHost: " + (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
                           std::to_string(endpoint.port) +
                           "\r\nUser-Agent: orlop-bench\r\nAccept: application/json\r\n";
  if (!endpoint.token.empty()) client->fixed_headers_ += "Authorization: Bearer " + endpoint.token + "\r\n";
  return client;
}

Status Client::prepare_tls() {
  context_ = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context_, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context_, 1);  // a record's head and body in one read()
  constexpr std::array<unsigned char, 9> kProtocols{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context_, kProtocols.data(), kProtocols.size());
  if (!endpoint_.insecure) {
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    if (endpoint_.ca_pem.empty()) {
      SSL_CTX_set_default_verify_paths(context_);
    } else {
      auto bio = memory_of(endpoint_.ca_pem);
      bool any = false;
      while (X509* authority = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority);
        X509_free(authority);
        any = true;
      }
      ERR_clear_error();  // the end of the text
      if (!any) return {Code::kBadRequest, "the server's CA is no PEM certificate"};
    }
  }
  if (endpoint_.cert_pem.empty()) return Status::ok();
  auto cert_bio = memory_of(endpoint_.cert_pem);
  X509* certificate = PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr);
  auto key_bio = memory_of(endpoint_.key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr);
  const bool fits = certificate != nullptr && key != nullptr && SSL_CTX_use_certificate(context_, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context_, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!fits) return {Code::kBadRequest, tls_error("the client's certificate and key cannot be used")};
  return Status::ok();
}

Client::~Client() {
  caller_.reset();
  connections_.clear();
  if (context_ != nullptr) SSL_CTX_free(context_);
  if (epoll_ >= 0) ::close(epoll_);
}

Status Client::open(std::size_t count) {
  while (connections_.size() < count) {
    auto connection = std::make_unique<Connection>(*this, connections_.size());
    ORLOP_TRY(connection->connect());
    connections_.push_back(std::move(connection));
  }
  return Status::ok();
}

void Client::close_all() {
  connections_.clear();
}

bool Client::run(const std::function<bool()>& done, Clock::time_point deadline) {
  std::array<epoll_event, 256> events;  // NOLINT: filled by epoll_wait
  while (!done()) {
    if (interrupted() || Clock::now() >= deadline) return false;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      const uint32_t what = events[static_cast<std::size_t>(i)].events;
      if ((what & EPOLLOUT) != 0 && connection->tls_ != nullptr) connection->flush();
      if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && connection->tls_ != nullptr) connection->readable();
    }
  }
  return true;
}

std::string Client::request(std::string_view method, std::string_view path, std::string_view body,
                            std::string_view content_type) const {
  std::string text;
  text.reserve(method.size() + path.size() + fixed_headers_.size() + body.size() + 80);
  text.append(method).append(" ").append(path).append(fixed_headers_);
  if (!body.empty()) {
    text.append("Content-Type: ").append(content_type).append("\r\nContent-Length: ");
    text.append(std::to_string(body.size())).append("\r\n");
  }
  return text.append("\r\n").append(body);
}

Result<Client::Reply> Client::call(std::string_view method, std::string_view path, std::string_view body,
                                   std::string_view content_type) {
  if (caller_ == nullptr) caller_ = std::make_unique<Connection>(*this, 0);
  // What arrived since the last call may be the server's goodbye.
  if (caller_->tls_ != nullptr) caller_->readable();
  if (caller_->tls_ == nullptr) ORLOP_TRY(caller_->connect());
  caller_->keep_body = true;
  Reply reply;
  bool answered = false;
  caller_->on_answer = [&](Connection&, const Answer& answer) {
    reply.status = answer.status;
    reply.body = answer.body;
    answered = true;
  };
  caller_->send(request(method, path, body, content_type));
  const bool in_time = run([&] { return answered; }, Clock::now() + std::chrono::seconds(60));
  caller_->on_answer = nullptr;
  if (!in_time || reply.status == 0) {
    caller_.reset();
    return Status(Code::kUnavailable, std::string(method) + " " + std::string(path) + ": no answer");
  }
  return reply;
}

}  // namespace orlop::bench
