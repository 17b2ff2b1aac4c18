#include "orlop/kube/kinds.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/kinds_traits.hpp"
#include "orlop/kube/schema.hpp"

#include <map>
#include <set>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

TEST(KindsTest, EveryMessageIsCompiledIn) {
  for (const Kind& kind : kinds()) {
    EXPECT_NE(find_message(kind.message), nullptr) << kind.message;
    EXPECT_EQ(find_message(kind.group, kind.version, kind.kind), find_message(kind.message)) << kind.message;
    if (!kind.list_kind.empty()) {
      EXPECT_NE(find_message(kind.list_message), nullptr) << kind.list_message;
    }
    EXPECT_TRUE(find_type(kind.message)->has_type_meta()) << kind.message;
    for (const Subresource& sub : kind.subresources) {
      EXPECT_NE(find_message(sub.group, sub.version, sub.kind), nullptr) << kind.plural << "/" << sub.name;
    }
  }
}

TEST(KindsTest, RowsAreConsistent) {
  std::map<std::string_view, int> storage;
  std::set<std::string> resources;
  std::map<std::string_view, int> preferred;
  for (const Kind& kind : kinds()) {
    storage[kind.id] += kind.storage ? 1 : 0;
    EXPECT_TRUE(resources.insert(kind.api_version() + "/" + std::string(kind.plural)).second);
    EXPECT_EQ(find_kind_of(kind.api_version(), kind.kind), &kind);
    EXPECT_EQ(find_resource(kind.group, kind.version, kind.plural), &kind);
    EXPECT_EQ(kind.list_kind.empty(), !kind.has(kVerbList)) << kind.kind;
  }
  for (const auto& [id, count] : storage) EXPECT_EQ(count, 1) << id;
}

TEST(KindsTest, TwoVersionsShareOneTable) {
  EXPECT_EQ(find_kind("", "v1", "Event")->id, find_kind("events.k8s.io", "v1", "Event")->id);
  EXPECT_EQ(find_kind("autoscaling", "v1", "HorizontalPodAutoscaler")->id,
            find_kind("autoscaling", "v2", "HorizontalPodAutoscaler")->id);
  EXPECT_EQ(find_storage("ingresses.networking.k8s.io")->kind, "Ingress");
  EXPECT_EQ(find_storage("nothing"), nullptr);
}

TEST(KindsTest, SpotChecks) {
  const Kind* pods = find_resource("", "v1", "pods");
  ASSERT_NE(pods, nullptr);
  EXPECT_EQ(pods->short_names[0], "po");
  EXPECT_EQ(pods->subresource("eviction")->kind, "Eviction");
  EXPECT_EQ(pods->subresource("resize"), nullptr);
  EXPECT_TRUE(find_resource("apps", "v1", "deployments")->has_generation);
  EXPECT_FALSE(find_resource("", "v1", "namespaces")->has(kVerbDeleteCollection));
  EXPECT_EQ(find_resource("authentication.k8s.io", "v1", "tokenreviews")->verbs, kVerbsCreateOnly);
}

template <typename Message>
void expect_same_row() {
  using Traits = KindOf<Message>;
  const Kind* row = find_kind_of(Traits::api_version, Traits::kind);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->id, Traits::id);
  EXPECT_EQ(row->plural, Traits::plural);
  EXPECT_EQ(row->group, Traits::group);
  EXPECT_EQ(row->namespaced, Traits::namespaced);
  EXPECT_EQ(row->message, Message::descriptor()->full_name());
}

TEST(KindsTest, TraitsAgree) {
  expect_same_row<k8s::io::api::core::v1::Pod>();
  expect_same_row<k8s::io::api::core::v1::Node>();
  expect_same_row<k8s::io::api::core::v1::Event>();
  expect_same_row<k8s::io::api::core::v1::Namespace>();
  expect_same_row<k8s::io::api::apps::v1::Deployment>();
  expect_same_row<k8s::io::api::apps::v1::StatefulSet>();
}

}  // namespace
}  // namespace orlop::kube
