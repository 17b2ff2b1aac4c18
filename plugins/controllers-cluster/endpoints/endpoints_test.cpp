#include "plugins/controllers-cluster/endpoints/endpoints.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::cluster {
namespace {

using ::testing::ElementsAre;

kube::Pod make_pod(const std::string& name, const std::string& ip, bool ready = true) {
  kube::Pod out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  (*out.mutable_metadata()->mutable_labels())["app"] = "web";
  out.mutable_spec()->set_nodename("n1");
  auto& port = *out.mutable_spec()->add_containers()->add_ports();
  port.set_name("http");
  port.set_containerport(8080);
  out.mutable_status()->set_podip(ip);
  auto& condition = *out.mutable_status()->add_conditions();
  condition.set_type("Ready");
  condition.set_status(ready ? "True" : "False");
  return out;
}
Service make_service(const std::string& target = "") {
  Service out;
  out.mutable_metadata()->set_name("web");
  out.mutable_metadata()->set_namespace_("default");
  (*out.mutable_spec()->mutable_selector())["app"] = "web";
  auto& port = *out.mutable_spec()->add_ports();
  port.set_port(80);
  port.set_protocol("TCP");
  if (target.empty()) {
    port.mutable_targetport()->set_intval(8080);
  } else {
    port.mutable_targetport()->set_type(1);
    port.mutable_targetport()->set_strval(target);
  }
  return out;
}

TEST(Ports, NamedOnesAreThePods) {
  kube::Pod other = make_pod("b", "10.0.0.2");
  other.mutable_spec()->mutable_containers(0)->mutable_ports(0)->set_containerport(9090);
  const Service service = make_service("http");
  EXPECT_EQ(resolve_ports(service, make_pod("a", "10.0.0.1")).at(0).port, 8080);
  EXPECT_EQ(resolve_ports(service, other).at(0).port, 9090);
  EXPECT_TRUE(resolve_ports(make_service("absent"), other).empty());
  Service plain = make_service();
  plain.mutable_spec()->mutable_ports(0)->clear_targetport();
  EXPECT_EQ(resolve_ports(plain, other).at(0).port, 80);
}

TEST(Slices, EndpointsStayWhereTheyAre) {
  Service service = make_service();
  std::vector<Stored<kube::Pod>> pods;
  for (int i = 0; i < 250; ++i) {
    kube::Pod pod = make_pod("p" + std::to_string(i), "10.0." + std::to_string(i / 250) + "." + std::to_string(i));
    pod.mutable_metadata()->set_uid("uid" + std::to_string(i));
    pods.push_back({pod, 1});
  }
  SlicePlan plan = plan_slices(service, pods, {});
  ASSERT_EQ(plan.create.size(), 3u);
  std::vector<Stored<EndpointSlice>> stored;
  for (const EndpointSlice& slice : plan.create) stored.push_back({slice, 1});
  plan = plan_slices(service, pods, stored);
  EXPECT_TRUE(plan.create.empty() && plan.update.empty() && plan.remove.empty());
  // One pod's change is one slice's write, and so is one pod's end.
  pods[120].object.mutable_status()->mutable_conditions(0)->set_status("False");
  plan = plan_slices(service, pods, stored);
  EXPECT_TRUE(plan.create.empty() && plan.remove.empty());
  EXPECT_EQ(plan.update.size(), 1u);
  pods[120].object.mutable_status()->mutable_conditions(0)->set_status("True");
  pods.erase(pods.begin() + 7);
  plan = plan_slices(service, pods, stored);
  EXPECT_TRUE(plan.create.empty() && plan.remove.empty());
  EXPECT_EQ(plan.update.size(), 1u);
  // All gone: one empty slice is left.
  plan = plan_slices(service, {}, stored);
  EXPECT_TRUE(plan.create.empty());
  EXPECT_EQ(plan.update.size(), 1u);
  EXPECT_EQ(plan.remove.size(), 2u);
}

class EndpointsTest : public ::testing::Test {
 protected:
  EndpointsTest() { controllers_.add(std::make_unique<EndpointsController>(kernel_.host())); }
  void settle() {
    for (int i = 0; i < 20; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(std::chrono::milliseconds(10));
    }
  }
  std::vector<EndpointSlice> slices() {
    return kernel_.list<EndpointSlice>("endpointslices.discovery.k8s.io", "default");
  }
  const Endpoint* endpoint(const std::vector<EndpointSlice>& all, const std::string& ip) {
    for (const EndpointSlice& slice : all) {
      for (const Endpoint& candidate : slice.endpoints()) {
        if (candidate.addresses(0) == ip) return &candidate;
      }
    }
    return nullptr;
  }
  Endpoints endpoints() {
    auto stored = kernel_.get<Endpoints>("endpoints", "default", "web");
    return stored ? *stored : Endpoints();
  }
  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(EndpointsTest, FollowTheirPods) {
  ASSERT_TRUE(kernel_.create("services", make_service("http")));
  settle();
  EXPECT_EQ(slices().size(), 1u);
  EXPECT_EQ(endpoints().subsets_size(), 0);
  ASSERT_TRUE(kernel_.create("pods", make_pod("a", "10.0.0.2")));
  ASSERT_TRUE(kernel_.create("pods", make_pod("b", "10.0.0.1", false)));
  ASSERT_TRUE(kernel_.create("pods", make_pod("waits", "")));
  kube::Pod stranger = make_pod("c", "10.0.0.3");
  (*stranger.mutable_metadata()->mutable_labels())["app"] = "db";
  ASSERT_TRUE(kernel_.create("pods", stranger));
  settle();
  auto all = slices();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].ports(0).port(), 8080);
  EXPECT_EQ(all[0].metadata().labels().at(kServiceNameLabel), "web");
  EXPECT_EQ(all[0].endpoints_size(), 2);
  EXPECT_TRUE(endpoint(all, "10.0.0.2")->conditions().ready());
  EXPECT_EQ(endpoint(all, "10.0.0.2")->nodename(), "n1");
  EXPECT_EQ(endpoint(all, "10.0.0.2")->targetref().name(), "a");
  EXPECT_FALSE(endpoint(all, "10.0.0.1")->conditions().ready());
  ASSERT_EQ(endpoints().subsets_size(), 1);
  EXPECT_EQ(endpoints().subsets(0).addresses(0).ip(), "10.0.0.2");
  EXPECT_EQ(endpoints().subsets(0).notreadyaddresses(0).ip(), "10.0.0.1");
  EXPECT_EQ(endpoints().subsets(0).ports(0).port(), 8080);

  kube::Pod moved = *kernel_.get<kube::Pod>("pods", "default", "a");
  (*moved.mutable_metadata()->mutable_labels())["app"] = "db";
  ASSERT_TRUE(kernel_.update("pods", moved));
  settle();
  all = slices();
  EXPECT_EQ(endpoint(all, "10.0.0.2"), nullptr);
  ASSERT_TRUE(kernel_.remove("pods", "default", "b"));
  settle();
  all = slices();
  EXPECT_EQ(endpoint(all, "10.0.0.1"), nullptr);
  EXPECT_EQ(endpoints().subsets_size(), 0);
}

TEST_F(EndpointsTest, APodThatIsEndingServesNothingNew) {
  ASSERT_TRUE(kernel_.create("services", make_service()));
  kube::Pod pod = make_pod("a", "10.0.0.1");
  pod.mutable_metadata()->add_finalizers("test/hold");
  ASSERT_TRUE(kernel_.create("pods", pod));
  ASSERT_TRUE(kernel_.remove("pods", "default", "a"));
  settle();
  const auto all = slices();
  const Endpoint* found = endpoint(all, "10.0.0.1");
  ASSERT_NE(found, nullptr);
  EXPECT_FALSE(found->conditions().ready());
  EXPECT_TRUE(found->conditions().serving());
  EXPECT_TRUE(found->conditions().terminating());
  EXPECT_EQ(endpoints().subsets_size(), 0);
}

TEST_F(EndpointsTest, APodThatEndedIsNone) {
  ASSERT_TRUE(kernel_.create("services", make_service()));
  kube::Pod pod = make_pod("a", "10.0.0.1");
  pod.mutable_status()->set_phase("Succeeded");
  ASSERT_TRUE(kernel_.create("pods", pod));
  settle();
  EXPECT_EQ(endpoint(slices(), "10.0.0.1"), nullptr);
}

TEST_F(EndpointsTest, GoWithTheirService) {
  ASSERT_TRUE(kernel_.create("services", make_service()));
  ASSERT_TRUE(kernel_.create("pods", make_pod("a", "10.0.0.1")));
  settle();
  EXPECT_EQ(endpoints().metadata().name(), "web");
  ASSERT_TRUE(kernel_.remove("services", "default", "web"));
  settle();
  EXPECT_EQ(endpoints().metadata().name(), "");
  EXPECT_EQ(slices().at(0).metadata().ownerreferences(0).kind(), "Service");  // garbage collection takes it
}

TEST_F(EndpointsTest, WhatSomebodyElseKeepsIsLeftAlone) {
  Service service = make_service();
  service.mutable_spec()->clear_selector();
  ASSERT_TRUE(kernel_.create("services", service));
  Endpoints own;
  own.mutable_metadata()->set_name("web");
  own.mutable_metadata()->set_namespace_("default");
  own.add_subsets()->add_addresses()->set_ip("192.0.2.1");
  ASSERT_TRUE(kernel_.create("endpoints", own));
  own.mutable_metadata()->set_name("lonely");  // of no Service at all
  ASSERT_TRUE(kernel_.create("endpoints", own));
  settle();
  own.mutable_subsets(0)->mutable_addresses(0)->set_ip("192.0.2.2");
  ASSERT_TRUE(kernel_.update("endpoints", own));
  settle();
  EXPECT_TRUE(kernel_.get<Endpoints>("endpoints", "default", "lonely"));
  EXPECT_EQ(endpoints().subsets(0).addresses(0).ip(), "192.0.2.1");
  EXPECT_TRUE(slices().empty());
}

TEST_F(EndpointsTest, WhatWasEditedByHandIsMended) {
  ASSERT_TRUE(kernel_.create("services", make_service()));
  ASSERT_TRUE(kernel_.create("pods", make_pod("a", "10.0.0.1")));
  settle();
  ASSERT_TRUE(kernel_.remove("endpoints", "default", "web"));
  EndpointSlice edited = slices().at(0);
  edited.clear_endpoints();
  ASSERT_TRUE(kernel_.update("endpointslices.discovery.k8s.io", edited));
  settle();
  EXPECT_EQ(endpoints().subsets_size(), 1);
  EXPECT_EQ(slices().at(0).endpoints_size(), 1);
}

TEST_F(EndpointsTest, TheServicesLabelsAreCarriedOver) {
  ASSERT_TRUE(kernel_.create("services", make_service()));
  settle();
  Service service = *kernel_.get<Service>("services", "default", "web");
  (*service.mutable_metadata()->mutable_labels())["team"] = "blue";
  ASSERT_TRUE(kernel_.update("services", service));
  settle();
  EXPECT_EQ(slices().at(0).metadata().labels().at("team"), "blue");
  EXPECT_EQ(slices().at(0).metadata().labels().at(kServiceNameLabel), "web");
  EXPECT_EQ(endpoints().metadata().labels().at("team"), "blue");
}

}  // namespace
}  // namespace orlop::cluster
