#include "plugins/controllers-workload/autoscaling/autoscaler.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/node.pb.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
namespace apps = k8s::io::api::apps::v1;
using Event = k8s::io::api::core::v1::Event;

// A node whose pods use what the test says.
class FakeNode final : public v1::Node {
 public:
  explicit FakeNode(testing::FakeKernel& kernel) : kernel_(kernel) {}

  void Stats(google::protobuf::RpcController* controller, const v1::StatsRequest* request, v1::StatsResponse* response,
             google::protobuf::Closure* done) override {
    if (!failure.empty()) CallController::of(controller).fail(Status(Code::kUnavailable, failure));
    for (const auto& pod : request->pods()) {
      const auto found = used.find(pod.name());
      if (found == used.end()) continue;
      auto& stats = *response->add_pods();
      *stats.mutable_pod() = pod;
      auto& container = *stats.add_containers();
      container.set_name("c");
      container.mutable_usage()->set_at_unix_ns(kernel_.wall_now_ns());
      container.mutable_usage()->set_window_ns(10'000'000'000);
      container.mutable_usage()->set_cpu_nano_cores(found->second * 1'000'000);
      container.mutable_usage()->set_memory_working_set_bytes(64 << 20);
    }
    done->Run();
  }

  std::map<std::string, uint64_t> used;  // thousandths of a core by pod
  std::string failure;

 private:
  testing::FakeKernel& kernel_;
};

class AutoscalerTest : public ::testing::Test {
 protected:
  AutoscalerTest() {
    AutoscalerOptions options;
    options.workers = 1;
    controllers_.add(std::make_unique<AutoscalerController>(kernel_.host(), options));
    kernel_.provide("node", node_, "n1");
  }

  void make_deployment(int32_t replicas) {
    apps::Deployment deployment;
    deployment.mutable_metadata()->set_name("web");
    deployment.mutable_metadata()->set_namespace_("default");
    deployment.mutable_spec()->set_replicas(replicas);
    (*deployment.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "web";
    ASSERT_TRUE(kernel_.create("deployments.apps", deployment));
  }
  void make_pods(int from, int to, uint64_t used) {
    for (int i = from; i < to; ++i) {
      kube::Pod pod;
      pod.mutable_metadata()->set_name("web-" + std::to_string(i));
      pod.mutable_metadata()->set_namespace_("default");
      (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
      pod.mutable_spec()->set_nodename("n1");
      auto& container = *pod.mutable_spec()->add_containers();
      container.set_name("c");
      (*container.mutable_resources()->mutable_requests())["cpu"].set_string("100m");
      ASSERT_TRUE(kernel_.create("pods", pod));
      pod.mutable_status()->set_phase("Running");
      pod.mutable_status()->mutable_starttime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000 - 3600);
      auto& ready = *pod.mutable_status()->add_conditions();
      ready.set_type("Ready");
      ready.set_status("True");
      ready.mutable_lasttransitiontime()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000 - 3000);
      ASSERT_TRUE(kernel_.update("pods", pod, "status"));
      node_.used["web-" + std::to_string(i)] = used;
    }
  }
  Autoscaler autoscaler_of(int32_t minimum, int32_t maximum, int32_t percent) {
    Autoscaler autoscaler;
    autoscaler.mutable_metadata()->set_name("web");
    autoscaler.mutable_metadata()->set_namespace_("default");
    auto& spec = *autoscaler.mutable_spec();
    spec.mutable_scaletargetref()->set_apiversion("apps/v1");
    spec.mutable_scaletargetref()->set_kind("Deployment");
    spec.mutable_scaletargetref()->set_name("web");
    spec.set_minreplicas(minimum);
    spec.set_maxreplicas(maximum);
    auto& metric = *spec.add_metrics();
    metric.set_type("Resource");
    metric.mutable_resource()->set_name("cpu");
    metric.mutable_resource()->mutable_target()->set_type("Utilization");
    metric.mutable_resource()->mutable_target()->set_averageutilization(percent);
    return autoscaler;
  }
  void make(const Autoscaler& autoscaler) {
    ASSERT_TRUE(kernel_.create("horizontalpodautoscalers.autoscaling", autoscaler));
    reconcile();
  }
  Autoscaler stored() { return *kernel_.get<Autoscaler>("horizontalpodautoscalers.autoscaling", "default", "web"); }
  int32_t replicas() { return kernel_.get<apps::Deployment>("deployments.apps", "default", "web")->spec().replicas(); }
  // "True SucceededGetScale: the HPA controller …"
  std::string condition(const std::string& type) {
    const Autoscaler autoscaler = stored();
    for (const auto& condition : autoscaler.status().conditions()) {
      if (condition.type() == type) {
        return condition.status() + " " + condition.reason() + ": " + condition.message();
      }
    }
    return "";
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const Event& event : kernel_.list<Event>("events")) out.push_back(event.reason() + ": " + event.message());
    return out;
  }
  void reconcile() {
    for (int i = 0; i < 4; ++i) controllers_.run_until_idle();
  }
  void next() {
    kernel_.advance(15s);
    reconcile();
  }

  testing::FakeKernel kernel_;
  FakeNode node_{kernel_};
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(AutoscalerTest, GrowsWithTheLoadAndShrinksAfterIt) {
  make_deployment(1);
  make_pods(0, 1, 200);
  make(autoscaler_of(1, 5, 50));
  EXPECT_EQ(replicas(), 4);
  EXPECT_THAT(events(), Contains("SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of "
                                 "request) above target"));
  EXPECT_EQ(condition("AbleToScale"),
            "True SucceededRescale: the HPA controller was able to update the target scale to 4");
  EXPECT_EQ(condition("ScalingActive"),
            "True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource "
            "utilization (percentage of request)");
  EXPECT_EQ(condition("ScalingLimited"), "False DesiredWithinRange: the desired count is within the acceptable range");
  const Autoscaler grown = stored();
  EXPECT_EQ(grown.status().currentreplicas(), 1);
  EXPECT_EQ(grown.status().desiredreplicas(), 4);
  EXPECT_EQ(grown.status().lastscaletime().seconds(), kernel_.wall_now_ns() / 1'000'000'000);
  ASSERT_EQ(grown.status().currentmetrics_size(), 1);
  EXPECT_EQ(grown.status().currentmetrics(0).resource().current().averageutilization(), 200);
  EXPECT_EQ(grown.status().currentmetrics(0).resource().current().averagevalue().string(), "200m");

  make_pods(1, 4, 10);
  node_.used["web-0"] = 10;
  next();
  EXPECT_EQ(replicas(), 4);
  EXPECT_THAT(condition("AbleToScale"), HasSubstr("True ScaleDownStabilized: "));
  EXPECT_EQ(stored().status().currentreplicas(), 4);
  for (int i = 0; i < 21; ++i) next();
  EXPECT_EQ(replicas(), 1);
  EXPECT_THAT(events(), Contains("SuccessfulRescale: New size: 1; reason: All metrics below target"));
}

TEST_F(AutoscalerTest, KeepsBetweenMinimumAndMaximumWithoutAMetric) {
  make_deployment(9);
  make(autoscaler_of(2, 5, 50));
  EXPECT_EQ(replicas(), 5);
  EXPECT_THAT(events(),
              Contains("SuccessfulRescale: New size: 5; reason: Current number of replicas above Spec.MaxReplicas"));
  Autoscaler higher = stored();
  higher.mutable_spec()->set_minreplicas(7);
  higher.mutable_spec()->set_maxreplicas(8);
  ASSERT_TRUE(kernel_.update("horizontalpodautoscalers.autoscaling", higher));
  reconcile();
  EXPECT_EQ(replicas(), 7);
  EXPECT_THAT(events(),
              Contains("SuccessfulRescale: New size: 7; reason: Current number of replicas below Spec.MinReplicas"));
}

TEST_F(AutoscalerTest, LeavesATargetAloneThatIsScaledToZero) {
  make_deployment(0);
  make(autoscaler_of(1, 5, 50));
  EXPECT_EQ(replicas(), 0);
  EXPECT_EQ(condition("ScalingActive"),
            "False ScalingDisabled: scaling is disabled since the replica count of the target is zero");
}

TEST_F(AutoscalerTest, SaysWhyThereIsNoTarget) {
  make(autoscaler_of(1, 5, 50));
  EXPECT_EQ(condition("AbleToScale"),
            "False FailedGetScale: the HPA controller was unable to get the target's current scale: deployments.apps "
            "\"web\" not found");
  EXPECT_THAT(events(), Contains("FailedGetScale: deployments.apps \"web\" not found"));
  Autoscaler other = stored();
  other.mutable_spec()->mutable_scaletargetref()->set_kind("Nothing");
  ASSERT_TRUE(kernel_.update("horizontalpodautoscalers.autoscaling", other));
  reconcile();
  EXPECT_THAT(condition("AbleToScale"), HasSubstr("no matches for kind \"Nothing\" in group \"apps\""));
}

TEST_F(AutoscalerTest, SaysWhyThereAreNoMetrics) {
  make_deployment(1);
  make_pods(0, 1, 200);
  node_.failure = "the node is away";
  make(autoscaler_of(1, 5, 50));
  EXPECT_EQ(replicas(), 1);
  const std::string why =
      "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource "
      "metrics API: the node is away";
  EXPECT_EQ(condition("ScalingActive"),
            "False FailedGetResourceMetric: the HPA was unable to compute the replica count: " + why);
  EXPECT_THAT(events(), Contains("FailedGetResourceMetric: " + why));
  EXPECT_THAT(events(), Contains("FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: "
                                 "failed to get cpu resource metric value: " +
                                 why));
  node_.failure.clear();
  next();
  EXPECT_EQ(replicas(), 4);
}

TEST_F(AutoscalerTest, ForeignMetricsFailAndDoNotLetItShrink) {
  make_deployment(4);
  make_pods(0, 4, 10);
  Autoscaler autoscaler = autoscaler_of(1, 9, 50);
  auto& external = *autoscaler.mutable_spec()->add_metrics();
  external.set_type("External");
  external.mutable_external()->mutable_metric()->set_name("queue");
  external.mutable_external()->mutable_target()->set_type("Value");
  external.mutable_external()->mutable_target()->mutable_value()->set_string("5");
  make(autoscaler);
  for (int i = 0; i < 25; ++i) next();
  EXPECT_EQ(replicas(), 4);
  EXPECT_EQ(condition("ScalingActive"),
            "False FailedGetExternalMetric: the HPA was unable to compute the replica count: unable to get external "
            "metric default/queue/nil: unable to fetch metrics from external metrics API: the server could not find "
            "the requested resource (get queue.external.metrics.k8s.io)");
  for (auto& [pod, used] : node_.used) used = 100;
  next();
  EXPECT_EQ(replicas(), 8);  // up it goes by what is known
}

TEST_F(AutoscalerTest, ScalesByOneContainerAndByAverage) {
  make_deployment(1);
  make_pods(0, 1, 90);
  Autoscaler autoscaler = autoscaler_of(1, 9, 50);
  auto& metric = *autoscaler.mutable_spec()->mutable_metrics(0);
  metric.Clear();
  metric.set_type("ContainerResource");
  metric.mutable_containerresource()->set_name("memory");
  metric.mutable_containerresource()->set_container("c");
  metric.mutable_containerresource()->mutable_target()->set_type("AverageValue");
  metric.mutable_containerresource()->mutable_target()->mutable_averagevalue()->set_string("32Mi");
  make(autoscaler);
  EXPECT_EQ(replicas(), 2);
  EXPECT_EQ(stored().status().currentmetrics(0).containerresource().current().averagevalue().string(), "67108864");
  Autoscaler other = stored();
  other.mutable_spec()->mutable_metrics(0)->mutable_containerresource()->set_container("x");
  ASSERT_TRUE(kernel_.update("horizontalpodautoscalers.autoscaling", other));
  reconcile();
  EXPECT_THAT(condition("ScalingActive"),
              HasSubstr("FailedGetContainerResourceMetric: the HPA was unable to compute the replica count: failed to "
                        "get memory usage: unable to get metrics for resource memory: failed to get container metrics: "
                        "container x not present in metrics for pod default/web-0"));
}

TEST_F(AutoscalerTest, TwoForTheSamePodsDoNotScale) {
  make_deployment(1);
  make_pods(0, 1, 200);
  Autoscaler other = autoscaler_of(1, 5, 50);
  other.mutable_metadata()->set_name("other");
  ASSERT_TRUE(kernel_.create("horizontalpodautoscalers.autoscaling", other));
  make(autoscaler_of(1, 5, 50));
  EXPECT_EQ(replicas(), 1);
  const std::string message = "pods by selector app=web are controlled by multiple HPAs: [default/other default/web]";
  EXPECT_EQ(condition("ScalingActive"), "False AmbiguousSelector: " + message);
  EXPECT_THAT(events(), Contains("AmbiguousSelector: " + message));
  EXPECT_THAT(events(), Contains("FailedComputeMetricsReplicas: " + message));

  ASSERT_TRUE(kernel_.remove("horizontalpodautoscalers.autoscaling", "default", "other"));
  next();
  EXPECT_EQ(replicas(), 4);
}

TEST_F(AutoscalerTest, FollowsItsBehavior) {
  make_deployment(8);
  make_pods(0, 8, 10);
  Autoscaler autoscaler = autoscaler_of(1, 9, 50);
  auto& down = *autoscaler.mutable_spec()->mutable_behavior()->mutable_scaledown();
  down.set_selectpolicy("Max");
  down.set_stabilizationwindowseconds(5);
  auto& policy = *down.add_policies();
  policy.set_type("Pods");
  policy.set_value(2);
  policy.set_periodseconds(15);
  autoscaler.mutable_spec()->mutable_behavior()->mutable_scaleup()->set_selectpolicy("Max");
  make(autoscaler);
  EXPECT_EQ(replicas(), 8);  // as many were recommended a moment ago
  next();
  EXPECT_EQ(replicas(), 6);
  EXPECT_EQ(condition("ScalingLimited"),
            "True ScaleDownLimit: the desired replica count is decreasing faster than the maximum scale rate");
  next();
  EXPECT_EQ(replicas(), 4);
}

TEST_F(AutoscalerTest, IsNotWokenByItsOwnStatus) {
  make_deployment(1);
  make_pods(0, 1, 50);
  make(autoscaler_of(1, 5, 50));
  const size_t calls = kernel_.calls().size();
  reconcile();
  EXPECT_EQ(kernel_.calls().size(), calls);
  next();
  EXPECT_EQ(kernel_.calls().size(), calls + 1);
}

}  // namespace
}  // namespace orlop::workload
