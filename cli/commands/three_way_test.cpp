#include "cli/commands/three_way.hpp"

#include <gtest/gtest.h>

namespace orlop::cli {
namespace {

namespace json = boost::json;

json::value parse(std::string_view text) {
  json::value out;
  EXPECT_TRUE(client::parse_json(text, out)) << text;
  return out;
}

std::string patch(std::string_view kind, std::string_view original, std::string_view wanted, std::string_view live) {
  return client::compact_json(three_way_patch(kind, parse(original), parse(wanted), parse(live)));
}

TEST(ThreeWay, NothingToDoIsEmpty) {
  EXPECT_EQ(patch("Pod", R"({"a":1})", R"({"a":1})", R"({"a":1,"status":{"b":2}})"), "{}");
}

TEST(ThreeWay, OthersFieldsStayOwnOnesGo) {
  EXPECT_EQ(patch("ConfigMap", R"({"data":{"a":"1","b":"2"}})", R"({"data":{"a":"3"}})",
                  R"({"data":{"a":"1","b":"2","c":"9"}})"),
            R"({"data":{"a":"3","b":null}})");
}

TEST(ThreeWay, ContainersAreMergedByName) {
  const auto out =
      patch("Deployment", R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}}})",
            R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"2"},{"name":"c"}]}}}})",
            R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"1","x":1},{"name":"b"}]}}}})");
  EXPECT_EQ(out, R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"a"},{"name":"c"}],)"
                 R"("containers":[{"image":"2","name":"a"},{"name":"c"},{"$patch":"delete","name":"b"}]}}}})");
}

TEST(ThreeWay, ChangedOrderAloneIsAChange) {
  EXPECT_EQ(patch("Pod", "{}", R"({"spec":{"containers":[{"name":"b"},{"name":"a"}]}})",
                  R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})"),
            R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}})");
}

TEST(ThreeWay, PortsOfContainersAndOfServices) {
  EXPECT_EQ(list_rule("Deployment", "spec.template.spec.initContainers[].ports").key, "containerPort");
  EXPECT_EQ(list_rule("Service", "spec.ports").key, "port");
  EXPECT_EQ(list_rule("NetworkPolicy", "spec.ingress[].ports").how, ListRule::How::kReplace);
  EXPECT_EQ(list_rule("CronJob", "spec.jobTemplate.spec.template.spec.volumes").key, "name");
  EXPECT_EQ(list_rule("Pod", "spec.containers[].args").how, ListRule::How::kReplace);
}

TEST(ThreeWay, AStrategyLosesWhatTheServerAdded) {
  EXPECT_EQ(patch("Deployment", "{}", R"({"spec":{"strategy":{"type":"Recreate"}}})",
                  R"({"spec":{"strategy":{"rollingUpdate":{"maxSurge":1},"type":"RollingUpdate"}}})"),
            R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})");
}

TEST(ThreeWay, FinalizersAreASet) {
  EXPECT_EQ(patch("Pod", R"({"metadata":{"finalizers":["a"]}})", R"({"metadata":{"finalizers":["b"]}})",
                  R"({"metadata":{"finalizers":["a","c"]}})"),
            R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["b"]}})");
}

TEST(ThreeWay, CustomKindsGetAMergePatch) {
  EXPECT_EQ(patch("", "{}", R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[{"name":"b"}]}})"),
            R"({"spec":{"containers":[{"name":"a"}]}})");
}

}  // namespace
}  // namespace orlop::cli
