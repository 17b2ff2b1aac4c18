#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/cgroups/fake_cgroups.hpp"
#include "plugins/node-agent/stats/disk_usage.hpp"
#include "plugins/node-agent/stats/machine_usage.hpp"
#include "plugins/node-agent/stats/node_stats.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
constexpr int64_t kSecond = 1'000'000'000;

Reading reading_at(int64_t second, uint64_t cpu_ns, const std::string& uid = "u") {
  Reading out;
  out.monotonic_ns = second * kSecond;
  out.unix_ns = out.monotonic_ns;
  out.machine.cpu_ns = cpu_ns;
  PodReading& pod = out.pods[uid];
  pod.reference.set_uid(uid);
  pod.reference.set_name("p");
  pod.reference.set_namespace_("default");
  pod.usage.cpu_ns = cpu_ns;
  pod.containers["id"] = {"c", {cpu_ns, 10, 8, 6}};
  return out;
}

TEST(Rates, NeedTwoReadings) {
  ReadingHistory history;
  EXPECT_EQ(make_stats(history, {}).pods_size(), 0);
  history.add(reading_at(1, 1 * kSecond));
  EXPECT_EQ(make_stats(history, {}).pods(0).usage().window_ns(), 0);
  history.add(reading_at(3, 2 * kSecond));
  const auto stats = make_stats(history, {});
  EXPECT_EQ(stats.pods(0).usage().window_ns(), 2 * kSecond);
  EXPECT_EQ(stats.pods(0).usage().cpu_nano_cores(), 500'000'000u);
  EXPECT_EQ(stats.pods(0).containers(0).usage().cpu_nano_cores(), 500'000'000u);
  EXPECT_EQ(stats.pods(0).containers(0).usage().memory_working_set_bytes(), 8u);
  EXPECT_EQ(stats.usage().cpu_nano_cores(), 500'000'000u);
}

TEST(Rates, AreOverAboutAWindow) {
  ReadingHistory history;
  for (int second = 1; second <= 30; ++second) history.add(reading_at(second, second * kSecond));
  const auto window = make_stats(history, {}).pods(0).usage().window_ns();
  EXPECT_GE(window, 10 * kSecond);
  EXPECT_LE(window, 11 * kSecond);
  history.add(reading_at(200, 31 * kSecond));
  EXPECT_EQ(make_stats(history, {}).pods(0).usage().window_ns(), 0) << "what is long ago says nothing of now";
}

TEST(Rates, ACounterThatWentBackHasNone) {
  ReadingHistory history;
  history.add(reading_at(1, 5 * kSecond));
  history.add(reading_at(2, 1 * kSecond));
  EXPECT_EQ(make_stats(history, {}).pods(0).usage().window_ns(), 0);
  history.add(reading_at(3, 2 * kSecond, "another"));
  EXPECT_EQ(make_stats(history, {}).pods(0).usage().window_ns(), 0);
}

TEST(Rates, OnlyThePodsThatWereAskedFor) {
  ReadingHistory history;
  history.add(reading_at(1, 0));
  v1::StatsRequest request;
  auto* pod = request.add_pods();
  pod->set_namespace_("default");
  pod->set_name("p");
  EXPECT_EQ(make_stats(history, request).pods_size(), 1);
  pod->set_uid("other");
  EXPECT_EQ(make_stats(history, request).pods_size(), 0);
}

TEST(Machine, MemoryAndProcessors) {
  constexpr char kMeminfo[] =
      "MemTotal:        1000 kB\nMemFree:          200 kB\nInactive:         999 kB\nAnonPages:        300 kB\n"
      "Inactive(file):   100 kB\n";
  const CgroupUsage memory = memory_of_machine(kMeminfo);
  EXPECT_EQ(memory.memory_usage_bytes, 800u * 1024);
  EXPECT_EQ(memory.memory_working_set_bytes, 700u * 1024);
  EXPECT_EQ(memory.memory_rss_bytes, 300u * 1024);
  EXPECT_EQ(memory_available(kMeminfo), 300u * 1024);
  EXPECT_EQ(cpu_of_machine("cpu  10 20 30 1000 2000 1 2 50 0 0\ncpu0 1 1\n", 100), 63u * 10'000'000);
  EXPECT_EQ(cpu_of_machine("", 100), 0u);
}

class OnCgroups : public ::testing::TestWithParam<bool> {
 protected:
  OnCgroups() {
    config_.node_names = {"n1"};
    config_.pods_folder = cgroups_.root() + "/none/pods";
    config_.logs_folder = cgroups_.root() + "/none/logs";
    kernel_.provide("runtime",
                    [this](const v1::CallTarget& target, const std::string&, testing::FakeKernel::Reply reply) {
                      ++asked_;
                      if (target.method().ends_with("ListPodSandbox")) return reply(sandboxes_.SerializeAsString());
                      if (target.method().ends_with("ListContainers")) return reply(containers_.SerializeAsString());
                      reply(Status(Code::kUnavailable, "away"));
                    });
    stats_ = std::make_unique<NodeStats>(
        kernel_.host(), config_, client_,
        std::make_unique<CgroupSource>(kernel_.host(), client_, CgroupTree(cgroups_.root())));
  }
  void add_pod(const std::string& uid, const std::string& name, const std::string& container_id) {
    auto& sandbox = *sandboxes_.add_items();
    sandbox.set_id("sandbox-" + uid);
    sandbox.set_created_at(77);
    sandbox.mutable_metadata()->set_name(name);
    sandbox.mutable_metadata()->set_namespace_("default");
    (*sandbox.mutable_labels())[kPodUidLabel] = uid;
    auto& container = *containers_.add_containers();
    container.set_id(container_id);
    container.mutable_metadata()->set_name("c");
    (*container.mutable_labels())[kPodUidLabel] = uid;
  }
  v1::StatsResponse read() {
    auto stats = stats_->read({});
    EXPECT_TRUE(stats) << stats.message();
    return stats ? *stats : v1::StatsResponse();
  }

  FakeCgroups cgroups_{GetParam()};
  testing::FakeKernel kernel_;
  AgentConfig config_;
  RuntimeClient client_{kernel_.host(), ""};
  cri::ListPodSandboxResponse sandboxes_;
  cri::ListContainersResponse containers_;
  int asked_ = 0;
  std::unique_ptr<NodeStats> stats_;
};
INSTANTIATE_TEST_SUITE_P(Stats, OnCgroups, ::testing::Bool(),
                         [](const auto& version) { return version.param ? "V2" : "V1"; });

TEST_P(OnCgroups, PodsAndContainersByName) {
  add_pod("u1", "web", "id1");
  add_pod("u2", "db", "id2");
  cgroups_.make("/orlop/podu1", 100, 1000, 100, 50);
  cgroups_.make("/orlop/podu1/sandbox-u1", 1, 10, 0, 0);
  cgroups_.make("/orlop/podu1/id1", 90, 900, 100, 50);
  cgroups_.make("/orlop/besteffort/podu2", 7000, 1, 0, 0);
  cgroups_.make("/orlop/besteffort/podu2/id2", 7000, 1, 0, 0);
  cgroups_.make("/orlop/burstable/podother", 7, 1, 0, 0);
  const auto stats = read();
  EXPECT_EQ(stats.node(), "n1");
  EXPECT_GT(stats.memory_available_bytes(), 0u);
  ASSERT_EQ(stats.pods_size(), 2);
  EXPECT_EQ(stats.pods(0).pod().name(), "web");
  EXPECT_EQ(stats.pods(0).started_unix_ns(), 77);
  EXPECT_EQ(stats.pods(0).usage().memory_working_set_bytes(), 900u);
  ASSERT_EQ(stats.pods(0).containers_size(), 1);
  EXPECT_EQ(stats.pods(0).containers(0).name(), "c");
  EXPECT_EQ(stats.pods(0).containers(0).usage().memory_working_set_bytes(), 800u);
  EXPECT_EQ(stats.pods(1).pod().name(), "db");
  EXPECT_EQ(stats.pods(1).usage().cpu_usage_core_ns(), 7000u);
}

TEST_P(OnCgroups, ASecondIsSharedThenThereIsARate) {
  add_pod("u1", "web", "id1");
  cgroups_.make("/orlop/podu1", 0, 1, 0, 0);
  cgroups_.make("/orlop/podu1/id1", 0, 1, 0, 0);
  EXPECT_EQ(read().pods(0).usage().window_ns(), 0);
  cgroups_.make("/orlop/podu1", 1'000'000'000, 1, 0, 0);
  kernel_.advance(900ms);
  EXPECT_EQ(read().pods(0).usage().cpu_usage_core_ns(), 0u) << "the same reading";
  kernel_.advance(1100ms);
  const auto stats = read();
  EXPECT_EQ(stats.pods(0).usage().window_ns(), 2 * kSecond);
  EXPECT_EQ(stats.pods(0).usage().cpu_nano_cores(), 500'000'000u);
}

TEST_P(OnCgroups, TheRuntimeIsAskedOnlyOfWhatIsNew) {
  add_pod("u1", "web", "id1");
  cgroups_.make("/orlop/podu1");
  cgroups_.make("/orlop/podu1/id1");
  cgroups_.make("/orlop/podforeign");
  cgroups_.make("/orlop/podu1/unknown");
  read();
  const int first = asked_;
  for (int i = 0; i < 5; ++i) {
    kernel_.advance(1s);
    EXPECT_EQ(read().pods_size(), 1);
  }
  EXPECT_EQ(asked_, first);
  add_pod("u2", "db", "id2");
  cgroups_.make("/orlop/burstable/podu2");
  kernel_.advance(1s);
  EXPECT_EQ(read().pods_size(), 2);
  EXPECT_EQ(asked_, first + 2);
  kernel_.withdraw("runtime");
  cgroups_.make("/orlop/burstable/podu3");
  kernel_.advance(1s);
  EXPECT_EQ(read().pods_size(), 2) << "those that are known are told of while the runtime is away";
}

TEST(Disk, CountsWhatIsThereOnce) {
  char name[] = "/tmp/orlop-disk-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  std::filesystem::create_directories(folder + "/a/b");
  std::ofstream(folder + "/a/file") << std::string(100'000, 'x');
  std::filesystem::create_hard_link(folder + "/a/file", folder + "/a/b/again");
  std::filesystem::create_symlink("/etc", folder + "/a/elsewhere");
  const SpaceUsed used = folder_usage(folder);
  EXPECT_EQ(used.inodes, 5u);
  EXPECT_GE(used.bytes, 98'000u);
  EXPECT_LT(used.bytes, 190'000u);
  EXPECT_EQ(folder_usage(folder + "/none").inodes, 0u);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace orlop::agent
