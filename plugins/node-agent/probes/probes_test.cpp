// Thresholds, times and texts of probes, without a network.
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/probes/grpc_reply.hpp"
#include "plugins/node-agent/probes/http_check.hpp"
#include "plugins/node-agent/probes/prober.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
constexpr int64_t kSecondNs = 1'000'000'000;

core::Probe probe(int period, int success, int failure, int delay = 0) {
  core::Probe out;
  out.mutable_handler()->mutable_exec()->add_command("true");
  out.set_periodseconds(period);
  out.set_timeoutseconds(1);
  out.set_successthreshold(success);
  out.set_failurethreshold(failure);
  out.set_initialdelayseconds(delay);
  return out;
}

TEST(ProbeStateTest, AValueChangesAfterAsManyAnswersInARow) {
  ProbeState state(ProbeKind::kReadiness, probe(10, 2, 3), false);
  EXPECT_FALSE(state.record(CheckOutcome::kSuccess));
  EXPECT_FALSE(state.record(CheckOutcome::kFailure));
  EXPECT_FALSE(state.record(CheckOutcome::kSuccess));
  EXPECT_TRUE(state.record(CheckOutcome::kWarning));
  EXPECT_TRUE(state.passed());
  EXPECT_FALSE(state.record(CheckOutcome::kFailure));
  EXPECT_FALSE(state.record(CheckOutcome::kFailure));
  EXPECT_FALSE(state.record(CheckOutcome::kUnknown));
  EXPECT_TRUE(state.record(CheckOutcome::kFailure));
  EXPECT_FALSE(state.passed());
  EXPECT_FALSE(state.has_failed());
}

TEST(ProbeStateTest, LivenessFailsForGood) {
  ProbeState state(ProbeKind::kLiveness, probe(10, 1, 2), true);
  EXPECT_FALSE(state.record(CheckOutcome::kFailure));
  EXPECT_TRUE(state.record(CheckOutcome::kFailure));
  EXPECT_TRUE(state.has_failed());
  EXPECT_FALSE(state.record(CheckOutcome::kSuccess));
  EXPECT_TRUE(state.has_failed());
}

TEST(ProbeStateTest, AYoungContainerIsAskedEachSecond) {
  ProbeState state(ProbeKind::kReadiness, probe(10, 1, 3), false);
  EXPECT_EQ(state.next_after_ns(2 * kSecondNs), kSecondNs);
  EXPECT_EQ(state.next_after_ns(11 * kSecondNs), 10 * kSecondNs);
  state.record(CheckOutcome::kSuccess);
  EXPECT_EQ(state.next_after_ns(2 * kSecondNs), 10 * kSecondNs);
}

TEST(CheckTest, NamedPortsHostsAndPaths) {
  core::Container container;
  auto* port = container.add_ports();
  port->set_name("web");
  port->set_containerport(8080);
  core::ProbeHandler handler;
  handler.mutable_httpget()->mutable_port()->set_type(1);
  handler.mutable_httpget()->mutable_port()->set_strval("web");
  handler.mutable_httpget()->set_path("healthz?x=1");
  handler.mutable_httpget()->set_scheme("HTTPS");
  auto check = make_check(handler, container, "10.0.0.9");
  ASSERT_TRUE(check);
  const auto& http = std::get<HttpCheck>(check->what);
  EXPECT_EQ(http.port, 8080);
  EXPECT_EQ(http.host, "10.0.0.9");
  EXPECT_EQ(http.path, "/healthz?x=1");
  EXPECT_TRUE(http.tls);
  handler.mutable_httpget()->mutable_port()->set_strval("nothing");
  EXPECT_EQ(make_check(handler, container, "10.0.0.9").message(), "strconv.Atoi: parsing \"nothing\": invalid syntax");
}

TEST(HttpRedirectTest, WithinTheHostAndAway) {
  HttpCheck from{false, "10.0.0.1", 8080, "/a/b?c", {}, ""};
  auto relative = follow_location(from, "d");
  EXPECT_EQ(relative->target.path, "/a/d");
  EXPECT_TRUE(relative->same_host);
  EXPECT_EQ(follow_location(from, "/x?y#z")->target.path, "/x?y");
  auto secure = follow_location(from, "https://10.0.0.1/ok");
  EXPECT_TRUE(secure->same_host);
  EXPECT_TRUE(secure->target.tls);
  EXPECT_EQ(secure->target.port, 443);
  EXPECT_FALSE(follow_location(from, "http://elsewhere:81/ok")->same_host);
  EXPECT_EQ(follow_location(from, "http://elsewhere:81")->target.port, 81);
  EXPECT_FALSE(follow_location(from, "ftp://10.0.0.1/"));
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

TEST(HpackTest, ExamplesOfTheSpecification) {
  // RFC 7541 C.4.1 and C.6.1.
  EXPECT_EQ(huffman_decode(bytes({0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff})),
            "www.example.com");
  EXPECT_EQ(huffman_decode(bytes({0x64, 0x02})), "302");
  EXPECT_FALSE(huffman_decode(bytes({0x00})));
  const auto headers = decode_headers(bytes({0x88, 0x40, 0x0b}) + "grpc-status" + bytes({0x02}) + "12");
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->at(":status"), "200");
  EXPECT_EQ(headers->at("grpc-status"), "12");
  EXPECT_FALSE(decode_headers(bytes({0xff})));
}

std::string frame(int type, int flags, int stream, const std::string& payload) {
  return bytes({0, 0, static_cast<int>(payload.size()), type, flags, 0, 0, 0, stream}) + payload;
}

TEST(GrpcReplyTest, WhatAnAnswerMeans) {
  const std::string head = frame(4, 0, 0, "") + frame(1, 0x4, 1, bytes({0x88}));
  const std::string trailers = frame(1, 0x5, 1, bytes({0x00, 0x0b}) + "grpc-status" + bytes({0x01}) + "0");
  const auto serving = [&](int status) { return frame(0, 0, 1, bytes({0, 0, 0, 0, 2, 0x08, status})); };
  GrpcReply good;
  EXPECT_FALSE(good.feed(head));
  EXPECT_EQ(good.take_output(), frame(4, 1, 0, ""));
  const std::string rest = serving(1) + trailers;
  std::optional<CheckResult> result;
  for (const char byte : rest) result = good.feed({&byte, 1});  // byte by byte
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, CheckOutcome::kSuccess);
  GrpcReply bad;
  EXPECT_EQ(bad.feed(head + serving(2) + trailers)->output, "service unhealthy (responded with \"NOT_SERVING\")");
  GrpcReply absent;
  EXPECT_EQ(absent
                .feed(frame(1, 0x5, 1,
                            bytes({0x88, 0x00, 0x0b}) + "grpc-status" + bytes({0x02}) + "12" + bytes({0x00, 0x0c}) +
                                "grpc-message" + bytes({0x05}) + "no%20"))
                ->output,
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no ");
  GrpcReply http1;
  EXPECT_EQ(http1.feed("HTTP/1.1 400 Bad Request\r\n")->outcome, CheckOutcome::kFailure);
}

// Answers at once with what the test says.
class FakeChecks final : public CheckRunner {
 public:
  void run(const Check& check, CheckDone done) override {
    ++asked[check.container_id];
    done({outcome, "words"});
  }
  CheckOutcome outcome = CheckOutcome::kSuccess;
  std::map<std::string, int> asked;
};

class ProberTest : public ::testing::Test {
 protected:
  ProberTest() {
    pod_.mutable_metadata()->set_name("p");
    pod_.mutable_metadata()->set_namespace_("default");
    pod_.mutable_metadata()->set_uid("u");
    container_.set_name("c");
  }
  void follow(bool was_started = false, bool was_ready = false) {
    Probed probed;
    probed.container = &container_;
    probed.id = "id";
    probed.started_at_ns = kernel_.wall_now_ns();
    probed.was_started = was_started;
    probed.was_ready = was_ready;
    prober_.follow(key_, pod_, "10.0.0.9", {probed}, false);
  }
  void pass(std::chrono::milliseconds time) {
    for (auto left = time; left > 0ms; left -= 100ms) {
      kernel_.advance(100ms);
      prober_.tick();
    }
  }

  testing::FakeKernel kernel_;
  FakeChecks checks_;
  EventRecorder events_{kernel_.host(), "kubelet", "n1"};
  int changes_ = 0;
  Prober prober_{kernel_.host(), checks_, events_, {[this](const ObjectKey&) { ++changes_; }, [](int64_t) {}}};
  ObjectKey key_{"default", "p"};
  kube::Pod pod_;
  core::Container container_;
};

TEST_F(ProberTest, ReadinessTurnsAtOnceAndIsAskedEachPeriod) {
  *container_.mutable_readinessprobe() = probe(10, 1, 3);
  follow();
  EXPECT_FALSE(prober_.verdict("id").ready);
  EXPECT_TRUE(prober_.verdict("id").started);
  prober_.tick();
  EXPECT_TRUE(prober_.verdict("id").ready);
  EXPECT_EQ(changes_, 1);
  pass(30s);
  EXPECT_EQ(checks_.asked["id"], 4);
  checks_.outcome = CheckOutcome::kFailure;
  pass(20s);
  EXPECT_TRUE(prober_.verdict("id").ready);
  pass(10s);
  EXPECT_FALSE(prober_.verdict("id").ready);
  EXPECT_EQ(changes_, 2);
}

TEST_F(ProberTest, StartupGatesTheOthers) {
  *container_.mutable_startupprobe() = probe(1, 1, 10);
  *container_.mutable_livenessprobe() = probe(1, 1, 1);
  *container_.mutable_readinessprobe() = probe(1, 1, 1);
  checks_.outcome = CheckOutcome::kFailure;
  follow();
  pass(5s);
  EXPECT_FALSE(prober_.verdict("id").started);
  EXPECT_FALSE(prober_.verdict("id").failed);
  checks_.outcome = CheckOutcome::kSuccess;
  pass(2s);
  EXPECT_TRUE(prober_.verdict("id").started);
  EXPECT_TRUE(prober_.verdict("id").ready);
  checks_.outcome = CheckOutcome::kFailure;
  pass(2s);
  ASSERT_TRUE(prober_.verdict("id").failed);
  EXPECT_EQ(*prober_.verdict("id").failed, ProbeKind::kLiveness);
  const int asked = checks_.asked["id"];
  pass(5s);
  EXPECT_EQ(checks_.asked["id"], asked + 5);  // readiness alone goes on
}

TEST_F(ProberTest, WhatWasReadyStaysReadyUntilItFails) {
  *container_.mutable_readinessprobe() = probe(10, 1, 1);
  follow(true, true);
  EXPECT_TRUE(prober_.verdict("id").ready);
  checks_.outcome = CheckOutcome::kFailure;
  pass(11s);
  EXPECT_FALSE(prober_.verdict("id").ready);
}

TEST_F(ProberTest, AnInitialDelayIsKept) {
  *container_.mutable_livenessprobe() = probe(1, 1, 1, 5);
  checks_.outcome = CheckOutcome::kFailure;
  follow();
  pass(4s);
  EXPECT_EQ(checks_.asked["id"], 0);
  pass(2s);
  EXPECT_TRUE(prober_.verdict("id").failed);
}

TEST_F(ProberTest, WhatEndedIsForgotten) {
  *container_.mutable_readinessprobe() = probe(1, 1, 1);
  follow();
  pass(1s);
  prober_.follow(key_, pod_, "", {}, false);
  const int asked = checks_.asked["id"];
  pass(5s);
  EXPECT_EQ(checks_.asked["id"], asked);
  EXPECT_FALSE(prober_.tick());
}

}  // namespace
}  // namespace orlop::agent
