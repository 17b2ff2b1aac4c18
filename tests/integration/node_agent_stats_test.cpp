// What pods of a hollow runtime use, as their annotations say, through the agent's own account.
#include "orlop/pods.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/stats/node_stats.hpp"
#include "plugins/runtime-hollow/hollow_runtime.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;

class HollowStats : public ::testing::Test {
 protected:
  HollowStats() {
    config_.node_names = {"hollow-0", "hollow-1"};
    config_.hollow = true;
    runtime_ = *hollow::HollowRuntime::make(
        hollow::Settings(), {[this] { return kernel_.monotonic_now_ns(); }, [this] { return kernel_.wall_now_ns(); }},
        1);
    kernel_.provide("runtime",
                    [this](const v1::CallTarget& target, const std::string& payload, testing::FakeKernel::Reply reply) {
                      runtime_->call(target.method(), payload, kernel_.monotonic_now_ns() + 1'000'000'000,
                                     [reply = std::move(reply)](const Status& status, std::string_view bytes) {
                                       reply(status.is_ok() ? Result<std::string>(std::string(bytes)) : status);
                                     });
                    });
    kernel_.index_with([](const std::string&, std::string_view value) {
      kube::Pod pod;
      pod.ParseFromArray(value.data(), static_cast<int>(value.size()));
      return std::vector<std::string>{"node/" + pod.spec().nodename()};
    });
  }
  void run(const std::string& name, const std::string& node, const std::string& cpu, const std::string& memory) {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("default");
    (*pod.mutable_metadata()->mutable_annotations())["hollow.orlop.dev/cpu"] = cpu;
    (*pod.mutable_metadata()->mutable_annotations())["hollow.orlop.dev/memory"] = memory;
    pod.mutable_spec()->set_nodename(node);
    pod = *kernel_.create("pods", pod);
    cri::RunPodSandboxRequest sandbox;
    sandbox.mutable_config()->mutable_metadata()->set_name(name);
    sandbox.mutable_config()->mutable_metadata()->set_namespace_("default");
    sandbox.mutable_config()->mutable_metadata()->set_uid(pod.metadata().uid());
    *sandbox.mutable_config()->mutable_annotations() = pod.metadata().annotations();
    const auto made = client_.invoke<cri::RunPodSandboxResponse>("RuntimeService/RunPodSandbox", sandbox);
    ASSERT_TRUE(made);
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(made->pod_sandbox_id());
    auto& container = *create.mutable_config();
    container.mutable_metadata()->set_name("c");
    (*container.mutable_labels())[kPodUidLabel] = pod.metadata().uid();
    (*container.mutable_labels())[kPodNameLabel] = name;
    (*container.mutable_labels())[kPodNamespaceLabel] = "default";
    const auto created = client_.invoke<cri::CreateContainerResponse>("RuntimeService/CreateContainer", create);
    ASSERT_TRUE(created) << created.message();
    cri::StartContainerRequest start;
    start.set_container_id(created->container_id());
    ASSERT_TRUE(client_.invoke<cri::StartContainerResponse>("RuntimeService/StartContainer", start));
  }
  v1::PodStats stats_of(const std::string& name) {
    v1::StatsRequest request;
    request.add_pods()->set_name(name);
    request.mutable_pods(0)->set_namespace_("default");
    const auto stats = stats_.read(request);
    EXPECT_TRUE(stats) << stats.message();
    return stats && stats->pods_size() == 1 ? stats->pods(0) : v1::PodStats();
  }

  testing::FakeKernel kernel_;
  AgentConfig config_;
  std::unique_ptr<hollow::HollowRuntime> runtime_;
  RuntimeClient client_{kernel_.host(), ""};
  NodeStats stats_{kernel_.host(), config_, client_, std::make_unique<HollowSource>(kernel_.host(), config_, client_)};
};

TEST_F(HollowStats, AreWhatTheAnnotationsSay) {
  run("a", "hollow-0", "250m", "64Mi");
  run("b", "hollow-1", "2", "1Gi");
  EXPECT_EQ(stats_of("a").usage().window_ns(), 0);
  kernel_.advance(4s);
  EXPECT_EQ(stats_of("a").usage().window_ns(), 4'000'000'000);
  EXPECT_EQ(stats_of("a").usage().cpu_nano_cores(), 250'000'000u);
  EXPECT_EQ(stats_of("a").usage().memory_working_set_bytes(), 64u << 20);
  EXPECT_EQ(stats_of("b").containers(0).name(), "c");
  EXPECT_EQ(stats_of("b").containers(0).usage().cpu_nano_cores(), 2'000'000'000u);
}

TEST_F(HollowStats, FollowAnnotationsThatAreChanged) {
  run("a", "hollow-0", "100m", "64Mi");
  stats_of("a");
  kernel_.advance(20s);
  EXPECT_EQ(stats_of("a").usage().cpu_nano_cores(), 100'000'000u);
  auto pod = *kernel_.get<kube::Pod>("pods", "default", "a");
  (*pod.mutable_metadata()->mutable_annotations())["hollow.orlop.dev/cpu"] = "900m";
  ASSERT_TRUE(kernel_.update("pods", pod));
  kernel_.advance(1s);
  EXPECT_EQ(stats_of("a").usage().cpu_usage_core_ns(), 2'100'000'000u);
  kernel_.advance(20s);
  EXPECT_EQ(stats_of("a").usage().cpu_nano_cores(), 900'000'000u);
}

}  // namespace
}  // namespace orlop::agent
