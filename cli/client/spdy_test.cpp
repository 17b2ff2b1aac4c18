#include "cli/client/spdy.hpp"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::client {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;

class SpdyTest : public testing::Test {
 protected:
  std::string receive(const std::string& bytes) {
    return streams_.receive(
        bytes, [this](Channel channel, std::string_view data) { got_.emplace_back(channel, std::string(data)); });
  }

  SpdyStreams streams_{{Channel::kStatus, Channel::kOutput, Channel::kInput}};
  std::vector<std::pair<Channel, std::string>> got_;
};

TEST_F(SpdyTest, OpensAStreamForEach) {
  const std::string opened = streams_.open();
  EXPECT_THAT(opened, StartsWith("\x80\x03\0\1\0\0\0\x31\0\0\0\1\0\0\0\0\0\0\x78\x01\0"s));
  EXPECT_THAT(opened, testing::HasSubstr("\0\0\0\1\0\0\0\nstreamtype\0\0\0\5error\0\0\0\xff\xff"s));
  EXPECT_THAT(opened, testing::HasSubstr("\x80\x03\0\1\0\0\0\x30\0\0\0\3"s));
  EXPECT_THAT(opened, testing::HasSubstr("\0\0\0\5stdin"s));
}

TEST_F(SpdyTest, SendsDataAndItsEnd) {
  EXPECT_EQ(streams_.data(Channel::kInput, "ab"), "\0\0\0\5\0\0\0\2ab"s);
  EXPECT_EQ(streams_.end(Channel::kInput), "\0\0\0\5\1\0\0\0"s);
  EXPECT_THAT(streams_.data(Channel::kWindow, "nobody asked"), IsEmpty());
}

TEST_F(SpdyTest, GivesWhatCameInAnyPieces) {
  const std::string bytes = "\x80\x03\0\2\0\0\0\4\0\0\0\3\0\0\0\3\0\0\0\5hello\0\0\0\1\0\0\0\2{}\0\0\0\x63\0\0\0\1x"s;
  for (const char byte : bytes) EXPECT_THAT(receive(std::string(1, byte)), IsEmpty());
  EXPECT_THAT(got_, ElementsAre(Pair(Channel::kOutput, "hello"), Pair(Channel::kStatus, "{}")));
  EXPECT_FALSE(streams_.is_over());
}

TEST_F(SpdyTest, IsOverWhenAllThatComesHasEnded) {
  receive("\0\0\0\3\1\0\0\1z"s);
  EXPECT_THAT(got_, ElementsAre(Pair(Channel::kOutput, "z")));
  EXPECT_FALSE(streams_.is_over());
  receive("\x80\x03\0\3\0\0\0\x08\0\0\0\1\0\0\0\5"s);
  EXPECT_TRUE(streams_.is_over());
}

TEST_F(SpdyTest, AnswersPingsAndHearsGoodbye) {
  const std::string ping = "\x80\x03\0\6\0\0\0\4\0\0\0\2"s;
  EXPECT_EQ(receive(ping), ping);
  EXPECT_THAT(receive("\x80\x03\0\6\0\0\0\4\0\0\0\1"s), IsEmpty());
  EXPECT_FALSE(streams_.is_over());
  receive("\x80\x03\0\7\0\0\0\x08\0\0\0\0\0\0\0\0"s);
  EXPECT_TRUE(streams_.is_over());
}

}  // namespace
}  // namespace orlop::client
