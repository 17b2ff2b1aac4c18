#include "plugins/api-kubernetes/auth/pki.hpp"
#include "plugins/api-kubernetes/http/gzip.hpp"
#include "plugins/api-kubernetes/http/server.hpp"

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace orlop::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(20);

// Answers by path; what a test needs to see of the handler's inside is in its fields.
class TestHandler final : public Handler {
 public:
  Task<void> handle(Exchange& exchange) override {
    const Request& request = exchange.request();
    if (request.path == "/echo") {
      std::string who = request.peer->presented ? request.peer->common_name : "nobody";
      exchange.respond(200, "text/plain", std::string(request.method) + " " + who + " " + request.body);
    } else if (request.path == "/large") {
      exchange.respond(200, "text/plain", std::string(1 << 20, 'x'));
    } else if (request.path == "/stream") {
      exchange.begin(200, "text/plain", false);
      for (int i = 0; i < 3; ++i) {
        std::string piece = "piece " + std::to_string(i) + "\n";
        bool sent = co_await exchange.write(piece);
        if (!sent) co_return;
      }
    } else if (request.path == "/pending") {
      Pending<std::string> pending(exchange);
      std::thread setter([&pending] { pending.set("from another thread"); });
      std::string value = co_await pending;
      setter.join();
      exchange.respond(200, "text/plain", value);
    } else if (request.path == "/throw") {
      throw std::runtime_error("on purpose");
    } else if (request.path == "/tunnel") {
      BackendAddress backend{"", "127.0.0.1", backend_port};
      std::string head = "GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n";
      bool done = co_await exchange.tunnel(backend, head);
      if (!done) exchange.respond(502, "text/plain", "no backend");
    } else if (request.path == "/wait") {
      exchange.begin(200, "text/plain", true);
      std::string first = "waiting\n";
      bool open = co_await exchange.write(first);
      while (open) {
        Wake wake = co_await exchange.wait_until(Exchange::Clock::now() + kPatience);
        if (wake == Wake::kGone) break;
      }
      std::lock_guard lock(mutex);
      left = true;
      changed.notify_all();
    } else {
      exchange.respond(404, "text/plain", "no");
    }
  }
  void refuse(Exchange& exchange, int status, std::string_view message) override {
    exchange.respond(status, "text/plain", std::string(message));
  }

  uint16_t backend_port = 0;
  std::mutex mutex;
  std::condition_variable changed;
  bool left = false;
};

class Client {
 public:
  explicit Client(uint16_t port, const auth::KeyPair* identity = nullptr) {
    tls_.set_verify_mode(asio::ssl::verify_none);
    if (identity != nullptr) {
      tls_.use_certificate(asio::buffer(identity->certificate), asio::ssl::context::pem);
      tls_.use_private_key(asio::buffer(identity->key), asio::ssl::context::pem);
    }
    stream_.emplace(context_, tls_);
    stream_->next_layer().connect({asio::ip::address_v4::loopback(), port});
    stream_->handshake(asio::ssl::stream_base::client);
  }
  void send(const std::string& bytes) {
    boost::system::error_code error;
    asio::write(*stream_, asio::buffer(bytes), error);
  }
  // One answer with a Content-Length, or everything up to the end of the connection or `until`.
  std::string read(const std::string& until = {}) {
    boost::system::error_code error;
    std::array<char, 16384> piece{};
    while (!error) {
      if (!until.empty() && received_.find(until) != std::string::npos) break;
      size_t head = received_.find("\r\n\r\n");
      size_t at = received_.find("Content-Length: ");
      if (until.empty() && head != std::string::npos && at < head) {
        size_t size = head + 4 + std::stoul(received_.substr(at + 16));
        if (received_.size() >= size) {
          std::string answer = received_.substr(0, size);
          received_.erase(0, size);
          return answer;
        }
      }
      received_.append(piece.data(), stream_->read_some(asio::buffer(piece), error));
    }
    return std::exchange(received_, {});
  }
  std::string ask(const std::string& request) {
    send(request);
    return read();
  }
  void close() { stream_->next_layer().close(); }

 private:
  asio::io_context context_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::optional<asio::ssl::stream<tcp::socket>> stream_;
  std::string received_;
};

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto now = std::chrono::system_clock::now();
    auto day = std::chrono::hours(24);
    authority_ = *auth::make_authority("test", now - day, now + day);
    auth::CertificateSpec spec;
    spec.common_name = "server";
    spec.server = true;
    spec.addresses = {"127.0.0.1"};
    spec.not_before = now - day;
    spec.not_after = now + day;
    serving_ = *auth::make_certificate(authority_, spec);
    spec.server = false;
    spec.addresses.clear();
    spec.common_name = "jane";
    client_ = *auth::make_certificate(authority_, spec);
    options_.address = "127.0.0.1";
    options_.port = 0;
    options_.threads = 2;
    options_.body_bytes_max = 64 * 1024;
  }
  void start() {
    server_ = std::make_unique<Server>(options_, handler_);
    auto tls = TlsContext::make(serving_.certificate, serving_.key, authority_.certificate);
    ASSERT_TRUE(tls) << tls.message();
    Status started = server_->start(*tls);
    ASSERT_TRUE(started) << started.message();
  }

  auth::KeyPair authority_, serving_, client_;
  ServerOptions options_;
  TestHandler handler_;
  std::unique_ptr<Server> server_;
};

TEST_F(HttpTest, AnswersSeveralRequestsOnOneConnection) {
  start();
  Client client(server_->port());
  EXPECT_THAT(client.ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("GET nobody "));
  EXPECT_THAT(client.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
              HasSubstr("POST nobody hello"));
  EXPECT_THAT(client.ask("GET /none HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("HTTP/1.1 404 Not Found"));
}

TEST_F(HttpTest, APortInUseCanBeTriedAgain) {
  start();
  options_.port = server_->port();
  TestHandler handler;
  Server second(options_, handler);
  auto tls = TlsContext::make(serving_.certificate, serving_.key, authority_.certificate);
  const Status refused = second.start(*tls);
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_EQ(refused.message(),
            "cannot listen on 127.0.0.1:" + std::to_string(options_.port) + ": Address already in use");
  server_.reset();
  EXPECT_TRUE(second.start(*tls));
}

TEST_F(HttpTest, KnowsTheClientByItsCertificate) {
  start();
  Client client(server_->port(), &client_);
  EXPECT_THAT(client.ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("GET jane "));
}

TEST_F(HttpTest, RefusesLargeBodiesAndNonsense) {
  start();
  Client large(server_->port());
  EXPECT_THAT(large.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + std::string(70000, 'x')),
              HasSubstr("HTTP/1.1 413 Request Entity Too Large"));
  Client nonsense(server_->port());
  EXPECT_THAT(nonsense.ask("what is this\r\n\r\n"), HasSubstr("HTTP/1.1 400 Bad Request"));
}

TEST_F(HttpTest, StreamsInChunks) {
  start();
  Client client(server_->port());
  client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string answer = client.read("0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(answer, HasSubstr("8\r\npiece 2\n\r\n"));
}

TEST_F(HttpTest, CompressesLargeAnswersWhereAsked) {
  options_.compress_on_loopback = true;
  start();
  Client client(server_->port());
  std::string answer = client.ask("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_THAT(answer.substr(0, 300), HasSubstr("Content-Encoding: gzip"));
  EXPECT_EQ(gunzip(answer.substr(answer.find("\r\n\r\n") + 4), 2 << 20), std::string(1 << 20, 'x'));
  EXPECT_EQ(client.ask("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").size() >> 20, 1u);
}

TEST_F(HttpTest, ResumesFromAnotherThread) {
  start();
  Client client(server_->port());
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(client.ask("GET /pending HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("from another thread"));
  }
}

TEST_F(HttpTest, AFailingHandlerIsAnInternalError) {
  start();
  Client client(server_->port());
  EXPECT_THAT(client.ask("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("HTTP/1.1 500 Internal Server Error"));
  EXPECT_THAT(client.ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("GET nobody"));
}

TEST_F(HttpTest, NoticesThatALongReaderLeft) {
  start();
  Client client(server_->port());
  client.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  client.read("waiting");
  client.close();
  std::unique_lock lock(handler_.mutex);
  EXPECT_TRUE(handler_.changed.wait_for(lock, kPatience, [this] { return handler_.left; }));
}

TEST_F(HttpTest, StopEndsWhatIsOpen) {
  start();
  Client client(server_->port());
  client.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  client.read("waiting");
  server_->stop();
  EXPECT_TRUE(handler_.left);
}

TEST_F(HttpTest, TunnelsOnlyAfterTheBackendSwitched) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  handler_.backend_port = acceptor.local_endpoint().port();
  start();
  std::thread backend([&] {
    for (bool switches : {true, false}) {
      tcp::socket socket = acceptor.accept();
      std::string head(1024, '\0');
      socket.read_some(asio::buffer(head));
      boost::system::error_code error;
      if (switches) {
        asio::write(socket, asio::buffer(std::string("HTTP/1.1 101 Switching Protocols\r\n\r\n")), error);
        std::array<char, 5> bytes{};
        asio::read(socket, asio::buffer(bytes), error);
        asio::write(socket, asio::buffer("got " + std::string(bytes.data(), bytes.size())), error);
      } else {
        asio::write(socket, asio::buffer(std::string("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")), error);
      }
    }
  });
  Client client(server_->port());
  client.send("GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read("\r\n\r\n"), HasSubstr("101 Switching Protocols"));
  client.send("hello");
  EXPECT_THAT(client.read("got hello"), HasSubstr("got hello"));
  Client refused(server_->port());
  EXPECT_THAT(refused.ask("GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("403 Forbidden"));
  backend.join();
}

TEST(Url, DecodesQueries) {
  Query query = Query::parse("a=1&b=x%20y+z&watch&c=%zz");
  EXPECT_EQ(query.get("a"), "1");
  EXPECT_EQ(query.get("b"), "x y z");
  EXPECT_TRUE(query.flag("watch"));
  EXPECT_FALSE(query.flag("absent"));
  EXPECT_EQ(query.get("c"), "%zz");
}

}  // namespace
}  // namespace orlop::http
