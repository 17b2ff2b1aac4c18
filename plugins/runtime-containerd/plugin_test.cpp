// The plugin's file as the kernel loads it, with the folders that the kernel gives. Needs root.
#include "orlop/testing/loaded_plugin.hpp"
#include "orlop/v1/runtime.pb.h"
#include "plugins/runtime-containerd/teardown.hpp"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

namespace orlop::testing {
namespace {

namespace fs = std::filesystem;

class RuntimeContainerdPlugin : public ::testing::Test {
 protected:
  RuntimeContainerdPlugin() {
    std::string name = (fs::temp_directory_path() / "orlop-plugin-XXXXXX").native();
    folder_ = ::mkdtemp(name.data());
    folders_ = {{"config", folder_ / "config"},
                {"data", folder_ / "data"},
                {"run", folder_ / "run"},
                {"own_data", folder_ / "data/plugins/runtime-containerd"},
                {"own_run", folder_ / "run/plugins/runtime-containerd"},
                {"bin", folder_ / "bin"}};
    (*settings_.mutable_fields())["pause_image"].set_string_value(ORLOP_PAUSE_IMAGE);
  }
  ~RuntimeContainerdPlugin() override {
    containerd::Settings settings;
    settings.data_folder = folders_["own_data"];
    settings.run_folder = folders_["own_run"];
    Status status = containerd::tear_down(settings, [](std::string_view) {});
    EXPECT_TRUE(status.is_ok()) << status.message();
    fs::remove_all(folder_);
  }

  fs::path folder_;
  std::map<std::string, std::string> folders_;
  google::protobuf::Struct settings_;
};

TEST_F(RuntimeContainerdPlugin, ReportsReadinessAndAnswers) {
  FakeKernel kernel;
  LoadedPlugin plugin(ORLOP_PLUGIN_FILE, kernel);
  Status status = plugin.init(settings_, folders_);
  ASSERT_TRUE(status.is_ok()) << status.message();
  status = plugin.start();
  ASSERT_TRUE(status.is_ok()) << status.message();
  // Answered as soon as containerd is there: the call waits for it.
  auto answer = kernel.invoke("runtime.v1.RuntimeService/Version", "");
  ASSERT_TRUE(answer.is_ok()) << answer.message();
  EXPECT_NE(answer->find("containerd"), std::string::npos);
  ASSERT_TRUE(kernel.readiness().has_value());
  EXPECT_TRUE(kernel.readiness()->first);
  auto info = kernel.invoke<v1::RuntimeInfoResponse>("orlop.v1.Runtime/Info", v1::RuntimeInfoRequest());
  ASSERT_TRUE(info.is_ok()) << info.message();
  EXPECT_EQ(info->name(), "containerd");
  EXPECT_EQ(info->state_folder(), folders_["own_run"]);
  EXPECT_TRUE(fs::is_directory(folder_ / "run/cni/net.d")) << "where the network plugin writes";
  plugin.stop();
}

TEST_F(RuntimeContainerdPlugin, SecondOneWaitsForTheFirst) {
  FakeKernel kernel;
  FakeKernel other_kernel;
  LoadedPlugin plugin(ORLOP_PLUGIN_FILE, kernel);
  LoadedPlugin other(ORLOP_PLUGIN_FILE, other_kernel);
  ASSERT_TRUE(plugin.init(settings_, folders_).is_ok());
  ASSERT_TRUE(plugin.start().is_ok());
  ASSERT_TRUE(kernel.invoke("runtime.v1.RuntimeService/Version", "").is_ok());
  ASSERT_TRUE(other.init(settings_, folders_).is_ok());
  ASSERT_TRUE(other.start().is_ok());
  EXPECT_TRUE(other_kernel.invoke("runtime.v1.RuntimeService/Version", "").is_ok());
  plugin.stop();
  EXPECT_TRUE(other_kernel.invoke("runtime.v1.RuntimeService/Version", "").is_ok());
  other.stop();
}

}  // namespace
}  // namespace orlop::testing
