// The model against the API's own messages: a field number that is wrong shows here.
#include "plugins/net-iptables/decode.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/discovery_v1.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace core = k8s::io::api::core::v1;
namespace discovery = k8s::io::api::discovery::v1;

core::Service full_service() {
  core::Service out;
  out.mutable_metadata()->set_name("web");
  out.mutable_metadata()->set_namespace_("default");
  auto* spec = out.mutable_spec();
  spec->set_type("LoadBalancer");
  spec->set_clusterip("10.96.0.10");
  spec->add_clusterips("10.96.0.10");
  spec->add_clusterips("fd00::10");
  spec->add_externalips("203.0.113.9");
  spec->set_sessionaffinity("ClientIP");
  spec->mutable_sessionaffinityconfig()->mutable_clientip()->set_timeoutseconds(60);
  spec->add_loadbalancersourceranges("198.51.100.0/24");
  spec->set_externaltrafficpolicy("Local");
  spec->set_internaltrafficpolicy("Local");
  auto* port = spec->add_ports();
  port->set_name("dns");
  port->set_protocol("UDP");
  port->set_port(53);
  port->set_nodeport(30053);
  out.mutable_status()->mutable_loadbalancer()->add_ingress()->set_ip("203.0.113.10");
  auto* through = out.mutable_status()->mutable_loadbalancer()->add_ingress();
  through->set_ip("203.0.113.11");
  through->set_ipmode("Proxy");
  return out;
}

TEST(Decode, Service) {
  const auto service = decode_service(full_service().SerializeAsString());
  ASSERT_TRUE(service);
  EXPECT_EQ(service->id, (ObjectName{"default", "web"}));
  EXPECT_TRUE(service->proxied);
  EXPECT_THAT(service->cluster_ips, ElementsAre("10.96.0.10"));
  EXPECT_THAT(service->external_ips, ElementsAre("203.0.113.9"));
  EXPECT_THAT(service->balancer_ips, ElementsAre("203.0.113.10"));
  EXPECT_THAT(service->source_ranges, ElementsAre("198.51.100.0/24"));
  EXPECT_TRUE(service->affinity);
  EXPECT_EQ(service->affinity_s, 60u);
  EXPECT_TRUE(service->internal_local);
  EXPECT_TRUE(service->external_local);
  ASSERT_THAT(service->ports, SizeIs(1));
  EXPECT_EQ(service->ports[0].name, "dns");
  EXPECT_EQ(service->ports[0].protocol, Protocol::kUdp);
  EXPECT_EQ(service->ports[0].port, 53);
  EXPECT_EQ(service->ports[0].node_port, 30053);
}

TEST(Decode, HeadlessExternalNameAndForeignServicesAreNotProxied) {
  auto headless = full_service();
  headless.mutable_spec()->set_clusterip("None");
  EXPECT_FALSE(decode_service(headless.SerializeAsString())->proxied);
  auto name = full_service();
  name.mutable_spec()->set_type("ExternalName");
  EXPECT_FALSE(decode_service(name.SerializeAsString())->proxied);
  auto foreign = full_service();
  (*foreign.mutable_metadata()->mutable_labels())["service.kubernetes.io/service-proxy-name"] = "other";
  EXPECT_FALSE(decode_service(foreign.SerializeAsString())->proxied);
}

TEST(Decode, WhatNoRuleCanBeMadeOfIsLeftOut) {
  auto odd = full_service();
  odd.mutable_spec()->add_externalips("203.0.113.9 -j ACCEPT");
  odd.mutable_spec()->add_loadbalancersourceranges("198.51.100.0/99");
  odd.mutable_spec()->add_ports()->set_port(70000);
  const auto service = decode_service(odd.SerializeAsString());
  ASSERT_TRUE(service);
  EXPECT_THAT(service->external_ips, SizeIs(1));
  EXPECT_THAT(service->source_ranges, SizeIs(1));
  EXPECT_THAT(service->ports, SizeIs(1));
  EXPECT_EQ(decode_service("\x0a\xff").code(), Code::kBadRequest);
}

TEST(Decode, EndpointSlice) {
  discovery::EndpointSlice message;
  message.mutable_metadata()->set_name("web-1");
  message.mutable_metadata()->set_namespace_("default");
  (*message.mutable_metadata()->mutable_labels())["kubernetes.io/service-name"] = "web";
  message.set_addresstype("IPv4");
  auto* unknown = message.add_endpoints();
  unknown->add_addresses("10.244.0.5");
  auto* ending = message.add_endpoints();
  ending->add_addresses("10.244.0.6");
  ending->set_nodename("n2");
  ending->mutable_conditions()->set_ready(false);
  ending->mutable_conditions()->set_serving(true);
  ending->mutable_conditions()->set_terminating(true);
  auto* unready = message.add_endpoints();
  unready->add_addresses("10.244.0.7");
  unready->mutable_conditions()->set_ready(false);
  auto* port = message.add_ports();
  port->set_name("http");
  port->set_protocol("TCP");
  port->set_port(8080);
  const auto slice = decode_endpoint_slice(message.SerializeAsString());
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->service, (ObjectName{"default", "web"}));
  EXPECT_TRUE(slice->ipv4);
  ASSERT_THAT(slice->endpoints, SizeIs(3));
  EXPECT_TRUE(slice->endpoints[0].ready);
  EXPECT_FALSE(slice->endpoints[1].ready);
  EXPECT_TRUE(slice->endpoints[1].serving);
  EXPECT_TRUE(slice->endpoints[1].terminating);
  EXPECT_EQ(slice->endpoints[1].node, "n2");
  EXPECT_FALSE(slice->endpoints[2].serving);
  ASSERT_THAT(slice->ports, SizeIs(1));
  EXPECT_EQ(slice->ports[0].port, 8080);
  message.set_addresstype("IPv6");
  EXPECT_FALSE(decode_endpoint_slice(message.SerializeAsString())->ipv4);
}

TEST(Decode, Node) {
  core::Node message;
  message.mutable_metadata()->set_name("n1");
  message.mutable_spec()->set_podcidr("10.244.1.0/24");
  message.mutable_spec()->add_podcidrs("10.244.1.0/24");
  message.mutable_spec()->add_podcidrs("fd00::/64");
  auto* host_name = message.mutable_status()->add_addresses();
  host_name->set_type("Hostname");
  host_name->set_address("n1");
  auto* address = message.mutable_status()->add_addresses();
  address->set_type("InternalIP");
  address->set_address("192.0.2.1");
  const auto node = decode_node(message.SerializeAsString());
  ASSERT_TRUE(node);
  EXPECT_EQ(node->name, "n1");
  EXPECT_THAT(node->pod_cidrs, ElementsAre("10.244.1.0/24"));
  EXPECT_EQ(node->internal_ip, "192.0.2.1");
  EXPECT_THAT(decode_node(core::Node().SerializeAsString())->pod_cidrs, IsEmpty());
}

}  // namespace
}  // namespace orlop::net
