// Deployment's rules in tables: the figures that follow from the rules as Kubernetes documents them.
#include "plugins/controllers-workload/deployment/plan.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

IntOrString limit(const std::string& text) {
  IntOrString out;
  const bool is_percent = text.ends_with('%');
  out.set_type(is_percent ? 1 : 0);
  if (is_percent) {
    out.set_strval(text);
  } else {
    out.set_intval(std::stoi(text));
  }
  return out;
}
Deployment rolling(int32_t replicas, const std::string& surge, const std::string& unavailable) {
  Deployment out;
  out.mutable_spec()->set_replicas(replicas);
  auto& strategy = *out.mutable_spec()->mutable_strategy();
  strategy.set_type("RollingUpdate");
  *strategy.mutable_rollingupdate()->mutable_maxsurge() = limit(surge);
  *strategy.mutable_rollingupdate()->mutable_maxunavailable() = limit(unavailable);
  return out;
}

TEST(DeploymentRules, NumbersAndPercentsOfTheLimits) {
  struct Row {
    int32_t replicas;
    const char* surge;
    const char* unavailable;
    int32_t most_more;
    int32_t most_missing;
  };
  // Surge is rounded up, what may be missing down; where both come to nothing one may be missing.
  const std::vector<Row> rows{
      {10, "39%", "39%", 4, 3}, {10, "25%", "25%", 3, 2}, {10, "0%", "50%", 0, 5},  {3, "0%", "10%", 0, 1},
      {10, "0", "0", 0, 1},     {10, "0%", "0%", 0, 1},   {1, "25%", "25%", 1, 0},  {4, "100%", "0", 4, 0},
      {10, "1", "5", 1, 5},     {10, "1", "10", 1, 10},   {5, "1", "10", 1, 5},     {0, "1", "10", 1, 0},
      {3, "34%", "34%", 2, 1},  {2, "50%", "50%", 1, 1},  {7, "200%", "0%", 14, 0}, {99, "1%", "1%", 1, 0},
      {100, "1%", "1%", 1, 1},  {3, "0%", "33%", 0, 1},
  };
  for (const Row& row : rows) {
    const Limits limits = limits_of(rolling(row.replicas, row.surge, row.unavailable));
    const std::string what = std::to_string(row.replicas) + " +" + row.surge + " -" + row.unavailable;
    EXPECT_EQ(limits.max_surge, row.most_more) << what;
    EXPECT_EQ(limits.max_unavailable, row.most_missing) << what;
  }
}

TEST(DeploymentRules, ScalingIsSharedOutInProportion) {
  struct Row {
    int32_t before, surge_before, replicas, surge;
    int32_t newest;            // -1: there is none
    std::vector<int32_t> old;  // the youngest first
    int32_t newest_after;
    std::vector<int32_t> old_after;
  };
  const std::vector<Row> rows{
      {10, 0, 12, 0, 10, {}, 12, {}},       {10, 0, 5, 0, 10, {}, 5, {}},         {5, 0, 10, 0, 2, {3}, 4, {6}},
      {5, 0, 3, 0, 2, {3}, 1, {2}},         {9, 0, 4, 0, 8, {1}, 4, {0}},         {7, 0, 10, 0, 2, {3, 2}, 3, {4, 3}},
      {13, 0, 8, 0, 2, {8, 3}, 1, {5, 2}},  {3, 0, 4, 0, 1, {1, 1}, 2, {1, 1}},   {3, 0, 2, 0, 1, {1, 1}, 1, {1, 0}},
      {4, 0, 5, 0, -1, {2, 2}, -1, {3, 2}}, {4, 0, 0, 0, -1, {2, 2}, -1, {0, 0}}, {0, 0, 6, 0, -1, {0, 0}, -1, {6, 0}},
      {10, 2, 20, 2, 6, {6}, 11, {11}},     {10, 3, 50, 6, 5, {8}, 22, {34}},
  };
  for (const Row& row : rows) {
    const int32_t most = row.before + row.surge_before;
    const int32_t has_newest = row.newest >= 0 ? 1 : 0;
    SetSize newest{"new", row.newest, row.newest, most, 100};
    std::vector<SetSize> old;
    for (size_t i = 0; i < row.old.size(); ++i) {
      old.push_back({"old" + std::to_string(i), row.old[i], row.old[i], most, 50 - static_cast<int64_t>(i)});
    }
    share_out({.replicas = row.replicas, .max_surge = row.surge, .max_unavailable = 0, .recreate = false},
              has_newest != 0 ? &newest : nullptr, old);
    const std::string what = std::to_string(row.before) + " to " + std::to_string(row.replicas) + " with " +
                             std::to_string(row.old.size()) + " old";
    EXPECT_EQ(newest.replicas, row.newest_after) << what;
    for (const SetSize& set : old) {
      EXPECT_EQ(set.replicas, row.old_after[static_cast<size_t>(set.name.back() - '0')]) << what << ", " << set.name;
    }
  }
}

TEST(DeploymentRules, ANewestThatIsBrokenLeavesTheOldAlone) {
  const Limits limits{.replicas = 2, .max_surge = 1, .max_unavailable = 1, .recreate = false};
  SetSize newest{"new", 2, 0, 3, 2};
  std::vector<SetSize> old{{"old", 1, 1, 3, 1}};
  share_out(limits, &newest, old);
  EXPECT_EQ(newest.replicas, 2);
  EXPECT_EQ(old[0].replicas, 1);
  // One that serves needs nobody beside it.
  newest.available = 2;
  share_out(limits, &newest, old);
  EXPECT_EQ(old[0].replicas, 0);
}

TEST(DeploymentRules, TheNewestGrowsIntoTheRoomThatIsThere) {
  struct Row {
    int32_t replicas, surge, old, newest, newest_after;
  };
  for (const Row& row : std::vector<Row>{{10, 2, 10, 0, 2}, {10, 2, 5, 0, 7}, {10, 2, 2, 11, 10}, {6, 10, 5, 2, 6}}) {
    SetSize newest{"new", row.newest, row.newest, 0, 2};
    std::vector<SetSize> old{{"old", row.old, row.old, 0, 1}};
    const Limits limits{.replicas = row.replicas, .max_surge = row.surge, .max_unavailable = 0, .recreate = false};
    EXPECT_TRUE(step_rolling(limits, newest, old, 0));
    EXPECT_EQ(newest.replicas, row.newest_after) << row.replicas << " of which " << row.old << " old";
    EXPECT_EQ(old[0].replicas, row.old);
  }
  // No room: not even for one.
  SetSize newest{"new", 2, 0, 0, 2};
  std::vector<SetSize> old{{"old", 10, 10, 0, 1}};
  EXPECT_FALSE(step_rolling({.replicas = 10, .max_surge = 2, .max_unavailable = 0, .recreate = false}, newest, old, 2));
}

TEST(DeploymentRules, TheOldShrinkAsFarAsOthersServe) {
  struct Row {
    int32_t unavailable, old, newest, old_ready, newest_ready, old_after;
  };
  // Of ten. What does not serve goes at once, what serves as far as enough is left.
  const std::vector<Row> rows{{1, 10, 0, 10, 0, 9}, {2, 10, 0, 10, 0, 8}, {2, 10, 0, 8, 0, 8}, {2, 10, 0, 9, 0, 8},
                              {2, 8, 2, 8, 0, 8},   {2, 8, 2, 8, 1, 7},   {2, 8, 2, 8, 2, 6},  {10, 10, 0, 10, 0, 0}};
  for (const Row& row : rows) {
    SetSize newest{"new", row.newest, row.newest_ready, 0, 2};
    std::vector<SetSize> old{{"old", row.old, row.old_ready, 0, 1}};
    const Limits limits{.replicas = 10, .max_surge = 0, .max_unavailable = row.unavailable, .recreate = false};
    EXPECT_EQ(step_rolling(limits, newest, old, row.newest - row.newest_ready), row.old_after != row.old);
    EXPECT_EQ(old[0].replicas, row.old_after) << row.old << " old, " << row.old_ready << " of them ready, "
                                              << row.newest_ready << " of " << row.newest << " new";
  }
}

}  // namespace
}  // namespace orlop::workload
