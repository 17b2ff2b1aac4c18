// How many pods a second the scheduler decides and writes, against a kernel in memory: the cost of the scheduler alone.
//
//   orlop_sched_bench [NODES] [PODS]
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/sched-default/scheduler.hpp"
#include "plugins/sched-default/test_objects.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  using namespace orlop;
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int pods = argc > 2 ? std::atoi(argv[2]) : 5000;
  testing::FakeKernel kernel;
  kernel.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().subresource() == "binding") verdict.set_value(review.write().value());
    return verdict;
  });
  for (int i = 0; i < nodes; ++i)
    (void)kernel.create("nodes", sched::make_node("node-" + std::to_string(i), "32", "64Gi"));
  for (int i = 0; i < pods; ++i) {
    kube::Pod pod = sched::make_pod("pod-" + std::to_string(i), "100m", "128Mi");
    auto& owner = *pod.mutable_metadata()->add_ownerreferences();
    owner.set_uid("set-" + std::to_string(i / 50));
    owner.set_controller(true);
    (void)kernel.create("pods", pod);
  }
  sched::Scheduler scheduler(kernel.host(), {});
  const auto begin = std::chrono::steady_clock::now();
  for (int idle = 0; idle < 3;) idle = scheduler.run_once() == 0 ? idle + 1 : 0;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  int bound = 0;
  for (const kube::Pod& pod : kernel.list<kube::Pod>("pods")) bound += pod.spec().nodename().empty() ? 0 : 1;
  std::printf("%d of %d pods bound on %d nodes in %.2f s: %.0f pods/s\n", bound, pods, nodes, took.count(),
              bound / took.count());
  return bound == pods ? 0 : 1;
}
