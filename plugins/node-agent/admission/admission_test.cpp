#include "plugins/node-agent/admission/admission.hpp"

#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using Node = k8s::io::api::core::v1::Node;

Node make_node() {
  Node node;
  node.mutable_metadata()->set_name("n1");
  (*node.mutable_metadata()->mutable_labels())["disk"] = "ssd";
  auto& allocatable = *node.mutable_status()->mutable_allocatable();
  allocatable["cpu"].set_string("2");
  allocatable["memory"].set_string("1Gi");
  allocatable["ephemeral-storage"].set_string("10Gi");
  allocatable["pods"].set_string("3");
  return node;
}

kube::Pod make_pod(const std::string& cpu = "", const std::string& memory = "") {
  kube::Pod pod;
  pod.mutable_spec()->set_nodename("n1");
  auto& requests = *pod.mutable_spec()->add_containers()->mutable_resources()->mutable_requests();
  if (!cpu.empty()) requests["cpu"].set_string(cpu);
  if (!memory.empty()) requests["memory"].set_string(memory);
  return pod;
}

TEST(Admission, WhatFitsIsIn) {
  EXPECT_EQ(check_admission(make_node(), {make_pod("1")}, make_pod("1", "1Gi")).reason, "");
  EXPECT_EQ(check_admission(make_node(), {make_pod("2")}, make_pod()).reason, "") << "it asks for nothing";
}

TEST(Admission, WhatDoesNotFitIsRefusedInTheKubeletsWords) {
  const Refused cpu = check_admission(make_node(), {make_pod("1500m")}, make_pod("1"));
  EXPECT_EQ(cpu.reason, "OutOfcpu");
  EXPECT_EQ(cpu.message, "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000");
  const Refused memory = check_admission(make_node(), {}, make_pod("", "2Gi"));
  EXPECT_EQ(memory.reason, "OutOfmemory");
  EXPECT_EQ(memory.message,
            "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824");
  const Refused pods = check_admission(make_node(), {make_pod(), make_pod(), make_pod()}, make_pod("9"));
  EXPECT_EQ(pods.reason, "OutOfpods");
  EXPECT_EQ(pods.message, "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
}

TEST(Admission, ExtendedResources) {
  kube::Pod pod = make_pod();
  (*pod.mutable_spec()->mutable_containers(0)->mutable_resources()->mutable_requests())["hugepages-2Mi"].set_string(
      "2Mi");
  EXPECT_EQ(check_admission(make_node(), {}, pod).reason, "OutOfhugepages-2Mi");
  kube::Pod gpu = make_pod();
  (*gpu.mutable_spec()->mutable_containers(0)->mutable_resources()->mutable_requests())["example.com/gpu"].set_string(
      "1");
  EXPECT_EQ(check_admission(make_node(), {}, gpu).reason, "") << "may be the cluster's";
  Node node = make_node();
  (*node.mutable_status()->mutable_allocatable())["example.com/gpu"].set_string("0");
  EXPECT_EQ(check_admission(node, {}, gpu).reason, "OutOfexample.com/gpu");
}

TEST(Admission, NodesThatItMayNotStandOn) {
  kube::Pod picky = make_pod();
  (*picky.mutable_spec()->mutable_nodeselector())["disk"] = "hdd";
  const Refused affinity = check_admission(make_node(), {}, picky);
  EXPECT_EQ(affinity.reason, "NodeAffinity");
  EXPECT_EQ(affinity.message, "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
  Node tainted = make_node();
  auto& taint = *tainted.mutable_spec()->add_taints();
  taint.set_key("gone");
  taint.set_effect("NoSchedule");
  EXPECT_EQ(check_admission(tainted, {}, make_pod()).reason, "");
  taint.set_effect("NoExecute");
  EXPECT_EQ(check_admission(tainted, {}, make_pod()).reason, "TaintToleration");
}

TEST(Admission, UnderPressure) {
  const auto reason = [](const std::set<std::string>& conditions, const kube::Pod& pod) {
    return check_pressure(conditions, pod).reason;
  };
  kube::Pod pod = make_pod();
  EXPECT_EQ(reason({}, pod), "");
  EXPECT_EQ(reason({"MemoryPressure"}, pod), "Evicted");
  EXPECT_EQ(reason({"MemoryPressure"}, make_pod("", "1Mi")), "");
  EXPECT_EQ(check_pressure({"DiskPressure", "MemoryPressure"}, make_pod("", "1Mi")).message,
            "The node had condition: [DiskPressure MemoryPressure]. ");
  auto& toleration = *pod.mutable_spec()->add_tolerations();
  toleration.set_operator_("Exists");
  EXPECT_EQ(reason({"MemoryPressure"}, pod), "");
  EXPECT_EQ(reason({"DiskPressure"}, pod), "Evicted");
  pod.mutable_spec()->set_priority(2'000'000'000);
  EXPECT_EQ(reason({"DiskPressure"}, pod), "");
}

TEST(Admission, PortsOfTheNode) {
  kube::Pod first = make_pod();
  auto& port = *first.mutable_spec()->mutable_containers(0)->add_ports();
  port.set_hostport(80);
  EXPECT_EQ(check_admission(make_node(), {first}, first).reason, "NodePorts");
  kube::Pod second = first;
  second.mutable_spec()->mutable_containers(0)->mutable_ports(0)->set_protocol("UDP");
  EXPECT_EQ(check_admission(make_node(), {first}, second).reason, "");
}

}  // namespace
}  // namespace orlop::agent
