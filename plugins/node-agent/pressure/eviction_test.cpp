#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/pressure/oom_watcher.hpp"
#include "plugins/node-agent/pressure/pressure_manager.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Event = k8s::io::api::core::v1::Event;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMi = 1 << 20;

kube::Pod make_pod(const std::string& name, const std::string& memory_request = "", int32_t priority = 0) {
  kube::Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_metadata()->set_uid(name);
  pod.mutable_spec()->set_nodename("n1");
  pod.mutable_spec()->set_priority(priority);
  auto& container = *pod.mutable_spec()->add_containers();
  container.set_name("c");
  if (!memory_request.empty())
    (*container.mutable_resources()->mutable_requests())["memory"].set_string(memory_request);
  pod.mutable_status()->mutable_starttime()->set_seconds(1);
  return pod;
}

PodMeasure uses(int64_t memory_mi, uint64_t disk_mi = 0, uint64_t processes = 1) {
  PodMeasure out;
  out.measured = true;
  out.memory_bytes = static_cast<uint64_t>(memory_mi * kMi);
  out.container_memory["c"] = out.memory_bytes;
  out.processes = processes;
  out.disk.containers["c"].layer = {disk_mi * kMi, disk_mi};
  return out;
}

std::vector<std::string> order(std::vector<Candidate> candidates, Signal signal) {
  rank(candidates, signal);
  std::vector<std::string> out;
  for (const Candidate& candidate : candidates) out.push_back(candidate.pod.metadata().name());
  return out;
}

TEST(Ranking, ByMemory) {
  EXPECT_THAT(order({{make_pod("within", "200Mi"), uses(150)},
                     {make_pod("above", "100Mi"), uses(120)},
                     {make_pod("far-above", "100Mi"), uses(300)},
                     {make_pod("important", "", 1000), uses(900)},
                     {make_pod("unknown", "1Gi"), PodMeasure()}},
                    Signal::kMemoryAvailable),
              ElementsAre("unknown", "far-above", "above", "important", "within"));
}

TEST(Ranking, ByDiskAndProcesses) {
  EXPECT_THAT(order({{make_pod("small"), uses(0, 10)}, {make_pod("large"), uses(0, 20)}}, Signal::kNodeFsAvailable),
              ElementsAre("large", "small"));
  EXPECT_THAT(order({{make_pod("few", "", 5), uses(0, 0, 10)},
                     {make_pod("many", "", 5), uses(0, 0, 99)},
                     {make_pod("low", "", 1), uses(0, 0, 1)}},
                    Signal::kPidAvailable),
              ElementsAre("low", "many", "few"));
}

TEST(Messages, SayWhatWasShortAndWhoUsedIt) {
  Threshold threshold;
  threshold.value.absolute = 100 * kMi;
  const Observations observed = {{Signal::kMemoryAvailable, {90 * kMi, 1000 * kMi}}};
  EXPECT_EQ(eviction_message({make_pod("p", "50Mi"), uses(120)}, threshold, observed),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container c was using "
            "120Mi, request is 50Mi, has larger consumption of memory. ");
  EXPECT_EQ(eviction_message({make_pod("p"), uses(1)}, threshold, observed),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container c was using "
            "1Mi, request is 0, has larger consumption of memory. ");
  EXPECT_EQ(eviction_message({make_pod("p", "200Mi"), uses(1)}, threshold, observed),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. ");
}

TEST(LocalStorage, LimitsOfVolumesContainersAndPods) {
  kube::Pod pod = make_pod("p");
  EXPECT_FALSE(has_local_storage_limit(pod));
  auto& volume = *pod.mutable_spec()->add_volumes();
  volume.set_name("x");
  volume.mutable_volumesource()->mutable_emptydir()->mutable_sizelimit()->set_string("10Mi");
  EXPECT_TRUE(has_local_storage_limit(pod));
  PodDisk disk;
  disk.volumes["x"].bytes = 10 * kMi;
  EXPECT_EQ(local_storage_excess(pod, disk), std::nullopt);
  disk.volumes["x"].bytes += 1;
  EXPECT_EQ(local_storage_excess(pod, disk), "Usage of EmptyDir volume \"x\" exceeds the limit \"10Mi\". ");
  kube::Pod limited = make_pod("q");
  (*limited.mutable_spec()->mutable_containers(0)->mutable_resources()->mutable_limits())["ephemeral-storage"]
      .set_string("20Mi");
  EXPECT_EQ(local_storage_excess(limited, disk), std::nullopt);
  disk.containers["c"].logs.bytes = 15 * kMi;
  EXPECT_EQ(local_storage_excess(limited, disk),
            "Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ");
  limited.mutable_spec()->add_containers()->set_name("free");
  disk.containers["c"].logs.bytes = 21 * kMi;
  EXPECT_EQ(local_storage_excess(limited, disk), "Container c exceeded its local ephemeral storage limit \"20Mi\". ");
}

TEST(State, GraceReclaimAndTransition) {
  EvictionConfig config;
  config.transition_ns = 300 * kSecond;
  config.thresholds =
      *parse_thresholds({{}, {"memory.available<100"}, {"memory.available=30s"}, {"memory.available=50"}});
  PressureState state(config);
  const auto look = [&](int64_t available, int64_t second) {
    return state.look({{Signal::kMemoryAvailable, {available, 1000}}}, second * kSecond);
  };
  EXPECT_THAT(look(900, 0).conditions, IsEmpty());
  EXPECT_FALSE(look(900, 1).near);
  EXPECT_TRUE(look(150, 2).near);
  auto met = look(90, 10);
  EXPECT_THAT(met.conditions, ElementsAre("MemoryPressure"));
  EXPECT_THAT(met.act, IsEmpty()) << "it has its grace";
  EXPECT_EQ(look(90, 40).act.size(), 1u);
  EXPECT_EQ(look(120, 50).act.size(), 1u) << "what is to be reclaimed is not free yet";
  EXPECT_THAT(look(150, 60).act, IsEmpty());
  EXPECT_THAT(look(900, 300).conditions, ElementsAre("MemoryPressure"));
  EXPECT_THAT(look(900, 351).conditions, IsEmpty());
  EXPECT_THAT(look(90, 400).act, IsEmpty()) << "the grace begins anew";
}

class Manager : public ::testing::Test {
 protected:
  Manager() {
    kernel_.index_with([](const std::string&, std::string_view value) {
      kube::Pod pod;
      pod.ParseFromArray(value.data(), static_cast<int>(value.size()));
      return std::vector<std::string>{"node/" + pod.spec().nodename()};
    });
  }
  void configure(const EvictionOptions& options) {
    config_.thresholds = *parse_thresholds(options);
    PressureActions actions;
    actions.observe = [this] { return observations_; };
    actions.measure = [this] { return by_uid_; };
    actions.measure_disk = [this](const std::set<std::string>& uids) {
      std::map<std::string, PodDisk> out;
      for (const std::string& uid : uids) out[uid] = by_uid_[uid].disk;
      ++walks_;
      return out;
    };
    actions.evict = [this](const ObjectKey& key, const std::string&, const std::string& reason,
                           const std::string& message, std::optional<int64_t> grace_s) {
      evicted_.push_back(key.name);
      message_ = reason + ": " + message;
      grace_s_ = grace_s;
      return Status::ok();
    };
    actions.reclaim_disk = [this](int64_t bytes) {
      reclaimed_ += bytes;
      observations_[Signal::kNodeFsAvailable].available += can_reclaim_;
    };
    manager_ = std::make_unique<PressureManager>(kernel_.host(), "n1", config_, std::move(actions), conditions_);
  }
  void add(kube::Pod pod, PodMeasure use) {
    const std::string uid = kernel_.create("pods", pod)->metadata().uid();
    by_uid_[uid] = std::move(use);
  }
  int64_t look_after(std::chrono::seconds time) {
    kernel_.advance(time);
    return manager_->look();
  }
  void memory(int64_t available_mi) { observations_[Signal::kMemoryAvailable] = {available_mi * kMi, 1000 * kMi}; }
  void end(const std::string& name) { ASSERT_TRUE(kernel_.remove("pods", "default", name)); }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const Event& event : kernel_.list<Event>("events")) out.push_back(event.reason() + ": " + event.message());
    return out;
  }

  testing::FakeKernel kernel_;
  EvictionConfig config_;
  Observations observations_;
  std::map<std::string, PodMeasure> by_uid_;
  NodeConditions conditions_;
  std::vector<std::string> evicted_;
  std::string message_;
  std::optional<int64_t> grace_s_;
  int64_t reclaimed_ = 0, can_reclaim_ = 0;
  int walks_ = 0;
  std::unique_ptr<PressureManager> manager_;
};

TEST_F(Manager, OnePodAtATimeUntilThereIsRoom) {
  configure({{"memory.available<100Mi"}, {}, {}, {}});
  add(make_pod("modest", "500Mi"), uses(100));
  add(make_pod("greedy"), uses(400));
  add(make_pod("system", "", 2'000'000'000), uses(800));
  memory(500);
  EXPECT_EQ(look_after(1s), 10 * kSecond) << "nothing could be crossed soon";
  EXPECT_EQ(manager_->memory_left(), static_cast<uint64_t>(400 * kMi));
  memory(90);
  EXPECT_EQ(look_after(10s), kSecond);
  EXPECT_THAT(evicted_, ElementsAre("greedy"));
  EXPECT_THAT(message_, HasSubstr("Evicted: The node was low on resource: memory. Threshold quantity: 100Mi"));
  EXPECT_EQ(grace_s_, 1);
  EXPECT_THAT(conditions_.get(), ElementsAre("MemoryPressure"));
  EXPECT_THAT(events(), ::testing::Contains("EvictionThresholdMet: Attempting to reclaim memory"));
  EXPECT_THAT(events(), ::testing::Contains(HasSubstr("Evicted: The node was low on resource: memory.")));
  look_after(1s);
  EXPECT_EQ(evicted_.size(), 1u) << "the first one is on its way";
  end("greedy");
  look_after(1s);
  EXPECT_THAT(evicted_, ElementsAre("greedy", "modest"));
  end("modest");
  look_after(1s);
  EXPECT_EQ(evicted_.size(), 2u) << "a critical pod is spared";
  memory(500);
  look_after(1s);
  EXPECT_THAT(conditions_.get(), ElementsAre("MemoryPressure"));
  look_after(300s);
  EXPECT_THAT(conditions_.get(), IsEmpty());
}

TEST_F(Manager, SoftThresholdsGiveTime) {
  config_.pod_grace_s = 45;
  configure({{}, {"memory.available<100Mi"}, {"memory.available=30s"}, {}});
  add(make_pod("p"), uses(400));
  memory(90);
  look_after(1s);
  look_after(29s);
  EXPECT_THAT(evicted_, IsEmpty());
  look_after(1s);
  EXPECT_THAT(evicted_, ElementsAre("p"));
  EXPECT_EQ(grace_s_, 45);
}

TEST_F(Manager, WhatNobodyUsesGoesBeforePods) {
  configure({{"nodefs.available<10%"}, {}, {}, {}});
  add(make_pod("p"), uses(0, 50));
  observations_[Signal::kNodeFsAvailable] = {50, 1000};
  can_reclaim_ = 100;
  look_after(1s);
  EXPECT_EQ(reclaimed_, 50);
  EXPECT_THAT(evicted_, IsEmpty());
  EXPECT_THAT(conditions_.get(), ElementsAre("DiskPressure"));
  observations_[Signal::kNodeFsAvailable] = {50, 1000};
  can_reclaim_ = 0;
  look_after(1s);
  EXPECT_THAT(evicted_, ElementsAre("p"));
  EXPECT_THAT(message_, HasSubstr("low on resource: ephemeral-storage"));
}

TEST_F(Manager, LimitsOnTheDiskAreLookedAtWhereThereAreAny) {
  configure({{"memory.available<100Mi"}, {}, {}, {}});
  memory(900);
  add(make_pod("free"), uses(0, 500));
  look_after(10s);
  EXPECT_EQ(walks_, 0);
  kube::Pod limited = make_pod("limited");
  auto& volume = *limited.mutable_spec()->add_volumes();
  volume.set_name("x");
  volume.mutable_volumesource()->mutable_emptydir()->mutable_sizelimit()->set_string("10Mi");
  PodMeasure use = uses(0);
  use.disk.volumes["x"].bytes = 11 * kMi;
  add(limited, use);
  look_after(10s);
  EXPECT_EQ(walks_, 1);
  EXPECT_THAT(evicted_, ElementsAre("limited"));
  EXPECT_EQ(message_, "Evicted: Usage of EmptyDir volume \"x\" exceeds the limit \"10Mi\". ");
  look_after(10s);
  EXPECT_EQ(evicted_.size(), 1u);
}

TEST(Oom, LinesOfTheKernel) {
  const auto pod = parse_oom_line(
      "3,1234,567,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=abc,mems_allowed=0,oom_memcg=/orlop/"
      "podx/abc,task_memcg=/orlop/podx/abc,task=stress,pid=4711,uid=0\n");
  ASSERT_TRUE(pod);
  EXPECT_FALSE(pod->of_machine);
  EXPECT_EQ(pod->cgroup, "/orlop/podx/abc");
  EXPECT_EQ(pod->process, "stress");
  EXPECT_EQ(pod->pid, 4711);
  const auto machine = parse_oom_line(
      "3,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a,"
      "task=python,pid=5,uid=0");
  ASSERT_TRUE(machine);
  EXPECT_TRUE(machine->of_machine);
  EXPECT_EQ(parse_oom_line("6,1,2,-;eth0: link up"), std::nullopt);
}

TEST(Oom, IsToldAboutTheNode) {
  testing::FakeKernel kernel;
  OomWatcher watcher(kernel.host(), "n1");
  watcher.hear("oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/a,task=python,pid=5,uid=0");
  watcher.hear("oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/orlop/podx/abc,task=stress,pid=6,uid=0");
  watcher.hear("oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/user.slice,task=other,pid=7,uid=0");
  std::vector<std::string> told;
  for (const Event& event : kernel.list<Event>("events", "default"))
    told.push_back(event.reason() + ": " + event.message());
  EXPECT_THAT(told, ::testing::UnorderedElementsAre(
                        "SystemOOM: System OOM encountered, victim process: python, pid: 5",
                        "OOMKilling: Memory cgroup out of memory: /orlop/podx/abc, victim process: stress, pid: 6"));
}

}  // namespace
}  // namespace orlop::agent
