#include "plugins/controllers-workload/autoscaling/calculator.hpp"

#include "orlop/kube/resource.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kNow = 1'700'000'000 * kSecondNs;
constexpr int64_t kWindow = 15 * kSecondNs;

// One pod of a case: what it requests and uses, in thousandths of a core.
struct PodCase {
  int64_t used = -1;  // -1: no sample
  bool ready = true;
  std::string phase = "Running";
  int64_t age_s = 3600;
  int64_t ready_age_s = -1;  // since Ready last changed; -1: as old as the pod
  bool deleting = false;
  int64_t request = 1000;  // 0: none
};

struct Case {
  std::string name;
  int32_t current;
  int64_t target;
  std::vector<PodCase> pods;
  int32_t replicas;
  int64_t utilization;  // or the average
};

kube::Pod pod_of(const PodCase& look, const std::string& name) {
  kube::Pod pod;
  pod.mutable_metadata()->set_name(name);
  if (look.deleting) pod.mutable_metadata()->mutable_deletiontimestamp()->set_seconds(1);
  auto& container = *pod.mutable_spec()->add_containers();
  container.set_name("c");
  if (look.request > 0) {
    (*container.mutable_resources()->mutable_requests())["cpu"].set_string(std::to_string(look.request) + "m");
  }
  pod.mutable_status()->set_phase(look.phase);
  const int64_t now_s = kNow / kSecondNs;
  pod.mutable_status()->mutable_starttime()->set_seconds(now_s - look.age_s);
  auto& ready = *pod.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status(look.ready ? "True" : "False");
  const int64_t since = look.ready_age_s < 0 ? look.age_s : look.ready_age_s;
  ready.mutable_lasttransitiontime()->set_seconds(now_s - since);
  return pod;
}

struct World {
  ScaledPods pods;
  MetricSamples samples;
};
World world_of(const Case& test) {
  World world;
  for (size_t i = 0; i < test.pods.size(); ++i) {
    const std::string name = "pod-" + std::to_string(i);
    world.pods.push_back({pod_of(test.pods[i], name), 1});
    if (test.pods[i].used >= 0) world.samples[name] = {test.pods[i].used, kNow, kWindow};
  }
  return world;
}
MetricQuestion question(const Case& test) {
  MetricQuestion out;
  out.resource = "cpu";
  out.current = test.current;
  out.now_ns = kNow;
  return out;
}

TEST(Calculator, ByUtilization) {
  const PodCase unready = {.ready = false, .age_s = 60};
  auto cold = [&](int64_t used) {
    PodCase pod = unready;
    pod.used = used;
    return pod;
  };
  const Case cases[] = {
      {"up", 3, 30, {{300}, {500}, {700}}, 5, 50},
      {"down", 5, 50, {{100}, {300}, {500}, {250}, {250}}, 3, 28},
      {"within the tolerance",
       3,
       100,
       {{.used = 1010, .request = 900}, {1030}, {.used = 1020, .request = 1100}},
       3,
       102},
      {"exactly right", 2, 50, {{500}, {500}}, 2, 50},
      {"up, one not ready", 3, 30, {cold(300), {500}, {700}}, 4, 60},
      {"not up when most are not ready", 3, 30, {{400}, cold(500), cold(700)}, 3, 40},
      {"failed pods are none", 2, 30, {{500}, {700}, {.phase = "Failed"}, {.phase = "Failed"}}, 4, 60},
      {"nor are those on their way out", 2, 30, {{500}, {700}, {.used = 900, .deleting = true}}, 4, 60},
      {"pending ones are idle when scaling up", 3, 30, {{500}, {700}, {.phase = "Pending"}}, 4, 60},
      {"missing ones are fully used when scaling down", 4, 100, {{400}, {95}, {}, {}}, 3, 24},
      {"missing ones are idle when scaling up", 2, 100, {{1900}, {}}, 2, 190},
      {"missing ones of a just right set change nothing", 2, 100, {{1000}, {}}, 2, 100},
      {"assumptions do not turn the direction", 3, 50, {cold(100), {450}, {}}, 3, 45},
      {"up in spite of assumptions", 3, 50, {cold(100), {2000}, {}}, 4, 200},
      {"missing ones are at the target when it is above the requests", 4, 300, {{400}, {400}, {}, {}}, 3, 40},
      // Young, and ready for less than a window: the sample holds its start.
      {"hot from its start", 3, 30, {{.used = 3000, .age_s = 60, .ready_age_s = 10}, {500}, {700}}, 4, 60},
      {"warm after its start", 3, 30, {{.used = 300, .age_s = 60, .ready_age_s = 20}, {500}, {700}}, 5, 50},
      // Old, and not ready: counts when it has been ready once.
      {"never ready", 2, 30, {{.used = 900, .ready = false, .age_s = 600, .ready_age_s = 590}, {600}}, 2, 60},
      {"ready once", 2, 30, {{.used = 600, .ready = false, .age_s = 600, .ready_age_s = 60}, {600}}, 4, 60},
  };
  for (const Case& test : cases) {
    World world = world_of(test);
    auto proposal =
        by_utilization({}, question(test), static_cast<int32_t>(test.target), world.pods, std::move(world.samples));
    ASSERT_TRUE(proposal) << test.name << ": " << proposal.message();
    EXPECT_EQ(proposal->replicas, test.replicas) << test.name;
    EXPECT_EQ(proposal->utilization, test.utilization) << test.name;
  }
}

TEST(Calculator, ByAverage) {
  const Case cases[] = {
      {"up", 3, 300, {{300}, {500}, {700}}, 5, 500},
      {"down", 4, 500, {{250}, {250}, {250}, {250}}, 2, 250},
      {"needs no requests", 1, 100, {{.used = 200, .request = 0}}, 2, 200},
      {"missing ones are at the target when scaling down", 4, 1000, {{400}, {95}, {}, {}}, 3, 247},
  };
  for (const Case& test : cases) {
    World world = world_of(test);
    auto proposal = by_average({}, question(test), test.target, world.pods, std::move(world.samples));
    ASSERT_TRUE(proposal) << test.name << ": " << proposal.message();
    EXPECT_EQ(proposal->replicas, test.replicas) << test.name;
    EXPECT_EQ(proposal->average_milli, test.utilization) << test.name;
  }
}

TEST(Calculator, SaysWhyItCannot) {
  const Case none{"", 1, 50, {}, 0, 0};
  EXPECT_EQ(by_utilization({}, question(none), 50, {}, {}).message(),
            "no pods returned by selector while calculating replica count");
  const Case cold{"", 1, 50, {{.used = 10, .ready = false, .age_s = 5}}, 0, 0};
  World world = world_of(cold);
  EXPECT_EQ(by_utilization({}, question(cold), 50, world.pods, world.samples).message(),
            "did not receive metrics for targeted pods (pods might be unready)");
  const Case free{"", 1, 50, {{.used = 10, .request = 0}}, 0, 0};
  world = world_of(free);
  EXPECT_EQ(by_utilization({}, question(free), 50, world.pods, world.samples).message(),
            "missing request for cpu in container c of Pod pod-0");
}

TEST(Calculator, CountsSidecarsAndOneContainerAlone) {
  Case test{"", 1, 50, {{.used = 600}}, 0, 0};
  World world = world_of(test);
  auto& init = *world.pods[0].object.mutable_spec()->add_initcontainers();
  init.set_name("side");
  init.set_restartpolicy("Always");
  (*init.mutable_resources()->mutable_requests())["cpu"].set_string("200m");
  EXPECT_EQ(by_utilization({}, question(test), 50, world.pods, world.samples)->utilization, 50);
  MetricQuestion one = question(test);
  one.container = "c";
  EXPECT_EQ(by_utilization({}, one, 50, world.pods, world.samples)->utilization, 60);
}

}  // namespace
}  // namespace orlop::workload
