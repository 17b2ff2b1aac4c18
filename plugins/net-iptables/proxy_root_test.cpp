// Rules in a real kernel: pods attached by CNI in a network namespace of the test's own, Services in a fake store, and
// connections that go where they should.
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/wire.hpp"
#include "plugins/net-iptables/decode.hpp"
#include "plugins/net-iptables/pod_network.hpp"
#include "plugins/net-iptables/proxy.hpp"
#include "plugins/net-iptables/testing/net_lab.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace orlop::net {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using testing::NetLab;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// Objects in the API's own bytes (k8s.io/api core/v1, discovery/v1).
class Bytes {
 public:
  Bytes& text(uint32_t field, std::string_view value) {
    wire::append_bytes_field(bytes_, field, value);
    return *this;
  }
  Bytes& number(uint32_t field, uint64_t value) {
    wire::append_varint_field(bytes_, field, value);
    return *this;
  }
  Bytes& part(uint32_t field, const Bytes& value) { return text(field, value.bytes_); }
  [[nodiscard]] const std::string& str() const { return bytes_; }

 private:
  std::string bytes_;
};

Bytes metadata(const std::string& name, const std::string& name_space, const std::string& service = {}) {
  Bytes out;
  out.text(1, name);
  if (!name_space.empty()) out.text(3, name_space);
  if (!service.empty()) out.part(11, Bytes().text(1, "kubernetes.io/service-name").text(2, service));
  return out;
}

struct ServiceOptions {
  bool affinity = false;
  bool external_local = false;
};

std::string service(const std::string& name, const std::string& ip, uint16_t node_port, ServiceOptions options = {}) {
  Bytes tcp;
  tcp.text(1, "http").text(2, "TCP").number(3, 80);
  if (node_port != 0) tcp.number(5, node_port);
  Bytes udp;
  udp.text(1, "dns").text(2, "UDP").number(3, 53);
  Bytes spec;
  spec.part(1, tcp).part(1, udp).text(3, ip).text(4, node_port != 0 ? "NodePort" : "ClusterIP");
  if (options.affinity) spec.text(7, "ClientIP");
  if (options.external_local) spec.text(11, "Local");
  spec.text(18, ip);
  return Bytes().part(1, metadata(name, "default")).part(2, spec).str();
}

std::string slice(const std::string& name, const std::string& service_name, const std::vector<std::string>& addresses) {
  Bytes out;
  out.part(1, metadata(name, "default", service_name));
  for (const std::string& address : addresses) {
    out.part(2, Bytes().text(1, address).part(2, Bytes().number(1, 1).number(2, 1).number(3, 0)).text(6, "n1"));
  }
  out.part(3, Bytes().text(1, "http").text(2, "TCP").number(3, 8080));
  out.part(3, Bytes().text(1, "dns").text(2, "UDP").number(3, 5353));
  return out.text(4, "IPv4").str();
}

std::string node(const std::string& name, const std::string& range) {
  return Bytes().part(1, metadata(name, "")).part(2, Bytes().text(1, range)).str();
}

class ProxyTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for network namespaces and iptables";
    lab_ = std::make_unique<NetLab>();
    lab_->add_stranger();
    NetworkSettings settings;
    settings.node = "n1";
    settings.bridge = "orlopt0";
    settings.conf_dir = lab_->folder() / "net.d";
    settings.bin_dir = "/usr/lib/cni";
    settings.data_dir = lab_->folder() / "data";
    network_ = std::make_unique<PodNetwork>(settings, lab_->runner());
    const Status prepared = network_->prepare("n1", {"10.244.7.0/24"});
    ASSERT_TRUE(prepared.is_ok()) << prepared.message();
    for (const char* pod : {"p1", "p2"}) {
      addresses_[pod] = lab_->add_pod(pod, std::string("sandbox-") + pod, settings.conf_dir);
      lab_->serve(pod, 8080, 5353);
    }
    kernel_ = std::make_unique<orlop::testing::FakeKernel>();
    put("nodes", "", "n1", node("n1", "10.244.7.0/24"));
    iptables_ = std::make_unique<Iptables>(lab_->runner(), GetParam());
    ProxySettings proxy;
    proxy.node = "n1";
    proxy_ = std::make_unique<Proxy>(kernel_->host(), proxy, lab_->runner(), *iptables_);
  }

  void put(const std::string& kind, const std::string& name_space, const std::string& name, const std::string& value) {
    v1::Write write;
    write.set_verb(kernel_->get_value(kind, name_space, name) ? v1::UPDATE : v1::CREATE);
    write.mutable_key()->set_kind(kind);
    write.mutable_key()->set_namespace_(name_space);
    write.mutable_key()->set_name(name);
    write.set_value(value);
    auto written = kernel_->write(write);
    ASSERT_TRUE(written) << written.message();
  }
  void put_service(const std::string& name, const std::string& ip, uint16_t node_port, ServiceOptions options = {}) {
    put("services", "default", name, service(name, ip, node_port, options));
  }
  void put_endpoints(const std::string& of, const std::vector<std::string>& addresses) {
    put("endpointslices.discovery.k8s.io", "default", of + "-1", slice(of + "-1", of, addresses));
  }
  void sync() { ASSERT_TRUE(proxy_->step()) << proxy_->state().failure; }
  std::string save(const std::string& table = "nat") {
    return lab_->run({std::string("iptables-") + GetParam() + "-save", "-t", table});
  }
  // Who answered, and how often.
  std::map<std::string, int> spread(const std::string& from, const std::string& address, uint16_t port, int times) {
    std::map<std::string, int> out;
    for (int i = 0; i < times; ++i) {
      const std::string answer = NetLab::ask(from, address, port);
      ++out[answer.substr(0, answer.find(' '))];
    }
    return out;
  }

  std::unique_ptr<NetLab> lab_;
  std::unique_ptr<PodNetwork> network_;
  std::unique_ptr<orlop::testing::FakeKernel> kernel_;
  std::unique_ptr<Iptables> iptables_;
  std::unique_ptr<Proxy> proxy_;
  std::map<std::string, std::string> addresses_;
};

TEST_P(ProxyTest, ClusterIpIsReachedFromEverywhereAndInEqualShares) {
  put_service("web", "10.96.0.10", 0);
  put_endpoints("web", {addresses_["p1"], addresses_["p2"]});
  sync();
  const auto shares = spread("", "10.96.0.10", 80, 100);
  EXPECT_THAT(shares, UnorderedElementsAre(Key("p1"), Key("p2")));
  EXPECT_GT(shares.at("p1"), 20);
  EXPECT_GT(shares.at("p2"), 20);
  // A machine that uses the node as its gateway to Services gets the answer from the Service.
  EXPECT_THAT(NetLab::ask("stranger", "10.96.0.10", 80), StartsWith("p"));
  EXPECT_THAT(NetLab::ask("", "10.96.0.10", 53, true), StartsWith("p"));
  EXPECT_EQ(proxy_->state().services, 1u);
  EXPECT_EQ(proxy_->state().endpoints, 4u);
  EXPECT_EQ(proxy_->state().revision, kernel_->revision());
}

TEST_P(ProxyTest, APodReachesItselfAndKeepsItsAddressTowardsOthers) {
  put_service("web", "10.96.0.10", 0);
  put_endpoints("web", {addresses_["p1"]});
  sync();
  EXPECT_THAT(NetLab::ask("p1", "10.96.0.10", 80), StartsWith("p1 "));
  EXPECT_EQ(NetLab::ask("p2", "10.96.0.10", 80), "p1 " + addresses_["p2"]);
  EXPECT_EQ(NetLab::ask("p2", addresses_["p1"], 8080), "p1 " + addresses_["p2"]);
}

TEST_P(ProxyTest, WhatLeavesThePodsNetworkHasTheNodesAddress) {
  lab_->serve("stranger", 8080, 5353);
  sync();
  EXPECT_EQ(NetLab::ask("p1", "192.0.2.2", 8080), "stranger 192.0.2.1");
}

TEST_P(ProxyTest, NodePortOnEveryAddress) {
  put_service("web", "10.96.0.10", 30080);
  put_endpoints("web", {addresses_["p1"], addresses_["p2"]});
  sync();
  EXPECT_THAT(NetLab::ask("stranger", "192.0.2.1", 30080), StartsWith("p"));
  EXPECT_THAT(NetLab::ask("", "192.0.2.1", 30080), StartsWith("p"));
  EXPECT_THAT(NetLab::ask("", "127.0.0.1", 30080), StartsWith("p"));
  EXPECT_THAT(NetLab::ask("p1", "192.0.2.1", 30080), StartsWith("p"));
}

TEST_P(ProxyTest, PolicyLocalShowsTheClientsAddress) {
  put_service("web", "10.96.0.10", 30080, {false, true});
  put_endpoints("web", {addresses_["p1"]});
  sync();
  EXPECT_EQ(NetLab::ask("stranger", "192.0.2.1", 30080), "p1 192.0.2.2");
}

TEST_P(ProxyTest, AffinityStaysWithOneEndpoint) {
  put_service("web", "10.96.0.10", 0, {true, false});
  put_endpoints("web", {addresses_["p1"], addresses_["p2"]});
  sync();
  EXPECT_EQ(spread("p2", "10.96.0.10", 80, 20).size(), 1u);
}

TEST_P(ProxyTest, ScalingIsFollowedAndTheLastOneRefuses) {
  put_service("web", "10.96.0.10", 30080);
  put_endpoints("web", {addresses_["p1"], addresses_["p2"]});
  sync();
  put_endpoints("web", {addresses_["p2"]});
  sync();
  EXPECT_THAT(spread("", "10.96.0.10", 80, 10), UnorderedElementsAre(Pair("p2", 10)));
  put_endpoints("web", {});
  sync();
  EXPECT_EQ(NetLab::ask("", "10.96.0.10", 80), "refused");
  EXPECT_EQ(NetLab::ask("p1", "10.96.0.10", 80), "refused");
  EXPECT_EQ(NetLab::ask("stranger", "192.0.2.1", 30080), "refused");
  put_endpoints("web", {addresses_["p1"]});
  sync();
  EXPECT_THAT(spread("", "10.96.0.10", 80, 5), UnorderedElementsAre(Pair("p1", 5)));
  ASSERT_TRUE(kernel_->remove("services", "default", "web").is_ok());
  sync();
  EXPECT_THAT(save(), Not(HasSubstr("ORLOP-SVC-")));
  EXPECT_THAT(save(), Not(HasSubstr("ORLOP-SEP-")));
}

TEST_P(ProxyTest, UdpFlowsFollowTheEndpoints) {
  put_service("dns", "10.96.0.53", 0);
  put_endpoints("dns", {addresses_["p1"]});
  sync();
  EXPECT_THAT(NetLab::ask("p2", "10.96.0.53", 53, true), StartsWith("p1 "));
  put_endpoints("dns", {addresses_["p2"]});
  sync();
  EXPECT_THAT(lab_->run({"conntrack", "-L", "-p", "udp"}), Not(HasSubstr("src=" + addresses_["p1"] + " dst=")));
}

TEST_P(ProxyTest, FlushedRulesComeBackAndOthersStay) {
  put_service("web", "10.96.0.10", 0);
  put_endpoints("web", {addresses_["p1"]});
  sync();
  const std::string program = std::string("iptables-") + GetParam();
  lab_->run({program, "-t", "nat", "-F"});
  lab_->run({program, "-t", "nat", "-N", "STRANGER"});
  EXPECT_NE(NetLab::ask("", "10.96.0.10", 80, false, 200).substr(0, 2), "p1");
  kernel_->advance(std::chrono::seconds(61));
  sync();
  EXPECT_THAT(NetLab::ask("", "10.96.0.10", 80), StartsWith("p1 "));
  EXPECT_THAT(save(), HasSubstr(":STRANGER"));
}

TEST_P(ProxyTest, AnotherProxyTakesOverWithoutADuplicate) {
  put_service("web", "10.96.0.10", 0);
  put_service("old", "10.96.0.11", 0);
  put_endpoints("web", {addresses_["p1"]});
  put_endpoints("old", {addresses_["p1"]});
  sync();
  // What is there is what was asked for, to the word: applying all anew changes nothing.
  put_service("sticky", "10.96.0.12", 30081, {true, true});
  put_endpoints("sticky", {addresses_["p1"], addresses_["p2"]});
  put_service("idle", "10.96.0.13", 30082);
  sync();
  NodeContext context;
  context.node = "n1";
  context.pod_cidrs = context.cluster_cidrs = {"10.244.7.0/24"};
  std::vector<ServiceRules> rules;
  auto sticky = decode_service(service("sticky", "10.96.0.12", 30081, {true, true}));
  auto endpoints = decode_endpoint_slice(slice("sticky-1", "sticky", {addresses_["p1"], addresses_["p2"]}));
  const EndpointSlice* slices[] = {&*endpoints};
  rules.push_back(rules_of(*sticky, slices, context));
  const SavedTables present = *iptables_->save();
  for (const auto& [chain, wanted] : rules[0].nat_chains) EXPECT_EQ(present.at("nat").at(chain), wanted);
  for (const auto& table : frame_of(context)) {
    for (const auto& [chain, wanted] : table.chains) {
      if (!wanted.empty()) {
        EXPECT_EQ(present.at(table.table).at(chain), wanted);
      }
    }
  }
  for (const auto& rule : rules[0].nat_services) EXPECT_THAT(present.at("nat").at("ORLOP-SERVICES"), Contains(rule));
  for (const auto& rule : rules[0].nat_node_ports) EXPECT_THAT(present.at("nat").at("ORLOP-NODEPORTS"), Contains(rule));
  auto idle = decode_service(service("idle", "10.96.0.13", 30082));
  for (const auto& rule : rules_of(*idle, {}, context).filter_services) {
    EXPECT_THAT(present.at("filter").at("ORLOP-SERVICES"), Contains(rule));
  }
  proxy_.reset();
  EXPECT_THAT(NetLab::ask("", "10.96.0.10", 80), StartsWith("p1 "));
  ASSERT_TRUE(kernel_->remove("services", "default", "old").is_ok());
  ProxySettings settings;
  settings.node = "n1";
  Iptables fresh(lab_->runner(), "auto");
  Proxy next(kernel_->host(), settings, lab_->runner(), fresh);
  ASSERT_TRUE(next.step());
  EXPECT_EQ(fresh.backend(), GetParam());
  const std::string now = save();
  EXPECT_THAT(now, Not(HasSubstr("10.96.0.11")));
  size_t jumps = 0;
  for (size_t at = 0; (at = now.find("-j ORLOP-SERVICES\n", at)) != std::string::npos; ++at) ++jumps;
  EXPECT_EQ(jumps, 2u);
}

TEST_P(ProxyTest, LeasesOfLostPodsAreFreed) {
  lab_->lose_pod("p2");
  const auto known = []() -> Result<std::set<std::string>> { return std::set<std::string>{"sandbox-p1"}; };
  const int64_t now = ::time(nullptr);
  EXPECT_EQ(*network_->free_leases(known, now, 120), 0u) << "one that is being made is not known yet";
  EXPECT_EQ(*network_->free_leases(known, now + 3600, 120), 1u);
  const auto leases = network_->lease_dir("n1") / "orlop";
  EXPECT_TRUE(std::filesystem::exists(leases / addresses_["p1"]));
  EXPECT_FALSE(std::filesystem::exists(leases / addresses_["p2"]));
}

INSTANTIATE_TEST_SUITE_P(Backend, ProxyTest, ::testing::Values("nft", "legacy"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace orlop::net
