#include "plugins/dns/server.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <netinet/in.h>
#include <sys/socket.h>

namespace orlop::dns {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kBatch = 64;            // datagrams read with one call
constexpr size_t kDatagramBytes = 4096;  // a question that is longer is cut off, and so malformed
constexpr int kBatchesAtOnce = 16;       // then others have their turn
constexpr int kReceiveBufferBytes = 4 << 20;
constexpr size_t kSessionsMost = 256;
constexpr std::chrono::seconds kIdle(10);

template <typename Socket>
void allow_future_address(Socket& socket, error_code& error) {
  const int on = 1;
  if (::setsockopt(socket.native_handle(), IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) != 0) {
    error.assign(errno, boost::system::system_category());
  }
}

}  // namespace

struct DnsServer::Batch {
  std::array<std::array<char, kDatagramBytes>, kBatch> in;
  std::array<std::string, kBatch> out;
  std::array<sockaddr_storage, kBatch> from;
  std::array<iovec, kBatch> in_vectors;
  std::array<iovec, kBatch> out_vectors;
  std::array<mmsghdr, kBatch> in_headers;
  std::array<mmsghdr, kBatch> out_headers;
};

// One connection: question after question, each answered before the next is read.
struct DnsServer::Session : std::enable_shared_from_this<DnsServer::Session> {
  Session(DnsServer& owner, asio::ip::tcp::socket connection)
      : server(owner),
        alive(owner.alive_),
        sessions(owner.sessions_),
        socket(std::move(connection)),
        timer(socket.get_executor()) {
    ++*sessions;
  }
  ~Session() { --*sessions; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    timer.expires_after(kIdle);
    timer.async_wait([self = shared_from_this()](const error_code& error) {
      error_code ignored;
      if (!error) self->socket.close(ignored);
    });
    message.resize(2);
    asio::async_read(socket, asio::buffer(message), [self = shared_from_this()](const error_code& error, size_t) {
      if (error) return self->end();
      self->message.resize(static_cast<size_t>(static_cast<uint8_t>(self->message[0])) << 8 |
                           static_cast<uint8_t>(self->message[1]));
      asio::async_read(self->socket, asio::buffer(self->message), [self](const error_code& failed, size_t) {
        if (failed || !*self->alive) return self->end();
        self->answer();
      });
    });
  }

  void answer() {
    std::string out;
    switch (server.answers_.answer(message, false, asked, out)) {
      case Fate::kDrop:
        return end();
      case Fate::kAnswered:
        return write(out);
      case Fate::kForward:
        return server.onward(asked, false, [self = shared_from_this()](const std::string& late) { self->write(late); });
    }
  }

  void write(const std::string& packet) {
    message = {static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size() & 0xff)};
    message += packet;
    asio::async_write(socket, asio::buffer(message), [self = shared_from_this()](const error_code& error, size_t) {
      if (error || !*self->alive) return self->end();
      self->read();
    });
  }

  void end() {
    timer.cancel();
    error_code ignored;
    socket.close(ignored);
  }

  DnsServer& server;  // to be used while alive
  std::shared_ptr<bool> alive;
  std::shared_ptr<size_t> sessions;
  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  std::string message;
  Asked asked;
};

DnsServer::DnsServer(asio::io_context& io, Answers& answers, Forwarder& forwarder)
    : io_(io),
      answers_(answers),
      forwarder_(forwarder),
      udp_(io),
      acceptor_(io),
      batch_(std::make_unique<Batch>()),
      sessions_(std::make_shared<size_t>(0)),
      alive_(std::make_shared<bool>(true)) {}

DnsServer::~DnsServer() {
  *alive_ = false;
  error_code ignored;
  udp_.close(ignored);
  acceptor_.close(ignored);
}

Status DnsServer::listen(const std::string& address, uint16_t port) {
  error_code error;
  const auto at = asio::ip::make_address_v4(address, error);
  if (error) return {Code::kInvalid, "\"" + address + "\" is no IPv4 address"};
  const auto bind = [&](auto& socket, const auto& endpoint) {
    error_code failed;
    socket.close(failed);
    socket.open(endpoint.protocol(), failed);
    if (!failed) allow_future_address(socket, failed);
    if (!failed) socket.bind(endpoint, failed);
    if (!failed) socket.non_blocking(true, failed);
    return failed;
  };
  error = bind(udp_, asio::ip::udp::endpoint(at, port));
  if (!error) {
    error_code ignored;
    udp_.set_option(asio::socket_base::receive_buffer_size(kReceiveBufferBytes), ignored);
    const asio::ip::tcp::endpoint endpoint(at, udp_.local_endpoint().port());
    acceptor_.close(ignored);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) allow_future_address(acceptor_, error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(64, error);
  }
  if (error) {
    error_code ignored;
    udp_.close(ignored);
    acceptor_.close(ignored);
    return {Code::kConflict, "cannot listen at " + address + ":" + std::to_string(port) + ": " + error.message()};
  }
  wait_udp();
  accept();
  return Status::ok();
}

uint16_t DnsServer::port() const {
  error_code ignored;
  return udp_.local_endpoint(ignored).port();
}

void DnsServer::wait_udp() {
  udp_.async_wait(asio::ip::udp::socket::wait_read, [this, alive = alive_](const error_code& error) {
    if (error || !*alive) return;
    for (int i = 0; i < kBatchesAtOnce && read_udp(); ++i) continue;
    wait_udp();
  });
}

// True: there may be more.
bool DnsServer::read_udp() {
  Batch& batch = *batch_;
  for (size_t i = 0; i < kBatch; ++i) {
    batch.in_vectors[i] = {batch.in[i].data(), kDatagramBytes};
    batch.in_headers[i] = {};
    batch.in_headers[i].msg_hdr.msg_name = &batch.from[i];
    batch.in_headers[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    batch.in_headers[i].msg_hdr.msg_iov = &batch.in_vectors[i];
    batch.in_headers[i].msg_hdr.msg_iovlen = 1;
  }
  const int got = ::recvmmsg(udp_.native_handle(), batch.in_headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  unsigned answered = 0;
  for (int n = 0; n < got; ++n) {
    const auto i = static_cast<size_t>(n);
    const std::string_view packet(batch.in[i].data(), batch.in_headers[i].msg_len);
    const Fate fate = answers_.answer(packet, true, asked_, batch.out[answered]);
    if (fate == Fate::kForward) {
      sockaddr_storage to = batch.from[i];
      const socklen_t bytes = batch.in_headers[i].msg_hdr.msg_namelen;
      onward(asked_, true, [this, to, bytes](const std::string& late) {
        ::sendto(udp_.native_handle(), late.data(), late.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to),
                 bytes);
      });
    }
    if (fate != Fate::kAnswered) continue;
    batch.out_vectors[answered] = {batch.out[answered].data(), batch.out[answered].size()};
    mmsghdr& header = batch.out_headers[answered];
    header = {};
    header.msg_hdr.msg_name = &batch.from[i];
    header.msg_hdr.msg_namelen = batch.in_headers[i].msg_hdr.msg_namelen;
    header.msg_hdr.msg_iov = &batch.out_vectors[answered];
    header.msg_hdr.msg_iovlen = 1;
    ++answered;
  }
  // What the kernel does not take is lost, as a datagram may be: the asker asks again. One that cannot be sent ends
  // the call; those behind it go out.
  for (unsigned sent = 0; sent < answered;) {
    const int now = ::sendmmsg(udp_.native_handle(), batch.out_headers.data() + sent, answered - sent, MSG_DONTWAIT);
    sent += now > 0 ? static_cast<unsigned>(now) : 1;
  }
  return got == static_cast<int>(kBatch);
}

void DnsServer::accept() {
  acceptor_.async_accept([this, alive = alive_](const error_code& error, asio::ip::tcp::socket socket) {
    if (!*alive || !acceptor_.is_open()) return;
    if (!error && *sessions_ < kSessionsMost) std::make_shared<Session>(*this, std::move(socket))->read();
    if (error) {  // no descriptor is free: not again at once
      auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(100));
      timer->async_wait([this, alive, timer](const error_code&) {
        if (*alive) accept();
      });
      return;
    }
    accept();
  });
}

void DnsServer::onward(const Asked& asked, bool udp, const std::function<void(const std::string&)>& send) {
  std::string out;
  if (forwarder_.is_probe(asked.onward) || !asked.query.recursion) {
    Response refused;
    refused.rcode = asked.query.recursion ? Rcode::kServFail : Rcode::kRefused;
    write_response(asked.query, refused, bytes_most(asked.query, udp), out);
    return send(out);
  }
  const bool chased = !asked.before.empty();
  const Query& query = asked.query;
  forwarder_.resolve(asked.onward, query.dnssec_ok, query.checking_disabled,
                     [alive = alive_, query, udp, send, chased, before = asked.before,
                      target = asked.onward.key](const Response& found) {
                       if (!*alive) return;
                       Response response = found;
                       if (chased) {
                         // Here the name that was asked is another one.
                         for (Record& record : response.answer) {
                           if (record.owner.empty()) record.owner = target;
                         }
                         for (Record& record : response.authority) {
                           if (record.owner.empty()) record.owner = target;
                         }
                         response.answer.insert(response.answer.begin(), before.begin(), before.end());
                       }
                       std::string packet;
                       write_response(query, response, bytes_most(query, udp), packet);
                       send(packet);
                     });
}

}  // namespace orlop::dns
