#include "plugins/api-kubernetes/patch/patch.hpp"

#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

TEST(KubeMergeSchema, KnowsContainersOfADeployment) {
  const auto* deployment = merge_schema("k8s.io.api.apps.v1.Deployment");
  ASSERT_NE(deployment, nullptr);
  const auto spec = deployment->field("spec");
  ASSERT_NE(spec.type, nullptr);
  EXPECT_TRUE(spec.type->field("strategy").retain_keys);
  const auto containers = spec.type->field("template").type->field("spec").type->field("containers");
  EXPECT_TRUE(containers.list);
  EXPECT_TRUE(containers.merge);
  EXPECT_EQ(containers.merge_key, "name");
  EXPECT_EQ(containers.type->field("ports").merge_key, "containerPort");
  EXPECT_FALSE(containers.type->field("nosuch").known);
  EXPECT_EQ(merge_schema("k8s.io.api.core.v1.NoSuch"), nullptr);
}

// As `kubectl set image` and a second `kubectl apply` send it.
TEST(KubeMergeSchema, PatchesOneContainerOfTwo) {
  const auto document = json::parse(R"({"spec":{"template":{"spec":{"containers":[
      {"name":"a","image":"x:1","ports":[{"containerPort":80,"protocol":"TCP"}]},{"name":"b","image":"y"}]}}}})");
  const auto patch = json::parse(R"({"spec":{"template":{"spec":{
      "$setElementOrder/containers":[{"name":"a"},{"name":"b"}],
      "containers":[{"name":"a","image":"x:2"}]}}}})");
  const auto expected = json::parse(R"({"spec":{"template":{"spec":{"containers":[
      {"name":"a","image":"x:2","ports":[{"containerPort":80,"protocol":"TCP"}]},{"name":"b","image":"y"}]}}}})");
  auto result = strategic_merge(document, patch, *merge_schema("k8s.io.api.apps.v1.Deployment"));
  ASSERT_TRUE(result.is_ok()) << result.message();
  EXPECT_EQ(*result, expected);
}

}  // namespace
}  // namespace orlop::apikube
