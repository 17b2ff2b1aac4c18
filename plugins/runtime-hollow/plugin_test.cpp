// The plugin's file as the kernel loads it.
#include "cri/api.pb.h"
#include "orlop/testing/loaded_plugin.hpp"
#include "orlop/v1/runtime.pb.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace orlop::testing {
namespace {

namespace cri = ::runtime::v1;

TEST(RuntimeHollowPlugin, LivesByTheKernelsClock) {
  FakeKernel kernel;
  LoadedPlugin plugin(ORLOP_PLUGIN_FILE, kernel);
  Status status = plugin.init({});
  ASSERT_TRUE(status.is_ok()) << status.message();
  ASSERT_TRUE(plugin.start().is_ok());
  EXPECT_TRUE(plugin.healthy());

  cri::RunPodSandboxRequest run;
  run.mutable_config()->mutable_metadata()->set_name("web");
  run.mutable_config()->mutable_metadata()->set_namespace_("default");
  auto sandbox = kernel.invoke<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", run);
  ASSERT_TRUE(sandbox.is_ok()) << sandbox.message();
  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(sandbox->pod_sandbox_id());
  (*create.mutable_config()->mutable_annotations())["hollow.orlop.dev/exit-after"] = "2s";
  auto container = kernel.invoke<cri::CreateContainerResponse>("runtime.v1.RuntimeService/CreateContainer", create);
  ASSERT_TRUE(container.is_ok()) << container.message();
  cri::StartContainerRequest start;
  start.set_container_id(container->container_id());
  ASSERT_TRUE(kernel.invoke<cri::StartContainerResponse>("runtime.v1.RuntimeService/StartContainer", start).is_ok());

  cri::ContainerStatusRequest ask;
  ask.set_container_id(container->container_id());
  auto state = [&] {
    return kernel.invoke<cri::ContainerStatusResponse>("runtime.v1.RuntimeService/ContainerStatus", ask)
        ->status()
        .state();
  };
  EXPECT_EQ(state(), cri::CONTAINER_RUNNING);
  kernel.advance(std::chrono::seconds(1));
  EXPECT_EQ(state(), cri::CONTAINER_RUNNING);
  kernel.advance(std::chrono::seconds(2));
  // The wake only wakes; the plugin's own thread ends the container a moment later.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (state() != cri::CONTAINER_EXITED && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(state(), cri::CONTAINER_EXITED);
  plugin.stop();
}

TEST(RuntimeHollowPlugin, BadRangeIsToldAtInit) {
  FakeKernel kernel;
  LoadedPlugin plugin(ORLOP_PLUGIN_FILE, kernel);
  google::protobuf::Struct settings;
  (*settings.mutable_fields())["ip_range"].set_string_value("everything");
  Status status = plugin.init(settings);
  EXPECT_EQ(status.code(), Code::kInvalid);
  EXPECT_NE(status.message().find("everything"), std::string::npos);
}

}  // namespace
}  // namespace orlop::testing
