#include "plugins/node-agent/cgroups/cgroup_tree.hpp"
#include "plugins/node-agent/cgroups/fake_cgroups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class BothVersions : public ::testing::TestWithParam<bool> {
 protected:
  FakeCgroups fake_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Cgroups, BothVersions, ::testing::Bool(),
                         [](const auto& version) { return version.param ? "V2" : "V1"; });

TEST_P(BothVersions, TellsWhatIsUsed) {
  fake_.make("/orlop/burstable/podx", 5'000'000, 1000, 300, 400);
  const CgroupTree tree(fake_.root());
  EXPECT_EQ(tree.unified(), GetParam());
  const auto usage = tree.usage("/orlop/burstable/podx");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_ns, 5'000'000u);
  EXPECT_EQ(usage->memory_usage_bytes, 1000u);
  EXPECT_EQ(usage->memory_working_set_bytes, 700u);
  EXPECT_EQ(usage->memory_rss_bytes, 400u);
}

TEST_P(BothVersions, MoreInactiveThanUsedIsNoWorkingSet) {
  fake_.make("/orlop/podx", 0, 100, 300, 0);
  EXPECT_EQ(CgroupTree(fake_.root()).usage("/orlop/podx")->memory_working_set_bytes, 0u);
}

TEST_P(BothVersions, WhatIsNotThere) {
  const CgroupTree tree(fake_.root());
  EXPECT_EQ(tree.usage("/orlop/podx").code(), Code::kNotFound);
  EXPECT_THAT(tree.children("/orlop"), IsEmpty());
  EXPECT_FALSE(tree.exists("/orlop"));
}

TEST_P(BothVersions, NamesWhatIsBelow) {
  fake_.make("/orlop/poda");
  fake_.make("/orlop/burstable/podb");
  EXPECT_THAT(CgroupTree(fake_.root()).children("/orlop"), UnorderedElementsAre("poda", "burstable"));
}

TEST(StatField, FindsWholeNamesOnly) {
  constexpr char kText[] = "rss_huge 7\nrss 5\ncache 9";
  EXPECT_EQ(stat_field(kText, "rss"), 5u);
  EXPECT_EQ(stat_field(kText, "cache"), 9u);
  EXPECT_EQ(stat_field(kText, "shmem"), std::nullopt);
  EXPECT_EQ(stat_field("", "rss"), std::nullopt);
}

}  // namespace
}  // namespace orlop::agent
