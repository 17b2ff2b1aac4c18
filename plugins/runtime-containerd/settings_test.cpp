#include "plugins/runtime-containerd/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::containerd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Handler kCrun{"crun", "/usr/bin/crun"};
const Handler kRunc{"runc", "/usr/sbin/runc"};

Settings some_settings() {
  Settings settings;
  settings.data_folder = "/data/own";
  settings.run_folder = "/run/own";
  return settings;
}

TEST(Settings, HandlerNames) {
  EXPECT_EQ(*parse_handler_choice("auto"), HandlerChoice::kAuto);
  EXPECT_EQ(*parse_handler_choice("runc"), HandlerChoice::kRunc);
  auto wrong = parse_handler_choice("docker");
  EXPECT_EQ(wrong.code(), Code::kInvalid);
  EXPECT_THAT(wrong.message(), HasSubstr("\"docker\""));
}

TEST(Settings, AutoPrefersCrun) {
  EXPECT_EQ(choose_handler(HandlerChoice::kAuto, {kRunc, kCrun})->name, "crun");
  EXPECT_EQ(choose_handler(HandlerChoice::kAuto, {kRunc})->name, "runc");
  EXPECT_EQ(choose_handler(HandlerChoice::kRunc, {kCrun, kRunc})->name, "runc");
  EXPECT_EQ(choose_handler(HandlerChoice::kAuto, {}).code(), Code::kUnavailable);
  EXPECT_THAT(choose_handler(HandlerChoice::kCrun, {kRunc}).message(), HasSubstr("no crun"));
}

TEST(Settings, ForeignSocketIsUsedAsItIs) {
  Settings settings = some_settings();
  EXPECT_EQ(Layout(settings).socket, "/run/own/containerd.sock");
  settings.socket = "/run/containerd/containerd.sock";
  EXPECT_FALSE(settings.owns_containerd());
  EXPECT_EQ(Layout(settings).socket, "/run/containerd/containerd.sock");
}

TEST(Settings, ConfigNamesEveryHandlerAndFolder) {
  Settings settings = some_settings();
  settings.registry_config_path = "/etc/own/certs.d";
  std::string config = containerd_config(settings, Layout(settings), {kCrun, kRunc}, kCrun);
  EXPECT_THAT(config, HasSubstr("root = \"/data/own/root\""));
  EXPECT_THAT(config, HasSubstr("state = \"/run/own/state\""));
  EXPECT_THAT(config, HasSubstr("default_runtime_name = \"crun\""));
  EXPECT_THAT(config, HasSubstr("runtimes.runc.options]\n        BinaryName = \"/usr/sbin/runc\""));
  EXPECT_THAT(config, HasSubstr("conf_dir = \"/run/own/cni/net.d\""));
  EXPECT_THAT(config, HasSubstr("config_path = \"/etc/own/certs.d\""));
  EXPECT_THAT(config, HasSubstr("restrict_oom_score_adj = true"));
}

TEST(Settings, QuotesInAPathCannotEndTheString) {
  Settings settings = some_settings();
  settings.cni_bin_dir = "/a\"\nroot = \"/";
  std::string config = containerd_config(settings, Layout(settings), {kRunc}, kRunc);
  EXPECT_THAT(config, HasSubstr("bin_dir = \"/a\\\"\\u000Aroot = \\\"/\""));
  EXPECT_THAT(config, Not(HasSubstr("\nroot = \"/\n")));
}

}  // namespace
}  // namespace orlop::containerd
