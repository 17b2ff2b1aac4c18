// The text of rules, word by word, and what iptables-restore is given.
#include "plugins/net-iptables/rules.hpp"

#include "plugins/net-iptables/table.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

NodeContext context() {
  NodeContext out;
  out.node = "n1";
  out.pod_cidrs = {"10.244.0.0/24"};
  out.cluster_cidrs = {"10.244.0.0/24", "10.244.1.0/24"};
  return out;
}

Service web() {
  Service out;
  out.id = {"default", "web"};
  out.cluster_ips = {"10.96.0.10"};
  out.ports = {{"http", Protocol::kTcp, 80, 0}};
  return out;
}

EndpointSlice slice(std::vector<Endpoint> endpoints, std::string port = "http") {
  EndpointSlice out;
  out.service = {"default", "web"};
  out.ports = {{std::move(port), Protocol::kTcp, 8080}};
  out.endpoints = std::move(endpoints);
  return out;
}

Endpoint at(std::string address, std::string node = "n1") {
  Endpoint out;
  out.addresses = {std::move(address)};
  out.node = std::move(node);
  return out;
}

ServiceRules make(const Service& service, const EndpointSlice& endpoints, const NodeContext& where = context()) {
  const EndpointSlice* slices[] = {&endpoints};
  return rules_of(service, slices, where);
}

// Every hash in its place, so that a text can be compared: chains by prefix, in the order of the map.
std::string text_of(const ServiceRules& rules) {
  std::string out;
  for (const auto& [chain, list] : rules.nat_chains) {
    for (const auto& rule : list) out += chain + " " + rule + "\n";
  }
  for (const auto& rule : rules.nat_services) out += "SERVICES " + rule + "\n";
  for (const auto& rule : rules.nat_node_ports) out += "NODEPORTS " + rule + "\n";
  for (const auto& rule : rules.filter_services) out += "FILTER " + rule + "\n";
  // The two endpoints' chains are named in the order of their first use.
  for (const std::string prefix : {"ORLOP-SVC-", "ORLOP-SVL-", "ORLOP-EXT-", "ORLOP-SEP-"}) {
    int number = 0;
    size_t from = 0;
    while ((from = out.find(prefix, from)) != std::string::npos) {
      const std::string name = out.substr(from, prefix.size() + 16);
      const std::string plain = prefix.substr(6, 3) + std::to_string(++number);
      for (size_t p = 0; (p = out.find(name, p)) != std::string::npos;) out.replace(p, name.size(), plain);
    }
  }
  return out;
}

std::string text_of(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += text;
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Rules, OneEndpointBehindAClusterIp) {
  EXPECT_EQ(text_of(make(web(), slice({at("10.244.0.5")}))),
            "SEP1 -s 10.244.0.5/32 -j ORLOP-MARK-MASQ\n"
            "SEP1 -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:8080\n"
            "SVC1 ! -s 10.244.0.0/24 -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j ORLOP-MARK-MASQ\n"
            "SVC1 -j SEP1\n"
            "SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -m comment --comment \"default/web:http\" -j SVC1\n");
}

TEST(Rules, EndpointsGetEqualShares) {
  const auto rules = make(web(), slice({at("10.244.0.5"), at("10.244.0.6"), at("10.244.1.7", "n2")}));
  const auto text = text_of(rules);
  EXPECT_THAT(text, HasSubstr("--probability 0.33333333349 -j"));
  EXPECT_THAT(text, HasSubstr("--probability 0.50000000000 -j"));
  EXPECT_EQ(rules.endpoints, 3u);
  EXPECT_THAT(rules.nat_chains, SizeIs(4));
}

TEST(Rules, TheSameEndpointInTwoSlicesCountsOnce) {
  const EndpointSlice a = slice({at("10.244.0.5")});
  const EndpointSlice b = slice({at("10.244.0.5")});
  const EndpointSlice* slices[] = {&a, &b};
  EXPECT_EQ(rules_of(web(), slices, context()).endpoints, 1u);
}

TEST(Rules, NobodyServesSoItIsRefused) {
  Service service = web();
  service.ports[0].node_port = 30080;
  service.external_ips = {"203.0.113.9"};
  EXPECT_EQ(text_of(make(service, slice({}))),
            "FILTER -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -m comment --comment \"default/web:http has no "
            "endpoints\" -j REJECT --reject-with icmp-port-unreachable\n"
            "FILTER -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -m comment --comment \"default/web:http has no "
            "endpoints\" -j REJECT --reject-with icmp-port-unreachable\n"
            "FILTER -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 30080 -m comment --comment \"default/web:http "
            "has no endpoints\" -j REJECT --reject-with icmp-port-unreachable\n");
}

TEST(Rules, NodePortMasquerades) {
  Service service = web();
  service.ports[0].node_port = 30080;
  const auto text = text_of(make(service, slice({at("10.244.0.5")})));
  EXPECT_THAT(text, HasSubstr("EXT1 -j ORLOP-MARK-MASQ\nEXT1 -j SVC1\n"));
  EXPECT_THAT(text,
              HasSubstr("NODEPORTS -p tcp -m tcp --dport 30080 -m comment --comment \"default/web:http\" -j EXT1\n"));
}

TEST(Rules, ExternalPolicyLocalKeepsTheSource) {
  Service service = web();
  service.ports[0].node_port = 30080;
  service.external_local = true;
  const auto here = text_of(make(service, slice({at("10.244.0.5"), at("10.244.1.7", "n2")})));
  EXPECT_THAT(here, HasSubstr("EXT1 -s 10.244.0.0/24 -j SVC1\n"
                              "EXT1 -m addrtype --src-type LOCAL -j ORLOP-MARK-MASQ\n"
                              "EXT1 -m addrtype --src-type LOCAL -j SVC1\n"
                              "EXT1 -j SVL1\n"));
  EXPECT_THAT(here, Not(HasSubstr("FILTER")));
  const auto elsewhere = text_of(make(service, slice({at("10.244.1.7", "n2")})));
  EXPECT_THAT(elsewhere, Not(HasSubstr("SVL1")));
  EXPECT_THAT(elsewhere, HasSubstr("FILTER -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 30080 -m comment "
                                   "--comment \"default/web:http has no local endpoints\" -j DROP\n"));
}

TEST(Rules, InternalPolicyLocal) {
  Service service = web();
  service.internal_local = true;
  const auto rules = make(service, slice({at("10.244.0.5"), at("10.244.1.7", "n2")}));
  EXPECT_THAT(rules.nat_services, ElementsAre(HasSubstr("-j ORLOP-SVL-")));
  const auto none = make(service, slice({at("10.244.1.7", "n2")}));
  EXPECT_THAT(none.nat_services, IsEmpty());
  EXPECT_THAT(none.filter_services, ElementsAre(HasSubstr("-j DROP")));
}

TEST(Rules, AffinityRemembersTheClient) {
  Service service = web();
  service.affinity = true;
  service.affinity_s = 60;
  const auto text = text_of(make(service, slice({at("10.244.0.5"), at("10.244.0.6")})));
  EXPECT_THAT(
      text, HasSubstr("-m recent --rcheck --seconds 60 --reap --name SEP1 --mask 255.255.255.255 --rsource -j SEP1\n"));
  EXPECT_THAT(text, HasSubstr("-m recent --set --name SEP1 --mask 255.255.255.255 --rsource -j DNAT --to-destination"));
}

TEST(Rules, ReadyOnesThenThoseThatServeWhileTheyEnd) {
  Endpoint ending = at("10.244.0.6");
  ending.ready = false;
  ending.terminating = true;
  Endpoint dead = at("10.244.0.7");
  dead.ready = dead.serving = false;
  EXPECT_THAT(text_of(make(web(), slice({at("10.244.0.5"), ending, dead}))), Not(HasSubstr("10.244.0.6")));
  const auto last = text_of(make(web(), slice({ending, dead})));
  EXPECT_THAT(last, HasSubstr("10.244.0.6:8080"));
  EXPECT_THAT(last, Not(HasSubstr("10.244.0.7")));
}

TEST(Rules, PortsAreMatchedByNameAndProtocol) {
  Service service = web();
  service.ports = {{"http", Protocol::kTcp, 80, 0}, {"dns", Protocol::kUdp, 53, 0}};
  EndpointSlice both = slice({at("10.244.0.5")});
  both.ports.push_back({"dns", Protocol::kUdp, 5353});
  const auto rules = make(service, both);
  const auto text = text_of(rules);
  EXPECT_THAT(text, HasSubstr("-p udp -m udp -j DNAT --to-destination 10.244.0.5:5353\n"));
  EXPECT_THAT(text, HasSubstr("-p tcp -m tcp -j DNAT --to-destination 10.244.0.5:8080\n"));
  ASSERT_THAT(rules.udp, SizeIs(1));
  EXPECT_EQ(rules.udp[0].address, "10.96.0.10");
  EXPECT_THAT(rules.udp[0].endpoints, ElementsAre("10.244.0.5"));
}

TEST(Rules, BalancerAddressForSomeSourcesOnly) {
  Service service = web();
  service.balancer_ips = {"203.0.113.9"};
  service.source_ranges = {"198.51.100.0/24"};
  const auto text = text_of(make(service, slice({at("10.244.0.5")})));
  EXPECT_THAT(text, HasSubstr("SERVICES -s 198.51.100.0/24 -d 203.0.113.9/32 -p tcp -m tcp --dport 80"));
  EXPECT_THAT(text, HasSubstr("FILTER -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -m comment --comment "
                              "\"default/web:http is not for this source\" -j DROP\n"));
}

TEST(Rules, HeadlessAndForeignOnesHaveNone) {
  Service service = web();
  service.proxied = false;
  EXPECT_EQ(text_of(make(service, slice({at("10.244.0.5")}))), "");
}

TEST(Rules, ANameCannotEndAQuotedWordOrALine) {
  Service service = web();
  service.ports[0].name = "x\"\n-j DROP";
  EndpointSlice endpoints = slice({at("10.244.0.5")}, service.ports[0].name);
  EXPECT_THAT(text_of(make(service, endpoints)), HasSubstr("--comment \"default/web:x__-j DROP\""));
}

TEST(Rules, ChainNamesFitTheKernel) {
  for (const auto& [chain, rules] : make(web(), slice({at("10.244.0.5")})).nat_chains) {
    EXPECT_LE(chain.size(), 28u);
    EXPECT_TRUE(is_service_chain(chain));
  }
}

TEST(Frame, LeavingThePodsNetworkIsMasqueraded) {
  const auto frame = frame_of(context());
  ASSERT_THAT(frame, SizeIs(2));
  EXPECT_THAT(frame[0].chains.at("ORLOP-POSTROUTING"),
              ElementsAre("-m mark --mark 0x4000/0x4000 -j ORLOP-MASQ", "-s 10.244.0.0/24 -j ORLOP-EGRESS"));
  EXPECT_THAT(frame[0].chains.at("ORLOP-EGRESS"),
              ElementsAre("-d 10.244.0.0/24 -j RETURN", "-d 10.244.1.0/24 -j RETURN", "-d 224.0.0.0/4 -j RETURN",
                          "-j MASQUERADE --random-fully"));
}

TEST(Frame, WithoutLoopbackNodePorts) {
  NodeContext where = context();
  where.localhost_node_ports = false;
  const auto frame = frame_of(where);
  EXPECT_THAT(frame[0].services_last, ElementsAre("! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j ORLOP-NODEPORTS"));
  EXPECT_THAT(frame[1].chains.at("ORLOP-FIREWALL"), IsEmpty());
}

// ---------------------------------------------------------------------------------------------- restore

TEST(Restore, AChangeHoldsOnlyWhatDiffers) {
  const auto before = make(web(), slice({at("10.244.0.5"), at("10.244.0.6")}));
  const auto after = make(web(), slice({at("10.244.0.5")}));
  const ServiceChange change{&before, &after};
  const std::string text = delta_restore({&change, 1});
  EXPECT_THAT(text, HasSubstr("*nat\n:ORLOP-SVC-"));
  EXPECT_THAT(text, HasSubstr("-X ORLOP-SEP-"));
  EXPECT_THAT(text, Not(HasSubstr("10.244.0.5:8080")));  // that endpoint's chain stays as it is
  EXPECT_THAT(text, Not(HasSubstr("ORLOP-SERVICES")));
  EXPECT_THAT(text, Not(HasSubstr("*filter")));
}

TEST(Restore, TheLastEndpointGoes) {
  const auto before = make(web(), slice({at("10.244.0.5")}));
  const auto after = make(web(), slice({}));
  const ServiceChange change{&before, &after};
  const std::string text = delta_restore({&change, 1});
  EXPECT_THAT(text, HasSubstr("-D ORLOP-SERVICES -d 10.96.0.10/32"));
  EXPECT_THAT(text, HasSubstr("*filter\n-I ORLOP-SERVICES -d 10.96.0.10/32"));
  EXPECT_LT(text.find("-D ORLOP-SERVICES"), text.find("-X ORLOP-SVC-"));
}

TEST(Restore, NothingForNothing) {
  const auto rules = make(web(), slice({at("10.244.0.5")}));
  const ServiceChange change{&rules, &rules};
  EXPECT_EQ(delta_restore({&change, 1}), "");
}

TEST(Restore, AllRemovesWhatIsStaleAndKeepsOthers) {
  const auto rules = make(web(), slice({at("10.244.0.5")}));
  const ServiceRules* all[] = {&rules};
  const SavedTables present = parse_save(
      "*nat\n:PREROUTING ACCEPT [0:0]\n:ORLOP-SVC-OLD - [0:0]\n:DOCKER - [0:0]\n"
      "-A PREROUTING -m comment --comment \"orlop: services\" -j ORLOP-SERVICES\n-A DOCKER -j RETURN\nCOMMIT\n");
  const auto lines = lines_of(text_of(resync_restore(frame_of(context()), all, present)));
  EXPECT_THAT(lines, ::testing::Contains("-X ORLOP-SVC-OLD"));
  EXPECT_THAT(lines, Not(::testing::Contains(HasSubstr("DOCKER"))));
  EXPECT_THAT(lines, Not(::testing::Contains(HasSubstr("-I PREROUTING"))));
  EXPECT_THAT(lines, ::testing::Contains("-I OUTPUT -m comment --comment \"orlop: services\" -j ORLOP-SERVICES"));
}

// As iptables-save would print what a text has made.
SavedTables played(const std::vector<std::string>& texts) {
  SavedTables out;
  for (const std::string& text : texts) {
    SavedTable* table = nullptr;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      const std::string row = text.substr(at, end - at);
      at = end + 1;
      if (row[0] == '*') table = &out[row.substr(1)];
      if (row[0] == ':') (*table)[row.substr(1, row.find(' ') - 1)].clear();
      if (row[0] != '-') continue;
      const size_t blank = std::min(row.find(' ', 3), row.size());
      const std::string rule = row.substr(std::min(blank + 1, row.size()));
      const std::string chain = row.substr(3, blank - 3);
      Rules& rules = (*table)[chain];
      if (row[1] == 'A') rules.push_back(rule);
      if (row[1] == 'I') rules.insert(rules.begin(), rule);
      if (row[1] == 'D') rules.erase(std::find(rules.begin(), rules.end(), rule));
      if (row[1] == 'X') table->erase(chain);
    }
  }
  return out;
}

TEST(Restore, AllInPiecesIsAllAndAgainIsNothing) {
  std::vector<ServiceRules> rules;
  for (int i = 0; i < 10; ++i) {
    Service service = web();
    service.id.name += std::to_string(i);
    service.cluster_ips = {"10.96.1." + std::to_string(i)};
    service.ports[0].node_port = static_cast<uint16_t>(30000 + i);
    rules.push_back(make(service, slice(i == 3 ? std::vector<Endpoint>{} : std::vector{at("10.244.0.5")})));
  }
  std::vector<const ServiceRules*> all;
  for (const auto& each : rules) all.push_back(&each);
  const auto frame = frame_of(context());
  const auto whole = resync_restore(frame, all, {});
  const auto pieces = resync_restore(frame, all, {}, 3);
  EXPECT_THAT(whole, SizeIs(1));
  EXPECT_THAT(pieces, SizeIs(4));
  const SavedTables present = played(pieces);
  EXPECT_EQ(difference(frame, all, present), "");
  EXPECT_EQ(present.at("nat").at("ORLOP-SERVICES").back(), "-m addrtype --dst-type LOCAL -j ORLOP-NODEPORTS");
  EXPECT_THAT(resync_restore(frame, all, present), IsEmpty());
  // Fewer Services: only theirs goes.
  all.resize(9);
  const auto less = text_of(resync_restore(frame, all, present));
  EXPECT_THAT(less, HasSubstr("-D ORLOP-SERVICES -d 10.96.1.9/32"));
  EXPECT_THAT(less, HasSubstr("-D ORLOP-NODEPORTS -p tcp -m tcp --dport 30009"));
  EXPECT_THAT(less, Not(HasSubstr("10.96.1.8")));
}

TEST(Restore, WhatIsMissingIsNamed) {
  const auto rules = make(web(), slice({at("10.244.0.5")}));
  const ServiceRules* all[] = {&rules};
  EXPECT_THAT(difference(frame_of(context()), all, {}), HasSubstr("is gone"));
}

}  // namespace
}  // namespace orlop::net
