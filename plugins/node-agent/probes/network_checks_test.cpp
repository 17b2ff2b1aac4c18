// Checks against servers of this test on loopback, on ports that the system picks.
#include "plugins/node-agent/probes/network_checks.hpp"

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

// Answers so many connections, each with the next text, and keeps what it was asked.
class OneByOneServer {
 public:
  explicit OneByOneServer(std::vector<std::string> answers)
      : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)), answers_(std::move(answers)) {
    thread_ = std::thread([this] {
      for (const std::string& answer : answers_) {
        tcp::socket socket = acceptor_.accept();
        std::string request;
        boost::system::error_code error;
        asio::read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", error);
        asked_ += request;
        asio::write(socket, asio::buffer(answer), error);
      }
    });
  }
  ~OneByOneServer() { thread_.join(); }
  [[nodiscard]] uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] std::string asked() { return asked_; }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::vector<std::string> answers_;
  std::string asked_;
  std::thread thread_;
};

class NetworkChecksTest : public ::testing::Test {
 protected:
  NetworkChecksTest() {
    checks_.start(now_ns, [] { return int64_t{0}; });
  }
  CheckResult run(decltype(Check::what) what, int64_t timeout_ms = 10'000) {
    std::promise<CheckResult> promise;
    checks_.run({std::move(what), "", timeout_ms}, [&](CheckResult result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  static HttpCheck http(uint16_t port) { return {false, "127.0.0.1", port, "/healthz", {}, "kube-probe/1.32"}; }

  NetworkChecks checks_;
};

uint16_t closed_port() {
  asio::io_context io;
  tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  return acceptor.local_endpoint().port();
}

TEST_F(NetworkChecksTest, HttpAnswers) {
  {
    OneByOneServer server({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"});
    HttpCheck check = http(server.port());
    check.headers = {{"X-One", "1"}, {"Host", "web.example"}};
    const CheckResult result = run(check);
    EXPECT_EQ(result.outcome, CheckOutcome::kSuccess) << result.output;
    EXPECT_EQ(result.output, "ok");
    EXPECT_NE(server.asked().find("GET /healthz HTTP/1.1\r\n"), std::string::npos);
    EXPECT_NE(server.asked().find("Host: web.example\r\n"), std::string::npos);
    EXPECT_NE(server.asked().find("User-Agent: kube-probe/1.32\r\n"), std::string::npos);
    EXPECT_NE(server.asked().find("X-One: 1\r\n"), std::string::npos);
  }
  OneByOneServer server({"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"});
  const CheckResult result = run(http(server.port()));
  EXPECT_EQ(result.outcome, CheckOutcome::kFailure);
  EXPECT_EQ(result.output, "HTTP probe failed with statuscode: 503");
}

TEST_F(NetworkChecksTest, RedirectsWithinTheHostAreFollowedAndOthersAreAWarning) {
  {
    OneByOneServer server({"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
                           "HTTP/1.0 200 OK\r\n\r\n" + std::string(100'000, 'x')});
    const CheckResult result = run(http(server.port()));
    EXPECT_EQ(result.outcome, CheckOutcome::kSuccess) << result.output;
    EXPECT_EQ(result.output.size(), 10u * 1024);
    EXPECT_NE(server.asked().find("GET /other"), std::string::npos);
  }
  OneByOneServer server({"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 4\r\n\r\ngone"});
  const CheckResult result = run(http(server.port()));
  EXPECT_EQ(result.outcome, CheckOutcome::kWarning);
  EXPECT_EQ(result.output, "Probe terminated redirects, Response body: gone");
}

TEST_F(NetworkChecksTest, NobodyThere) {
  const std::string port = std::to_string(closed_port());
  const auto number = static_cast<uint16_t>(std::stoi(port));
  EXPECT_EQ(run(http(number)).output, "Get \"http://127.0.0.1:" + port + "/healthz\": dial tcp 127.0.0.1:" + port +
                                          ": connect: connection refused");
  EXPECT_EQ(run(TcpCheck{"127.0.0.1", number}).output, "dial tcp 127.0.0.1:" + port + ": connect: connection refused");
  EXPECT_EQ(run(GrpcCheck{"127.0.0.1", number, ""}).outcome, CheckOutcome::kFailure);
}

TEST_F(NetworkChecksTest, WhoeverTakesConnectionsAndSaysNothing) {
  asio::io_context io;
  tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const uint16_t port = acceptor.local_endpoint().port();
  EXPECT_EQ(run(TcpCheck{"127.0.0.1", port}).outcome, CheckOutcome::kSuccess);
  const CheckResult http_result = run(http(port), 50);
  EXPECT_EQ(http_result.outcome, CheckOutcome::kFailure);
  EXPECT_NE(http_result.output.find("context deadline exceeded"), std::string::npos);
  EXPECT_EQ(run(GrpcCheck{"127.0.0.1", port, "x"}, 50).output, "timeout: health rpc did not complete within 50ms");
}

TEST(NetworkAlarmTest, TheEarliestMomentCounts) {
  NetworkChecks checks;
  std::promise<void> rang;
  checks.start(now_ns, [&] {
    rang.set_value();
    return int64_t{0};
  });
  checks.wake_at(now_ns() + 3'600'000'000'000);
  checks.wake_at(now_ns() + 1'000'000);
  rang.get_future().get();
}

}  // namespace
}  // namespace orlop::agent
