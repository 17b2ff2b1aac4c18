// The server and the forwarder over real sockets on 127.0.0.1, each at a port that the kernel chose.
#include "plugins/dns/server.hpp"

#include "plugins/dns/records.hpp"
#include "plugins/dns/test_packets.hpp"

#include <array>
#include <functional>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::dns {
namespace {

namespace asio = boost::asio;
using ::testing::ElementsAre;
using testing::packet_of;
using udp = asio::ip::udp;
using tcp = asio::ip::tcp;

const auto kLoopback = asio::ip::make_address("127.0.0.1");

// Another DNS server, which says what the test wants.
class Elsewhere {
 public:
  using Say = std::function<std::string(const Query&)>;  // empty: nothing
  Elsewhere(asio::io_context& io, Say say) : socket_(io, udp::endpoint(kLoopback, 0)), say_(std::move(say)) { read(); }
  [[nodiscard]] Server server() const { return {"127.0.0.1", socket_.local_endpoint().port()}; }
  int asked = 0;

 private:
  void read() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](const auto& error, size_t bytes) {
      if (error) return;
      ++asked;
      Query query;
      EXPECT_EQ(read_query({buffer_.data(), bytes}, query), Verdict::kGood);
      const std::string answer = say_(query);
      if (!answer.empty()) socket_.send_to(asio::buffer(answer), from_);
      read();
    });
  }
  udp::socket socket_;
  udp::endpoint from_;
  std::array<char, 4096> buffer_{};
  Say say_;
};

std::string address_answer(const Query& query, Rcode rcode = Rcode::kNoError) {
  Response response;
  response.rcode = rcode;
  if (rcode == Rcode::kNoError && query.question.type == type::kA) {
    response.answer.push_back({{}, type::kA, kClassIn, 60, std::string("\1\2\3\4")});
  }
  std::string out;
  write_response(query, response, 1232, out);
  return out;
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest()
      : answers_(zone_, AnswerSettings{}),
        forwarder_(
            io_, settings(), [] { return int64_t{0}; }, [this] { looped_ = true; }),
        server_(io_, answers_, forwarder_) {
    zone_.set("zone", zone_records("cluster.local", "10.96.0.10", 1, 5));
    Service service;
    service.mutable_metadata()->set_name("out");
    service.mutable_metadata()->set_namespace_("default");
    service.mutable_spec()->set_type("ExternalName");
    service.mutable_spec()->set_externalname("www.example.com");
    zone_.set("out", service_records("cluster.local", service, {}));
    EXPECT_TRUE(server_.listen("127.0.0.1", 0).is_ok());
  }

  static ForwardSettings settings() {
    ForwardSettings out;
    out.attempt = std::chrono::milliseconds(50);
    return out;
  }

  // Until `done`, with an end for a test that would hang.
  void run_until(const std::function<bool()>& done) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      io_.run_one_for(std::chrono::milliseconds(20));
    }
  }

  testing::Read ask(const std::string& packet) {
    udp::socket client(io_, udp::endpoint(kLoopback, 0));
    client.send_to(asio::buffer(packet), udp::endpoint(kLoopback, server_.port()));
    std::array<char, 4096> buffer{};
    size_t got = 0;
    bool done = false;
    client.async_receive(asio::buffer(buffer), [&](const auto&, size_t bytes) {
      got = bytes;
      done = true;
    });
    run_until([&] { return done; });
    return testing::read({buffer.data(), got});
  }

  bool looped_ = false;
  asio::io_context io_{1};
  Zone zone_;
  Answers answers_;
  Forwarder forwarder_;
  DnsServer server_;
};

TEST_F(ServerTest, AnswersOverUdp) {
  EXPECT_EQ(ask(packet_of("dns-version.cluster.local", type::kTxt)).answer.size(), 1u);
  EXPECT_EQ(ask(packet_of("none.cluster.local", type::kTxt)).rcode, LDNS_RCODE_NXDOMAIN);
}

TEST_F(ServerTest, AnswersOverTcpOneAfterAnother) {
  tcp::socket client(io_);
  client.connect(tcp::endpoint(kLoopback, server_.port()));
  const std::string packet = packet_of("dns-version.cluster.local", type::kTxt);
  std::string sent{static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size() & 0xff)};
  sent += packet;
  asio::write(client, asio::buffer(sent + sent));
  for (int i = 0; i < 2; ++i) {
    std::string got(2, '\0');
    bool done = false;
    asio::async_read(client, asio::buffer(got), [&](const auto&, size_t) { done = true; });
    run_until([&] { return done; });
    got.resize(static_cast<size_t>(static_cast<uint8_t>(got[0])) << 8 | static_cast<uint8_t>(got[1]));
    done = false;
    asio::async_read(client, asio::buffer(got), [&](const auto&, size_t) { done = true; });
    run_until([&] { return done; });
    EXPECT_EQ(testing::read(got).answer.size(), 1u);
  }
}

TEST_F(ServerTest, ForwardsAndRemembers) {
  Elsewhere elsewhere(io_, [](const Query& query) { return address_answer(query); });
  forwarder_.set_servers({elsewhere.server()});
  for (int i = 0; i < 3; ++i) {
    const auto got = ask(packet_of("Www.example.com", type::kA, i == 1));
    EXPECT_THAT(got.answer, ElementsAre("Www.example.com. 60 IN A 1.2.3.4"));
    EXPECT_FALSE(got.authoritative);
  }
  EXPECT_EQ(elsewhere.asked, 2);  // the probe is one
}

TEST_F(ServerTest, FollowsAnExternalName) {
  Elsewhere elsewhere(io_, [](const Query& query) { return address_answer(query); });
  forwarder_.set_servers({elsewhere.server()});
  EXPECT_THAT(
      ask(packet_of("out.default.svc.cluster.local", type::kA)).answer,
      ElementsAre("out.default.svc.cluster.local. 5 IN CNAME www.example.com.", "www.example.com. 60 IN A 1.2.3.4"));
}

TEST_F(ServerTest, TheNextServerWhenOneFails) {
  Elsewhere silent(io_, [](const Query&) { return std::string(); });
  Elsewhere failing(io_, [](const Query& query) { return address_answer(query, Rcode::kServFail); });
  Elsewhere good(io_, [](const Query& query) { return address_answer(query); });
  forwarder_.set_servers({silent.server(), failing.server(), good.server()});
  EXPECT_EQ(ask(packet_of("www.example.com", type::kA)).rcode, 0);
  const int asked = silent.asked;
  EXPECT_EQ(ask(packet_of("www.example.org", type::kA)).rcode, 0);
  EXPECT_EQ(silent.asked, asked);  // the good one is the first now
}

TEST_F(ServerTest, ForgedAnswersAreNotTaken) {
  Elsewhere elsewhere(io_, [](const Query& query) {
    Query other = query;
    ++other.id;
    return address_answer(other);
  });
  forwarder_.set_servers({elsewhere.server()});
  EXPECT_EQ(ask(packet_of("www.example.com", type::kA)).rcode, LDNS_RCODE_SERVFAIL);
}

TEST_F(ServerTest, WithoutEdnsWhereItIsNotKnown) {
  Elsewhere elsewhere(
      io_, [](const Query& query) { return address_answer(query, query.edns ? Rcode::kFormErr : Rcode::kNoError); });
  forwarder_.set_servers({elsewhere.server()});
  EXPECT_EQ(ask(packet_of("www.example.com", type::kA)).answer.size(), 1u);
}

TEST_F(ServerTest, WithoutServersItFailsAtOnce) {
  EXPECT_EQ(ask(packet_of("www.example.com", type::kA)).rcode, LDNS_RCODE_SERVFAIL);
}

TEST_F(ServerTest, FindsALoop) {
  forwarder_.set_servers({{"127.0.0.1", server_.port()}});
  run_until([&] { return looped_; });
  EXPECT_EQ(ask(packet_of("www.example.com", type::kA)).rcode, LDNS_RCODE_SERVFAIL);
}

TEST_F(ServerTest, AnAddressThatIsTaken) {
  DnsServer second(io_, answers_, forwarder_);
  EXPECT_EQ(second.listen("127.0.0.1", server_.port()).code(), Code::kConflict);
  EXPECT_EQ(second.listen("nowhere", 0).code(), Code::kInvalid);
}

}  // namespace
}  // namespace orlop::dns
