#include "plugins/dns/answers.hpp"

#include "plugins/dns/records.hpp"
#include "plugins/dns/test_packets.hpp"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::packet_of;
using ::testing::UnorderedElementsAre;

const std::string kDomain = "cluster.local";

Service service_of(const std::string& name, const std::string& ip) {
  Service out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  out.mutable_spec()->set_clusterip(ip);
  auto& port = *out.mutable_spec()->add_ports();
  port.set_name("http");
  port.set_protocol("TCP");
  port.set_port(8000);
  return out;
}

EndpointSlice slice_of() {
  EndpointSlice out;
  out.set_addresstype("IPv4");
  auto& port = *out.add_ports();
  port.set_name("http");
  port.set_protocol("TCP");
  port.set_port(80);
  return out;
}

void add_endpoint(EndpointSlice& slice, const std::string& ip, const std::string& hostname, bool ready = true) {
  auto& endpoint = *slice.add_endpoints();
  endpoint.add_addresses(ip);
  if (!hostname.empty()) endpoint.set_hostname(hostname);
  endpoint.mutable_conditions()->set_ready(ready);
}

class AnswersTest : public ::testing::Test {
 protected:
  AnswersTest() : answers_(zone_, AnswerSettings{kDomain, 5}) {
    zone_.set("zone", zone_records(kDomain, "10.96.0.10", 7, 5));
    zone_.set("namespace/default", namespace_records(kDomain, "default"));
    put(service_of("web", "10.96.3.4"), {});
    EndpointSlice slice = slice_of();
    add_endpoint(slice, "10.244.0.5", "db-0");
    add_endpoint(slice, "10.244.0.6", "");
    add_endpoint(slice, "10.244.0.7", "db-2", false);
    put(service_of("db", "None"), {&slice});
    put(external("out", "www.example.com"), {});
    put(external("in", "web.default.svc.cluster.local."), {});
    put(external("through", "out.default.svc.cluster.local"), {});
  }

  static Service external(const std::string& name, const std::string& target) {
    Service out = service_of(name, "");
    out.mutable_spec()->set_type("ExternalName");
    out.mutable_spec()->set_externalname(target);
    return out;
  }

  void put(const Service& service, const std::vector<const EndpointSlice*>& slices) {
    zone_.set(service.metadata().name(), service_records(kDomain, service, slices));
  }

  testing::Read ask(const std::string& name, uint16_t type, bool edns = false, bool udp = true) {
    std::string out;
    fate_ = answers_.answer(packet_of(name, type, edns), udp, asked_, out);
    bytes_ = out.size();
    return fate_ == Fate::kAnswered ? testing::read(out) : testing::Read();
  }

  Zone zone_;
  Answers answers_;
  Asked asked_;
  Fate fate_ = Fate::kDrop;
  size_t bytes_ = 0;
};

TEST_F(AnswersTest, ServiceHasItsAddress) {
  const auto got = ask("web.default.svc.cluster.local", type::kA);
  EXPECT_EQ(got.rcode, 0);
  EXPECT_TRUE(got.authoritative);
  EXPECT_THAT(got.answer, ElementsAre("web.default.svc.cluster.local. 5 IN A 10.96.3.4"));
}

TEST_F(AnswersTest, LettersComeBackAsTheyWereAsked) {
  const auto got = ask("wEb.DEFAULT.svc.Cluster.LOCAL", type::kA);
  EXPECT_THAT(got.answer, ElementsAre("wEb.DEFAULT.svc.Cluster.LOCAL. 5 IN A 10.96.3.4"));
}

TEST_F(AnswersTest, NoSuchNameAndNoSuchRecordDiffer) {
  const auto none = ask("nobody.default.svc.cluster.local", type::kA);
  EXPECT_EQ(none.rcode, LDNS_RCODE_NXDOMAIN);
  ASSERT_EQ(none.authority.size(), 1u);
  EXPECT_EQ(none.authority[0],
            "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5");
  for (const char* name : {"web.default.svc.cluster.local", "default.svc.cluster.local", "svc.cluster.local",
                           "pod.cluster.local", "_tcp.web.default.svc.cluster.local"}) {
    const auto empty = ask(name, type::kAaaa);
    EXPECT_EQ(empty.rcode, 0) << name;
    EXPECT_THAT(empty.answer, IsEmpty()) << name;
    EXPECT_EQ(empty.authority.size(), 1u) << name;
  }
  EXPECT_EQ(ask("nowhere.svc.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
}

TEST_F(AnswersTest, ServicePorts) {
  const auto got = ask("_http._tcp.web.default.svc.cluster.local", type::kSrv);
  EXPECT_THAT(got.answer, ElementsAre("_http._tcp.web.default.svc.cluster.local. 5 IN SRV 0 100 8000 "
                                      "web.default.svc.cluster.local."));
  EXPECT_THAT(got.additional, ElementsAre("web.default.svc.cluster.local. 5 IN A 10.96.3.4"));
  EXPECT_EQ(ask("_http._udp.web.default.svc.cluster.local", type::kSrv).rcode, LDNS_RCODE_NXDOMAIN);
}

TEST_F(AnswersTest, HeadlessServiceIsItsReadyEndpoints) {
  EXPECT_THAT(ask("db.default.svc.cluster.local", type::kA).answer,
              UnorderedElementsAre("db.default.svc.cluster.local. 5 IN A 10.244.0.5",
                                   "db.default.svc.cluster.local. 5 IN A 10.244.0.6"));
  EXPECT_THAT(ask("db-0.db.default.svc.cluster.local", type::kA).answer,
              ElementsAre("db-0.db.default.svc.cluster.local. 5 IN A 10.244.0.5"));
  EXPECT_EQ(ask("10-244-0-6.db.default.svc.cluster.local", type::kA).answer.size(), 1u);
  EXPECT_EQ(ask("db-2.db.default.svc.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
  EXPECT_THAT(ask("_http._tcp.db.default.svc.cluster.local", type::kSrv).answer,
              UnorderedElementsAre("_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 50 80 "
                                   "db-0.db.default.svc.cluster.local.",
                                   "_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 50 80 "
                                   "10-244-0-6.db.default.svc.cluster.local."));
}

TEST_F(AnswersTest, NotReadyAddressesWhereTheServiceWantsThem) {
  EndpointSlice slice = slice_of();
  add_endpoint(slice, "10.244.0.7", "db-2", false);
  Service service = service_of("db", "None");
  put(service, {&slice});
  EXPECT_EQ(ask("db.default.svc.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
  service.mutable_spec()->set_publishnotreadyaddresses(true);
  put(service, {&slice});
  EXPECT_EQ(ask("db-2.db.default.svc.cluster.local", type::kA).answer.size(), 1u);
}

TEST_F(AnswersTest, AddressesHaveNames) {
  EXPECT_THAT(ask("4.3.96.10.in-addr.arpa", type::kPtr).answer,
              ElementsAre("4.3.96.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local."));
  EXPECT_THAT(ask("5.0.244.10.in-addr.arpa", type::kPtr).answer,
              ElementsAre("5.0.244.10.in-addr.arpa. 5 IN PTR db-0.db.default.svc.cluster.local."));
  ask("6.0.244.10.in-addr.arpa", type::kPtr);
  EXPECT_EQ(fate_, Fate::kForward);
}

TEST_F(AnswersTest, IPv6) {
  Service service = service_of("six", "fd00::4");
  put(service, {});
  EXPECT_THAT(ask("six.default.svc.cluster.local", type::kAaaa).answer,
              ElementsAre("six.default.svc.cluster.local. 5 IN AAAA fd00::4"));
  EXPECT_EQ(ask("4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", type::kPtr).answer.size(),
            1u);
}

TEST_F(AnswersTest, PodsByTheirAddress) {
  EXPECT_THAT(ask("10-244-0-9.default.pod.cluster.local", type::kA).answer,
              ElementsAre("10-244-0-9.default.pod.cluster.local. 5 IN A 10.244.0.9"));
  EXPECT_EQ(ask("10-244-0-9.default.pod.cluster.local", type::kAaaa).rcode, 0);
  EXPECT_EQ(ask("10-244-0-9.nowhere.pod.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
  EXPECT_EQ(ask("x-244-0-9.default.pod.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
}

TEST_F(AnswersTest, ExternalNames) {
  EXPECT_THAT(ask("out.default.svc.cluster.local", type::kCname).answer,
              ElementsAre("out.default.svc.cluster.local. 5 IN CNAME www.example.com."));
  ask("out.default.svc.cluster.local", type::kA);
  EXPECT_EQ(fate_, Fate::kForward);
  EXPECT_EQ(asked_.onward.key, *name_of("www.example.com"));
  ASSERT_EQ(asked_.before.size(), 1u);
  ask("through.default.svc.cluster.local", type::kA);
  EXPECT_EQ(fate_, Fate::kForward);
  EXPECT_EQ(asked_.before.size(), 2u);
  EXPECT_THAT(ask("in.default.svc.cluster.local", type::kA).answer,
              ElementsAre("in.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.",
                          "web.default.svc.cluster.local. 5 IN A 10.96.3.4"));
  put(external("circle", "circle.default.svc.cluster.local"), {});
  EXPECT_EQ(ask("circle.default.svc.cluster.local", type::kA).rcode, 0);
}

TEST_F(AnswersTest, TheZoneItself) {
  EXPECT_THAT(ask("dns-version.cluster.local", type::kTxt).answer,
              ElementsAre("dns-version.cluster.local. 5 IN TXT \"1.1.0\""));
  EXPECT_EQ(ask("cluster.local", type::kSoa).answer.size(), 1u);
  EXPECT_THAT(ask("cluster.local", type::kNs).additional, ElementsAre("ns.dns.cluster.local. 5 IN A 10.96.0.10"));
  ask("cluster.local", type::kAxfr);
  EXPECT_EQ(ask("cluster.local", type::kAxfr).rcode, LDNS_RCODE_REFUSED);
}

TEST_F(AnswersTest, WhatDoesNotFitIsTruncated) {
  EndpointSlice slice = slice_of();
  for (int i = 1; i < 200; ++i) add_endpoint(slice, "10.244.1." + std::to_string(i), "");
  put(service_of("many", "None"), {&slice});
  auto got = ask("many.default.svc.cluster.local", type::kA);
  EXPECT_TRUE(got.truncated);
  EXPECT_LE(bytes_, 512u);
  got = ask("many.default.svc.cluster.local", type::kA, true);
  EXPECT_TRUE(got.truncated);
  EXPECT_LE(bytes_, 1232u);
  got = ask("many.default.svc.cluster.local", type::kA, false, false);
  EXPECT_FALSE(got.truncated);
  EXPECT_EQ(got.answer.size(), 199u);
}

TEST_F(AnswersTest, ChangesTakeTheFormerBack) {
  put(service_of("web", "10.96.9.9"), {});
  EXPECT_THAT(ask("web.default.svc.cluster.local", type::kA).answer,
              ElementsAre("web.default.svc.cluster.local. 5 IN A 10.96.9.9"));
  ask("4.3.96.10.in-addr.arpa", type::kPtr);
  EXPECT_EQ(fate_, Fate::kForward);
  zone_.set("web", {});
  EXPECT_EQ(ask("web.default.svc.cluster.local", type::kA).rcode, LDNS_RCODE_NXDOMAIN);
}

TEST_F(AnswersTest, OtherNamesAreForwarded) {
  ask("www.example.com", type::kA);
  EXPECT_EQ(fate_, Fate::kForward);
  ask("notcluster.local", type::kA);
  EXPECT_EQ(fate_, Fate::kForward);
}

TEST_F(AnswersTest, MalformedPackets) {
  std::string out;
  const auto rcode_of = [&](std::string packet) {
    EXPECT_EQ(answers_.answer(packet, true, asked_, out), Fate::kAnswered);
    return testing::read(out).rcode;
  };
  const std::string good = packet_of("web.default.svc.cluster.local", type::kA, true);
  EXPECT_EQ(answers_.answer("short", true, asked_, out), Fate::kDrop);
  std::string answer = good;
  answer[2] = static_cast<char>(0x80);
  EXPECT_EQ(answers_.answer(answer, true, asked_, out), Fate::kDrop);
  EXPECT_EQ(rcode_of(good.substr(0, 20)), LDNS_RCODE_FORMERR);
  EXPECT_EQ(rcode_of(good.substr(0, good.size() - 1)), LDNS_RCODE_FORMERR);
  std::string two = good;
  two[5] = 2;
  EXPECT_EQ(rcode_of(two), LDNS_RCODE_FORMERR);
  std::string update = good;
  update[2] = 5 << 3;
  EXPECT_EQ(rcode_of(update), LDNS_RCODE_NOTIMPL);
  std::string version = good;
  version[version.size() - 5] = 1;
  EXPECT_EQ(rcode_of(version), 16);
  std::string pointer = good;
  pointer[12] = static_cast<char>(0xc0);
  EXPECT_EQ(rcode_of(pointer), LDNS_RCODE_FORMERR);
}

// Whatever comes, what goes out can be read and is within its bounds.
TEST_F(AnswersTest, RandomPackets) {
  std::mt19937 random(20261124);
  const std::string good = packet_of("_http._tcp.db.default.svc.cluster.local", type::kSrv, true);
  std::string out;
  for (int i = 0; i < 20'000; ++i) {
    std::string packet = good;
    if (i % 4 == 0) {
      packet.resize(random() % 600);
      for (char& c : packet) c = static_cast<char>(random());
    } else {
      for (unsigned n = random() % 4 + 1; n > 0; --n) packet[random() % packet.size()] = static_cast<char>(random());
      packet.resize(packet.size() - random() % 3);
    }
    if (answers_.answer(packet, true, asked_, out) != Fate::kAnswered) continue;
    ASSERT_LE(out.size(), 1232u);
    ASSERT_GE(out.size(), 12u);
    ASSERT_TRUE(testing::read(out).readable) << i;
  }
}

}  // namespace
}  // namespace orlop::dns
