#include "orlop/kube/envelope.hpp"

#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

TEST(EnvelopeTest, RoundTrip) {
  std::string bytes;
  encode_envelope("apps/v1", "Deployment", "raw bytes", bytes);
  EXPECT_TRUE(is_envelope(bytes));
  EXPECT_TRUE(bytes.ends_with(std::string_view("\x1a\x00\x22\x00", 4)));
  const auto envelope = decode_envelope(bytes);
  ASSERT_TRUE(envelope) << envelope.message();
  EXPECT_EQ(envelope->api_version, "apps/v1");
  EXPECT_EQ(envelope->kind, "Deployment");
  EXPECT_EQ(envelope->raw, "raw bytes");
}

TEST(EnvelopeTest, EveryTruncationIsToldOrShorter) {
  std::string bytes;
  encode_envelope("v1", "Pod", std::string(300, 'x'), bytes);
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto envelope = decode_envelope(std::string_view(bytes).substr(0, length));
    if (envelope) {
      EXPECT_LE(envelope->raw.size(), 300u);
    }
  }
  EXPECT_EQ(decode_envelope("{}").code(), Code::kBadRequest);
  EXPECT_FALSE(decode_envelope(std::string_view("k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16)));
}

TEST(EnvelopeTest, WatchFrame) {
  std::string frame;
  encode_watch_frame("ADDED", "v1", "Pod", "raw", frame);
  const auto byte = [&frame](size_t i) { return static_cast<unsigned char>(frame[i]); };
  const size_t length = static_cast<size_t>(byte(0)) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  EXPECT_EQ(length, frame.size() - 4);
  EXPECT_EQ(frame.substr(4, 7), std::string("\x0a\x05") + "ADDED");
  std::string envelope;
  encode_envelope("v1", "Pod", "raw", envelope);
  EXPECT_TRUE(frame.ends_with(envelope));
}

}  // namespace
}  // namespace orlop::kube
