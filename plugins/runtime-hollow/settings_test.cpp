#include "plugins/runtime-hollow/settings.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::hollow {
namespace {

using std::chrono::milliseconds;

TEST(Duration, Units) {
  EXPECT_EQ(*parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(*parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(*parse_duration("2m"), milliseconds(120000));
  EXPECT_EQ(*parse_duration("10"), milliseconds(10000));
  EXPECT_EQ(*parse_duration("0"), milliseconds(0));
  for (const char* wrong : {"", "s", "-1s", "1d", "nan", "1e30h", "1 s"}) {
    EXPECT_EQ(parse_duration(wrong).code(), Code::kInvalid) << wrong;
  }
}

TEST(ExitPlan, MoreParticularKeyWins) {
  std::map<std::string, std::string> keys = {{"hollow.orlop.dev/exit-after", "1s"},
                                             {"web.hollow.orlop.dev/exit-after", "2s"},
                                             {"hollow.orlop.dev/exit-code", "3"}};
  auto lookup = [&](const std::string& key) { return keys.contains(key) ? &keys[key] : nullptr; };
  auto web = exit_plan("web", lookup);
  ASSERT_TRUE(web.is_ok() && web->has_value());
  EXPECT_EQ((*web)->after, milliseconds(2000));
  EXPECT_EQ((*web)->code, 3);
  EXPECT_EQ((*exit_plan("other", lookup))->after, milliseconds(1000));
  keys["hollow.orlop.dev/exit-code"] = "300";
  EXPECT_EQ(exit_plan("web", lookup).code(), Code::kInvalid);
  keys.clear();
  EXPECT_FALSE(exit_plan("web", lookup)->has_value());
}

TEST(Load, QuantitiesOrARefusal) {
  std::map<std::string, std::string> keys = {
      {"hollow.orlop.dev/cpu", "250m"}, {"web.hollow.orlop.dev/cpu", "2"}, {"hollow.orlop.dev/memory", "64Mi"}};
  auto lookup = [&](const std::string& key) { return keys.contains(key) ? &keys[key] : nullptr; };
  EXPECT_EQ(load_of("web", lookup)->cpu_milli, 2000);
  EXPECT_EQ(load_of("other", lookup)->cpu_milli, 250);
  EXPECT_EQ(load_of("other", lookup)->memory_bytes, 64 << 20);
  for (const char* wrong : {"much", "-1", ""}) {
    keys["hollow.orlop.dev/memory"] = wrong;
    EXPECT_EQ(load_of("web", lookup).code(), Code::kInvalid) << wrong;
  }
  keys.clear();
  EXPECT_EQ(load_of("web", lookup)->cpu_milli, 0);
}

TEST(IpPool, GivesEachAddressOnceAndTakesThemBack) {
  auto pool = IpPool::parse("10.1.2.0/30");
  ASSERT_TRUE(pool.is_ok());
  uint32_t first = *pool->take();
  EXPECT_EQ(format_ip(first), "10.1.2.1");
  EXPECT_EQ(format_ip(*pool->take()), "10.1.2.2");
  EXPECT_EQ(pool->take().code(), Code::kTooManyRequests);
  pool->give_back(first);
  EXPECT_EQ(*pool->take(), first);
  for (const char* wrong : {"10.1.2.0", "10.1.2/24", "10.0.0.0/31", "10.0.0.0/0", "::/64", "10.0.0.0/8x"}) {
    EXPECT_EQ(IpPool::parse(wrong).code(), Code::kInvalid) << wrong;
  }
}

}  // namespace
}  // namespace orlop::hollow
