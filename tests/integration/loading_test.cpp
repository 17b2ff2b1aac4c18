// Each way in which a plugin can fail to load: a plain sentence, and everybody else goes on.
#include "orlop/v1/kernel.pb.h"
#include "tests/integration/test_kernel.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace orlop::integration {
namespace {

struct Case {
  const char* name;
  const char* file;
  const char* sentence;  // a part of the reason
  bool read_before;      // said by the manifest: the same for both hostings, and nothing is loaded
};

const Case kCases[] = {
    {"WrongMagic", "wrong-magic", "its magic is 0x1234", false},
    {"WrongMajor", "wrong-major", "is built for the plugin ABI 2.0; this kernel has 1.0", false},
    {"NewerMinor", "newer-minor", "needs the plugin ABI 1.1, which is newer than this kernel's 1.0", false},
    {"NoSymbol", "no-symbol", "does not export orlop_plugin_entry", false},
    {"CreateFails", "create-fails", "failed with code 15 (ServiceUnavailable)", false},
    {"CreateIncomplete", "create-incomplete", "left a function out", false},
    {"NoManifest", "no-manifest", "has no section orlop_manifest", true},
    {"BrokenYaml", "broken-yaml", "this is not YAML", true},
    {"MissingField", "missing-field", "the manifest lacks the field version", true},
    {"AbiMajor", "abi-major", "is built for the plugin ABI 2.0", true},
    {"AbiMinor", "abi-minor", "needs the plugin ABI 1.99", true},
    {"NeedsAbsent", "needs-absent", "plugin bad requires the capability teleport, which no plugin", true},
    {"NoFile", "not-there", "there is no file", true},
};

class Loading : public ::testing::TestWithParam<std::tuple<Case, bool>> {};

TEST_P(Loading, FailsWithASentenceAndTheRestGoesOn) {
  const auto& [bad, isolated] = GetParam();
  TestKernel kernel({spec("bad", plugin_file(bad.file), isolated), spec("good", plugin_file("probe"), false)});
  kernel.start();
  const auto state = kernel.state("bad");
  EXPECT_EQ(state.state(), "Failed");
  EXPECT_NE(state.reason().find(bad.sentence), std::string::npos) << state.reason();
  EXPECT_EQ(state.restarts(), 0u);
  EXPECT_EQ(kernel.call("good", "Probe/Echo", "x").text, "x");
  EXPECT_EQ(kernel.call("bad", "Probe/Echo", "x").code, Code::kUnavailable);
}

INSTANTIATE_TEST_SUITE_P(Ways, Loading, ::testing::Combine(::testing::ValuesIn(kCases), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  (std::get<1>(info.param) ? "Isolated" : "Inline");
                         });

TEST(LoadingOthers, AFileThatIsNoLibrary) {
  TempFolder folder;
  const std::string file = folder.path() + "/text.so";
  std::ofstream(file) << "not a library\n";
  TestKernel kernel({spec("bad", file, false)});
  kernel.start();
  EXPECT_NE(kernel.state("bad").reason().find("it is no ELF file"), std::string::npos);
}

TEST(LoadingOthers, ACycleNamesItsPluginsAndTheRestGoesOn) {
  TestKernel kernel({spec("a", plugin_file("cycle-a"), false), spec("b", plugin_file("cycle-b"), true),
                     spec("good", plugin_file("probe"), false)});
  kernel.start();
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(kernel.state(name).state(), "Failed");
    EXPECT_NE(kernel.state(name).reason().find("plugins a and b require each other in a cycle"), std::string::npos);
  }
  EXPECT_EQ(kernel.state("good").state(), "Running");
}

TEST(LoadingOthers, SettingsThatBreakTheSchemaNameFileAndLine) {
  TestKernel kernel({spec("bad", plugin_file("probe"), true, "greeting: x\nlimit: 99\n")});
  kernel.start();
  EXPECT_EQ(kernel.state("bad").state(), "Failed");
  EXPECT_NE(kernel.state("bad").reason().find("test.yaml:2: the config of bad.limit is 99, above its maximum"),
            std::string::npos)
      << kernel.state("bad").reason();
}

TEST(LoadingOthers, AnInitThatSaysNoIsFailedWithItsReasonInBothHostings) {
  TestKernel kernel(
      {spec("in", plugin_file("probe"), false, "fail: init"), spec("out", plugin_file("probe"), true, "fail: init"),
       spec("start", plugin_file("probe"), false, "fail: start"), spec("good", plugin_file("probe"), true)});
  kernel.start();
  EXPECT_EQ(kernel.state("in").state(), "Failed");
  EXPECT_EQ(kernel.state("out").state(), "Failed");
  EXPECT_NE(kernel.state("out").reason().find("it was told to fail in init"), std::string::npos);
  EXPECT_EQ(kernel.state("in").reason(), kernel.state("out").reason());
  EXPECT_NE(kernel.state("start").reason().find("it was told to fail in start"), std::string::npos);
  EXPECT_EQ(kernel.state("good").state(), "Running");
}

TEST(LoadingOthers, WhoRequiresAFailedPluginWaitsAndSaysForWhom) {
  TestKernel kernel(
      {spec("behind", plugin_file("needs-probe"), false), spec("probe", plugin_file("probe"), false, "fail: init")});
  kernel.start();
  const auto state = kernel.state("behind");
  EXPECT_EQ(state.state(), "Waiting");
  EXPECT_NE(state.reason().find("it waits for the capability probe of plugin probe, which is Failed"),
            std::string::npos)
      << state.reason();
}

TEST(LoadingOthers, StartFollowsRequirementsWhateverTheOrderInTheConfig) {
  TestKernel kernel({spec("behind", plugin_file("needs-probe"), false), spec("probe", plugin_file("probe"), true)});
  kernel.start();
  EXPECT_EQ(kernel.state("behind").state(), "Running");
  EXPECT_GE(kernel.state("behind").started_unix_ns(), kernel.state("probe").started_unix_ns());
}

}  // namespace
}  // namespace orlop::integration
