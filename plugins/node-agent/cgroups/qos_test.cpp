#include "plugins/node-agent/cgroups/qos.hpp"

#include "plugins/node-agent/cgroups/fake_cgroups.hpp"
#include "plugins/node-agent/cgroups/node_cgroups.hpp"
#include "plugins/node-agent/cgroups/node_resources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using Container = k8s::io::api::core::v1::Container;
using ::testing::ElementsAre;
constexpr int64_t kGi = 1ll << 30;

Container& add_container(kube::Pod& pod, const std::string& name, const std::string& cpu, const std::string& memory,
                         const std::string& cpu_limit = "", const std::string& memory_limit = "") {
  Container& out = *pod.mutable_spec()->add_containers();
  out.set_name(name);
  auto& resources = *out.mutable_resources();
  if (!cpu.empty()) (*resources.mutable_requests())["cpu"].set_string(cpu);
  if (!memory.empty()) (*resources.mutable_requests())["memory"].set_string(memory);
  if (!cpu_limit.empty()) (*resources.mutable_limits())["cpu"].set_string(cpu_limit);
  if (!memory_limit.empty()) (*resources.mutable_limits())["memory"].set_string(memory_limit);
  return out;
}

TEST(QosClass, OfResourcesAndOfStatus) {
  kube::Pod pod;
  add_container(pod, "a", "", "");
  EXPECT_EQ(qos_of(pod), Qos::kBestEffort);
  add_container(pod, "b", "100m", "");
  EXPECT_EQ(qos_of(pod), Qos::kBurstable);
  kube::Pod equal;
  add_container(equal, "a", "1", "1Gi", "1000m", "1024Mi");
  EXPECT_EQ(qos_of(equal), Qos::kGuaranteed);
  add_container(equal, "b", "1", "1Gi", "2", "1Gi");
  EXPECT_EQ(qos_of(equal), Qos::kBurstable);
  pod.mutable_status()->set_qosclass("Guaranteed");
  EXPECT_EQ(qos_of(pod), Qos::kGuaranteed);
}

TEST(Shares, AndWeightsAndQuotas) {
  EXPECT_EQ(cpu_shares(0), 2);
  EXPECT_EQ(cpu_shares(1), 2);
  EXPECT_EQ(cpu_shares(100), 102);
  EXPECT_EQ(cpu_shares(1000), 1024);
  EXPECT_EQ(cpu_shares(1'000'000'000), 262'144);
  EXPECT_EQ(cpu_weight(2), 1);
  EXPECT_EQ(cpu_weight(1024), 39);
  EXPECT_EQ(cpu_weight(262'144), 10'000);
  EXPECT_EQ(cpu_quota_us(500), 50'000);
  EXPECT_EQ(cpu_quota_us(1), 1000);
}

TEST(OomScore, AsTheKubeletGivesIt) {
  kube::Pod pod;
  const Container quarter = add_container(pod, "a", "", "2Gi");
  EXPECT_EQ(oom_score_adj(pod, quarter, 8 * kGi), 750);
  const Container nothing = add_container(pod, "b", "", "");
  EXPECT_EQ(oom_score_adj(pod, nothing, 8 * kGi), 999);
  const Container all = add_container(pod, "c", "", "8Gi");
  EXPECT_EQ(oom_score_adj(pod, all, 8 * kGi), 3);
  pod.mutable_status()->set_qosclass("BestEffort");
  EXPECT_EQ(oom_score_adj(pod, quarter, 8 * kGi), 1000);
  pod.mutable_status()->set_qosclass("Guaranteed");
  EXPECT_EQ(oom_score_adj(pod, quarter, 8 * kGi), -997);
  pod.mutable_status()->set_qosclass("BestEffort");
  pod.mutable_spec()->set_priorityclassname("system-node-critical");
  EXPECT_EQ(oom_score_adj(pod, quarter, 8 * kGi), -997);
}

TEST(OomScore, ASidecarOutlivesWhatItServes) {
  kube::Pod pod;
  add_container(pod, "a", "", "4Gi");
  Container& sidecar = *pod.mutable_spec()->add_initcontainers();
  sidecar.set_name("s");
  sidecar.set_restartpolicy("Always");
  (*sidecar.mutable_resources()->mutable_requests())["memory"].set_string("1Gi");
  EXPECT_EQ(oom_score_adj(pod, sidecar, 8 * kGi), 500);
}

TEST(PodLimits, OnlyWhereEveryContainerHasOne) {
  kube::Pod pod;
  add_container(pod, "a", "100m", "64Mi", "500m", "128Mi");
  add_container(pod, "b", "", "", "", "128Mi");
  const CgroupLimits limits = pod_cgroup_limits(pod, 0);
  EXPECT_EQ(limits.cpu_shares, 102);
  EXPECT_EQ(limits.cpu_quota_us, std::nullopt);
  EXPECT_EQ(limits.memory_bytes, 256 << 20);
  EXPECT_EQ(limits.pids, std::nullopt);
  EXPECT_EQ(pod_cgroup_limits(pod, 77).pids, 77);
}

TEST(Critical, StaticOrOfHighPriority) {
  kube::Pod pod;
  pod.mutable_spec()->set_priority(1'000'000'000);
  EXPECT_FALSE(is_critical(pod));
  pod.mutable_spec()->set_priority(2'000'000'000);
  EXPECT_TRUE(is_critical(pod));
  pod.mutable_spec()->set_priority(0);
  (*pod.mutable_metadata()->mutable_annotations())["kubernetes.io/config.source"] = "file";
  EXPECT_TRUE(is_critical(pod));
}

TEST(Cgroups1, APodsLimitsAndItsEnd) {
  FakeCgroups fake(false);
  for (const char* controller : {"memory", "cpu", "pids"}) fake.write(std::string(controller) + "/tasks", "");
  NodeCgroups cgroups(CgroupTree(fake.root()), 100);
  CgroupLimits all;
  all.cpu_shares = 2048;
  all.memory_bytes = 8 * kGi;
  ASSERT_TRUE(cgroups.prepare_node(all));
  EXPECT_EQ(fake.read("memory/orlop/memory.limit_in_bytes"), std::to_string(8 * kGi));
  EXPECT_EQ(fake.read("cpu/orlop/besteffort/cpu.shares"), "2");
  kube::Pod pod;
  pod.mutable_metadata()->set_uid("u");
  add_container(pod, "a", "250m", "64Mi", "500m", "128Mi");
  ASSERT_TRUE(cgroups.prepare_pod(pod));
  EXPECT_EQ(fake.read("memory/orlop/burstable/podu/memory.limit_in_bytes"), std::to_string(128 << 20));
  EXPECT_EQ(fake.read("cpu/orlop/burstable/podu/cpu.cfs_quota_us"), "50000");
  EXPECT_EQ(fake.read("cpu/orlop/burstable/podu/cpu.cfs_period_us"), "100000");
  EXPECT_EQ(fake.read("cpu/orlop/burstable/podu/cpu.shares"), "256");
  EXPECT_EQ(fake.read("cpu/orlop/burstable/cpu.shares"), "256") << "the class weighs what its pods ask for";
  EXPECT_EQ(fake.read("pids/orlop/burstable/podu/pids.max"), "100");
}

TEST(Cgroups2, APodsLimits) {
  FakeCgroups fake(true);
  NodeCgroups cgroups(CgroupTree(fake.root()), 100);
  ASSERT_TRUE(cgroups.prepare_node({}));
  kube::Pod pod;
  pod.mutable_metadata()->set_uid("u");
  add_container(pod, "a", "500m", "128Mi", "500m", "128Mi");
  ASSERT_TRUE(cgroups.prepare_pod(pod));
  EXPECT_EQ(fake.read("orlop/podu/memory.max"), std::to_string(128 << 20));
  EXPECT_EQ(fake.read("orlop/podu/cpu.max"), "50000 100000");
  EXPECT_EQ(fake.read("orlop/podu/cpu.weight"), "20");
  EXPECT_EQ(fake.read("orlop/podu/pids.max"), "100");
  EXPECT_EQ(fake.read("orlop/podu/hugetlb.2MB.max"), "0");
  EXPECT_TRUE(fake.has("orlop/cgroup.subtree_control")) << "controllers are handed down";
}

TEST(Sweep, TakesWhatIsEmptyAndNobodys) {
  FakeCgroups fake(false);
  for (const char* folder : {"memory/orlop/podold/inner", "memory/orlop/podmine", "pids/orlop/podold"})
    std::filesystem::create_directories(fake.root() + "/" + folder);
  // A folder with a file in it cannot be removed, as one with processes cannot.
  fake.write("memory/orlop/burstable/podbusy/cgroup.procs", "4711\n");
  NodeCgroups cgroups(CgroupTree(fake.root()), 0);
  EXPECT_THAT(cgroups.sweep({"mine"}), ElementsAre("old"));
  EXPECT_FALSE(fake.has("memory/orlop/podold"));
  EXPECT_FALSE(fake.has("pids/orlop/podold"));
  EXPECT_TRUE(fake.has("memory/orlop/podmine"));
  EXPECT_TRUE(fake.has("memory/orlop/burstable/podbusy"));
}

TEST(Allocatable, IsWhatIsLeft) {
  NodeResources capacity;
  capacity.amounts.cpu_milli = 4000;
  capacity.amounts.memory = 8 * kGi;
  capacity.amounts.ephemeral = 100 * kGi;
  capacity.amounts.extended["hugepages-2Mi"] = 2 * kGi;
  capacity.pods = 110;
  const auto system = parse_reserved("system_reserved", {"cpu=500m", "memory=1Gi"});
  ASSERT_TRUE(system);
  kube::Resources free;
  free.memory = 100 << 20;
  free.ephemeral = 10 * kGi;
  const NodeResources left = allocatable_of(capacity, *system, {}, free);
  EXPECT_EQ(left.amounts.cpu_milli, 3500);
  EXPECT_EQ(left.amounts.memory, 5 * kGi - (100 << 20));
  EXPECT_EQ(left.amounts.ephemeral, 90 * kGi);
  auto texts = to_quantities(left);
  EXPECT_EQ(texts["cpu"], "3500m");
  EXPECT_EQ(texts["memory"], std::to_string(5 * kGi / 1024 - 100 * 1024) + "Ki");
  EXPECT_EQ(texts["hugepages-2Mi"], "2Gi");
  EXPECT_EQ(texts["pods"], "110");
  EXPECT_EQ(allocatable_of({}, *system, {}, {}).amounts.memory, 0);
  for (const char* wrong : {"memory", "memory=much", "disk=1Gi", "cpu=-1"})
    EXPECT_EQ(parse_reserved("system_reserved", {wrong}).code(), Code::kInvalid) << wrong;
}

TEST(HugePages, AsTheKernelHasThem) {
  FakeCgroups fake(false);
  fake.write("hugepages-2048kB/nr_hugepages", "16\n");
  const auto pages = read_hugepages(fake.root());
  EXPECT_EQ(pages.at("2Mi"), 32 << 20);
  EXPECT_FALSE(pages.contains("1Gi"));
}

}  // namespace
}  // namespace orlop::agent
