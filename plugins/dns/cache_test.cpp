#include "plugins/dns/cache.hpp"

#include "plugins/dns/test_packets.hpp"
#include "plugins/dns/upstream.hpp"

#include <random>
#include <sstream>

#include <gtest/gtest.h>

namespace orlop::dns {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

Response with_address(uint32_t ttl) {
  Response out;
  out.answer.push_back({{}, type::kA, kClassIn, ttl, std::string("\1\2\3\4")});
  return out;
}

Response none(uint32_t minimum) {
  Response out;
  out.rcode = Rcode::kNxDomain;
  std::string rdata(22, '\0');
  rdata[21] = static_cast<char>(minimum);
  out.authority.push_back({*name_of("example.com"), type::kSoa, kClassIn, 3600, rdata});
  return out;
}

TEST(Cache, KeepsAsLongAsTheRecordsSay) {
  Cache cache({});
  cache.put("a", with_address(10), 0);
  const auto found = cache.find("a", 4 * kSecond);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->answer[0].ttl, 6u);
  EXPECT_FALSE(cache.find("a", 10 * kSecond));
  EXPECT_EQ(cache.size(), 0u);
  cache.put("b", with_address(0), 0);
  EXPECT_FALSE(cache.find("b", 0));
}

TEST(Cache, KeepsWhatIsNotThere) {
  Cache cache({});
  cache.put("a", none(20), 0);
  EXPECT_EQ(cache.find("a", 19 * kSecond)->rcode, Rcode::kNxDomain);
  EXPECT_FALSE(cache.find("a", 20 * kSecond));
  cache.put("b", none(200), 0);
  EXPECT_FALSE(cache.find("b", 30 * kSecond));
  Response without_soa;
  without_soa.rcode = Rcode::kNxDomain;
  cache.put("c", without_soa, 0);
  EXPECT_FALSE(cache.find("c", 0));
  Response failed = with_address(10);
  failed.rcode = Rcode::kServFail;
  cache.put("d", failed, 0);
  EXPECT_FALSE(cache.find("d", 0));
}

TEST(Cache, IsBounded) {
  CacheSettings settings;
  settings.entries_most = 2;
  Cache cache(settings);
  cache.put("a", with_address(10), 0);
  cache.put("b", with_address(10), 0);
  cache.find("a", 0);
  cache.put("c", with_address(10), 0);
  EXPECT_TRUE(cache.find("a", 0));
  EXPECT_FALSE(cache.find("b", 0));
  EXPECT_EQ(cache.size(), 2u);
}

TEST(Upstream, Servers) {
  EXPECT_EQ(*server_of("10.0.0.2"), (Server{"10.0.0.2", 53}));
  EXPECT_EQ(*server_of("10.0.0.2:5353"), (Server{"10.0.0.2", 5353}));
  EXPECT_EQ(*server_of("fd00::1"), (Server{"fd00::1", 53}));
  EXPECT_EQ(*server_of("[fd00::1]:54"), (Server{"fd00::1", 54}));
  for (const char* text : {"", "name", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:99999", "[fd00::1"}) {
    EXPECT_FALSE(server_of(text)) << text;
  }
  std::istringstream file("# nameserver 1.1.1.1\nsearch x\nnameserver 10.0.0.2\nnameserver\nnameserver fd00::1\n");
  EXPECT_EQ(servers_of(file), (std::vector<Server>{{"10.0.0.2", 53}, {"fd00::1", 53}}));
}

TEST(Upstream, OnlyTheAnswerToTheQuestionIsTaken) {
  Query query;
  query.id = 7;
  query.has_question = true;
  query.question = testing::question_of("www.example.com", type::kA);
  query.question.wire = query.question.key + std::string("\0\1\0\1", 4);
  std::string packet;
  write_response(query, with_address(60), 512, packet);
  const auto received = read_response(packet, 7, query.question);
  ASSERT_TRUE(received);
  ASSERT_EQ(received->response.answer.size(), 1u);
  EXPECT_EQ(received->response.answer[0], with_address(60).answer[0]);
  EXPECT_FALSE(read_response(packet, 8, query.question));
  EXPECT_FALSE(read_response(packet, 7, testing::question_of("www.example.org", type::kA)));
  EXPECT_FALSE(read_response(packet, 7, testing::question_of("www.example.com", type::kAaaa)));
}

TEST(Upstream, RandomAnswers) {
  Query query;
  query.id = 7;
  query.has_question = true;
  query.question = testing::question_of("www.example.com", type::kA);
  query.question.wire = query.question.key + std::string("\0\1\0\1", 4);
  std::string good;
  write_response(query, with_address(60), 512, good);
  std::mt19937 random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string packet = good;
    for (unsigned n = random() % 6 + 1; n > 0; --n) packet[random() % packet.size()] = static_cast<char>(random());
    (void)read_response(packet, 7, query.question);
  }
}

}  // namespace
}  // namespace orlop::dns
