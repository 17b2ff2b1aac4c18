#include "orlop/kube/schema.hpp"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

JsonField field(std::string_view group, std::string_view version, std::string_view kind, std::string_view name) {
  const auto* message = find_message(group, version, kind);
  EXPECT_NE(message, nullptr) << kind;
  auto found = find_json_field(*message, name);
  EXPECT_TRUE(found) << kind << "." << name;
  return *found;
}

const google::protobuf::Descriptor& core(std::string_view name) {
  return *find_message("k8s.io.api.core.v1." + std::string(name));
}

TEST(SchemaTest, MergeKeys) {
  const auto containers = find_json_field(core("PodSpec"), "containers");
  ASSERT_TRUE(containers);
  EXPECT_TRUE(containers->schema->patch_merge());
  EXPECT_EQ(containers->schema->patch_merge_key(), "name");
  EXPECT_EQ(containers->schema->list_type(), ListType::kMap);
  EXPECT_TRUE(containers->schema->required());
  const auto ports = find_json_field(core("Container"), "ports");
  EXPECT_EQ(ports->schema->patch_merge_key(), "containerPort");
  EXPECT_EQ(ports->schema->list_map_keys(), (std::vector<std::string_view>{"containerPort", "protocol"}));
  EXPECT_TRUE(find_json_field(core("PodSpec"), "volumes")->schema->patch_retain_keys());
}

TEST(SchemaTest, EnumsDefaultsAndDocs) {
  const auto protocol = find_json_field(core("ContainerPort"), "protocol");
  EXPECT_EQ(protocol->schema->default_value(), "\"TCP\"");
  EXPECT_EQ(protocol->schema->enum_values(), (std::vector<std::string_view>{"SCTP", "TCP", "UDP"}));
  EXPECT_EQ(protocol->schema->go_type(), "v1.Protocol");
  EXPECT_TRUE(protocol->schema->doc().starts_with("Protocol for port. Must be UDP, TCP, or SCTP."));
  EXPECT_TRUE(find_type("k8s.io.api.core.v1.Pod")->doc().starts_with("Pod is a collection of containers"));
  EXPECT_TRUE(find_json_field(core("Pod"), "metadata")->schema->doc().starts_with("Standard object's metadata."));
}

TEST(SchemaTest, SeesThroughInlinedMessages) {
  const auto config_map = find_json_field(core("Volume"), "configMap");
  ASSERT_TRUE(config_map);
  ASSERT_EQ(config_map->owners.size(), 1u);
  EXPECT_EQ(config_map->owners[0]->name(), "volumeSource");
  const auto path = find_json_field(core("Probe"), "httpGet");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->owners[0]->name(), "handler");
  EXPECT_FALSE(find_json_field(core("Volume"), "volumeSource"));
}

TEST(SchemaTest, AtomicAndRequired) {
  EXPECT_TRUE(find_json_field(core("ServiceSpec"), "selector")->schema->atomic());
  EXPECT_TRUE(field("apps", "v1", "DeploymentSpec", "selector").schema->required());
  EXPECT_FALSE(field("apps", "v1", "DeploymentSpec", "replicas").schema->required());
  EXPECT_TRUE(field("apps", "v1", "DeploymentSpec", "replicas").schema->pointer());
}

TEST(SchemaTest, FindsKindsOfOtherGroups) {
  EXPECT_NE(find_message("policy", "v1", "Eviction"), nullptr);
  EXPECT_NE(find_message("autoscaling", "v1", "Scale"), nullptr);
  EXPECT_NE(find_message("", "v1", "DeleteOptions"), nullptr);
  EXPECT_NE(find_message("apps", "v1", "DeleteOptions"), nullptr);
  EXPECT_NE(find_message("", "v1", "Status"), nullptr);
  EXPECT_EQ(find_message("apps", "v1", "Nothing"), nullptr);
  EXPECT_EQ(find_message("apps", "v1beta1", "Deployment"), nullptr);
  EXPECT_EQ(find_message("", "v1", "ObjectMeta"), nullptr);
}

}  // namespace
}  // namespace orlop::kube
