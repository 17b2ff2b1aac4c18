#include "kernel/daemon/config.hpp"

#include "kernel/daemon/files.hpp"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::daemon {
namespace {

const Surroundings kHere{"Some-Host", "/opt/orlop/bin"};

std::string problems_of(const std::string& text) {
  std::string all;
  for (const auto& problem : load_config(text, "u.yaml", kHere).problems) all += problem.text() + "\n";
  return all;
}

TEST(ConfigTest, TheBuiltInFileIsTheOneInTheTreeAndLoads) {
  auto installed = read_whole_file(ORLOP_CONFIG_FILE);
  ASSERT_TRUE(installed) << installed.message();
  EXPECT_EQ(default_config_text(), *installed);
  const auto outcome = load_config("", "none", kHere);
  ASSERT_TRUE(outcome.problems.empty()) << outcome.problems[0].text();
  const Config& config = outcome.config;
  EXPECT_EQ(config.node_name, "some-host");
  EXPECT_EQ(config.folders.data, "/var/lib/orlop");
  EXPECT_EQ(config.folders.plugins, "/opt/orlop/lib/orlop/plugins");
  EXPECT_EQ(config.log_age_ms, 600'000);
  EXPECT_EQ(config.log_bytes, 1ull << 30);
  ASSERT_EQ(config.plugins.size(), 9u);
  EXPECT_FALSE(config.plugins[0].isolated);
  EXPECT_TRUE(config.plugins[5].isolated);
  EXPECT_EQ(config.plugins[0].file, "/opt/orlop/lib/orlop/plugins/api-kubernetes.so");
}

TEST(ConfigTest, TheInstalledFileLaidOverTheDefaultsChangesNothing) {
  const auto outcome = load_config(default_config_text(), "u.yaml", kHere);
  EXPECT_TRUE(outcome.problems.empty());
  EXPECT_EQ(outcome.config.plugins.size(), 9u);
}

TEST(ConfigTest, AUsersFileOverridesByKeyAndPluginsByName) {
  const auto outcome = load_config(R"(node: {name: n1}
folders:
  data: /d
store: {compaction: {age: 1h}}
plugins:
  - {name: net-iptables, enabled: false}
  - {name: api-kubernetes, config: {port: 7443}}
  - name: second
    file: probe.so
    hosted: inline
    instance: two
)",
                                   "u.yaml", kHere);
  ASSERT_TRUE(outcome.problems.empty()) << outcome.problems[0].text();
  const Config& config = outcome.config;
  EXPECT_EQ(config.node_name, "n1");
  EXPECT_EQ(config.folders.data, "/d");
  EXPECT_EQ(config.folders.run, "/run/orlop");
  EXPECT_EQ(config.log_age_ms, 3'600'000);
  ASSERT_EQ(config.plugins.size(), 10u);
  EXPECT_FALSE(config.plugins[0].isolated);  // what the user did not name stays
  EXPECT_EQ(config.plugins[0].config.find("port")->scalar, "7443");
  EXPECT_EQ(*config.plugins[0].config.find("port")->file, "u.yaml");
  EXPECT_FALSE(config.plugins[6].enabled);
  EXPECT_EQ(config.plugins[9].instance, "two");
  EXPECT_EQ(config.plugins[9].file, "/opt/orlop/lib/orlop/plugins/probe.so");
}

TEST(ConfigTest, EveryProblemNamesFileLineAndMend) {
  EXPECT_EQ(problems_of("folder: {data: /d}\n"),
            "u.yaml:1: the configuration has no key folder; did you mean folders?\n");
  EXPECT_EQ(problems_of("log:\n  level: loud\n").substr(0, 10), "u.yaml:2: ");
  EXPECT_NE(problems_of("folders: {data: d}\n").find("an absolute path"), std::string::npos);
  EXPECT_NE(problems_of("store: {compaction: {age: 10}}\n").find("a number and s, m or h"), std::string::npos);
  EXPECT_NE(
      problems_of("plugins:\n  - {name: a}\n  - {name: a}\n").find("u.yaml:3: the plugin a stands here and in line 2"),
      std::string::npos);
  EXPECT_NE(problems_of("plugins:\n  - {hosted: inline}\n").find("u.yaml:2: "), std::string::npos);
  EXPECT_NE(problems_of("a: [1,\n").find("this is not YAML"), std::string::npos);
  const std::string both = problems_of("nod: 1\nlog: {levle: info}\n");
  EXPECT_NE(both.find("u.yaml:1:"), std::string::npos);
  EXPECT_NE(both.find("u.yaml:2:"), std::string::npos);
}

TEST(ConfigTest, PluginFilesThatAreNotThereAreNamed) {
  const auto problems = check_plugins(load_config("", "none", kHere).config);
  ASSERT_EQ(problems.size(), 9u);
  EXPECT_NE(problems[0].text().find("there is no file /opt/orlop/lib/orlop/plugins/api-kubernetes.so"),
            std::string::npos);
}

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/orlop-files-XXXXXX";
    folder_ = ::mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(FilesTest, OneLockForOneFolder) {
  auto first = FolderLock::take(folder_, std::chrono::milliseconds(0));
  ASSERT_TRUE(first) << first.message();
  auto second = FolderLock::take(folder_, std::chrono::milliseconds(0));
  EXPECT_EQ(second.code(), Code::kConflict);
  EXPECT_NE(second.message().find("process " + std::to_string(::getpid())), std::string::npos);
  first->reset();
  EXPECT_TRUE(FolderLock::take(folder_, std::chrono::milliseconds(0)));
}

TEST_F(FilesTest, TheSealingKeyIsMadeOnceAndPrivate) {
  auto first = sealing_key(folder_);
  ASSERT_TRUE(first) << first.message();
  auto second = sealing_key(folder_);
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ + "/sealing.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::truncate((folder_ + "/sealing.key").c_str(), 5), 0);
  EXPECT_EQ(sealing_key(folder_).code(), Code::kInvalid);
}

TEST_F(FilesTest, FoldersAreMadeWithTheirParents) {
  EXPECT_TRUE(make_folders(folder_ + "/a/b/c", 0700).is_ok());
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/a/b/c"));
  EXPECT_TRUE(make_folders(folder_ + "/a/b/c", 0700).is_ok());
  EXPECT_FALSE(make_folders("/proc/none/x", 0700).is_ok());
}

}  // namespace
}  // namespace orlop::daemon
