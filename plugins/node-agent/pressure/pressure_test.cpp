#include "plugins/node-agent/pressure/thresholds.hpp"

#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

TEST(Thresholds, AreReadAsTheKubeletReadsThem) {
  EvictionOptions options;
  options.hard = {"memory.available<100Mi", "nodefs.available<10%", "pid.available<0"};
  options.soft = {"memory.available<300Mi"};
  options.grace = {"memory.available=1m30s"};
  options.reclaim = {"nodefs.available=5%"};
  const auto parsed = parse_thresholds(options);
  ASSERT_TRUE(parsed) << parsed.message();
  ASSERT_EQ(parsed->size(), 3u) << "one of 0 is switched off";
  EXPECT_TRUE(parsed->at(0).is_hard());
  EXPECT_EQ(parsed->at(0).value.of(1), 100 << 20);
  EXPECT_EQ(parsed->at(1).value.of(1000), 100);
  EXPECT_EQ(parsed->at(1).reclaim.of(1000), 50);
  EXPECT_EQ(parsed->at(2).grace_ns, 90'000'000'000);
}

TEST(Thresholds, WhatCannotBeReadIsTold) {
  const auto code = [](EvictionOptions options) { return parse_thresholds(options).code(); };
  EXPECT_EQ(code({{"memory.available=1"}, {}, {}, {}}), Code::kInvalid);
  EXPECT_EQ(code({{"memory.used<1Gi"}, {}, {}, {}}), Code::kInvalid);
  EXPECT_EQ(code({{"memory.available<lots"}, {}, {}, {}}), Code::kInvalid);
  EXPECT_EQ(code({{"memory.available<110%"}, {}, {}, {}}), Code::kInvalid);
  EXPECT_EQ(code({{}, {"memory.available<1Gi"}, {}, {}}), Code::kInvalid);
  EXPECT_EQ(code({{}, {"memory.available<1Gi"}, {"memory.available=soon"}, {}}), Code::kInvalid);
}

TEST(Thresholds, AreMetBelow) {
  const auto parsed = parse_thresholds({{"memory.available<10%"}, {}, {}, {"memory.available=10%"}});
  ASSERT_TRUE(parsed);
  const auto met = [&](int64_t available, bool with_reclaim) {
    return is_met(parsed->front(), {{Signal::kMemoryAvailable, {available, 1000}}}, with_reclaim);
  };
  EXPECT_TRUE(met(99, false));
  EXPECT_FALSE(met(100, false));
  EXPECT_TRUE(met(150, true));
  EXPECT_FALSE(met(200, true));
  EXPECT_FALSE(is_met(parsed->front(), {}, false)) << "what is not seen is not short";
}

}  // namespace
}  // namespace orlop::agent
