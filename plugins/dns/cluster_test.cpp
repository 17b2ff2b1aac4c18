#include "plugins/dns/cluster.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/dns/kube_dns.hpp"

#include <gtest/gtest.h>

namespace orlop::dns {
namespace {

constexpr const char* kSlices = "endpointslices.discovery.k8s.io";

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() : cluster_(kernel_.host(), {"cluster.local", 5, "node-a", ""}, zone_) {
    k8s::io::api::core::v1::Namespace name_space;
    for (const char* name : {"default", "kube-system"}) {
      name_space.mutable_metadata()->set_name(name);
      EXPECT_TRUE(kernel_.create("namespaces", name_space));
    }
    Service api;
    api.mutable_metadata()->set_name("kubernetes");
    api.mutable_metadata()->set_namespace_("default");
    api.mutable_spec()->set_clusterip("10.96.0.1");
    EXPECT_TRUE(kernel_.create("services", api));
  }

  bool knows(const std::string& name) { return Zone::Look(zone_).find(*name_of(name)) != nullptr; }

  testing::FakeKernel kernel_;
  Zone zone_;
  Cluster cluster_;
};

TEST_F(ClusterTest, FollowsTheStore) {
  ASSERT_TRUE(cluster_.follow());
  EXPECT_TRUE(knows("kubernetes.default.svc.cluster.local"));
  EXPECT_EQ(cluster_.service_address(), "10.96.0.10");
  EXPECT_EQ(cluster_.bridge_address(), "");
  k8s::io::api::core::v1::Node node;
  node.mutable_metadata()->set_name("node-a");
  node.mutable_spec()->set_podcidr("10.244.3.0/24");
  ASSERT_TRUE(kernel_.create("nodes", node));
  ASSERT_TRUE(cluster_.follow());
  EXPECT_EQ(cluster_.bridge_address(), "10.244.3.1");
  ASSERT_TRUE(kernel_.remove("services", "default", "kubernetes").is_ok());
  ASSERT_TRUE(cluster_.follow());
  EXPECT_FALSE(knows("kubernetes.default.svc.cluster.local"));
}

TEST_F(ClusterTest, SlicesMakeAHeadlessService) {
  Service service;
  service.mutable_metadata()->set_name("db");
  service.mutable_metadata()->set_namespace_("default");
  service.mutable_spec()->set_clusterip("None");
  ASSERT_TRUE(kernel_.create("services", service));
  EndpointSlice slice;
  slice.mutable_metadata()->set_name("db-x");
  slice.mutable_metadata()->set_namespace_("default");
  (*slice.mutable_metadata()->mutable_labels())[kServiceLabel] = "db";
  slice.set_addresstype("IPv4");
  slice.add_endpoints()->add_addresses("10.244.0.5");
  ASSERT_TRUE(cluster_.follow());
  EXPECT_FALSE(knows("db.default.svc.cluster.local"));
  ASSERT_TRUE(kernel_.create(kSlices, slice));
  ASSERT_TRUE(cluster_.follow());
  EXPECT_TRUE(knows("db.default.svc.cluster.local"));
  ASSERT_TRUE(kernel_.remove(kSlices, "default", "db-x").is_ok());
  ASSERT_TRUE(cluster_.follow());
  EXPECT_FALSE(knows("db.default.svc.cluster.local"));
}

TEST_F(ClusterTest, WhatWentWhileTheLogWasCompactedIsForgotten) {
  ASSERT_TRUE(cluster_.follow());
  ASSERT_TRUE(kernel_.remove("services", "default", "kubernetes").is_ok());
  kernel_.compact();
  ASSERT_TRUE(cluster_.follow());
  EXPECT_FALSE(knows("kubernetes.default.svc.cluster.local"));
  EXPECT_TRUE(knows("default.svc.cluster.local"));
}

TEST_F(ClusterTest, KeepsItsService) {
  const auto keep = [this](const std::string& address) {
    return keep_kube_dns(kernel_.host(), "10.96.0.10", "node-a", address, 10053);
  };
  ASSERT_TRUE(keep("").is_ok());
  const auto service = kernel_.get<Service>("services", "kube-system", "kube-dns");
  ASSERT_TRUE(service);
  EXPECT_EQ(service->spec().clusterip(), "10.96.0.10");
  EXPECT_FALSE(kernel_.get<EndpointSlice>(kSlices, "kube-system", "kube-dns-node-a"));
  ASSERT_TRUE(keep("10.244.0.1").is_ok());
  ASSERT_TRUE(keep("10.244.7.1").is_ok());
  const auto slice = kernel_.get<EndpointSlice>(kSlices, "kube-system", "kube-dns-node-a");
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->endpoints(0).addresses(0), "10.244.7.1");
  const uint64_t before = kernel_.host().revision();
  ASSERT_TRUE(keep("10.244.7.1").is_ok());
  EXPECT_EQ(kernel_.host().revision(), before);
}

TEST_F(ClusterTest, AnothersServiceStays) {
  Service service = kube_dns_service("10.96.0.10");
  (*service.mutable_spec()->mutable_selector())["k8s-app"] = "kube-dns";
  ASSERT_TRUE(kernel_.create("services", service));
  EXPECT_EQ(keep_kube_dns(kernel_.host(), "10.96.0.10", "node-a", "10.244.0.1", 10053).code(), Code::kAlreadyExists);
}

TEST(Addresses, OfRanges) {
  EXPECT_EQ(tenth_address("10.96.0.1"), "10.96.0.10");
  EXPECT_EQ(tenth_address("None"), "");
  EXPECT_EQ(first_address("10.244.3.0/24"), "10.244.3.1");
  EXPECT_EQ(first_address("fd00::/64"), "");
}

}  // namespace
}  // namespace orlop::dns
