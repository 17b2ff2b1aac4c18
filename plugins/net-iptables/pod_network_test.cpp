// What is written, set and asked for, with a /proc of the test's own and programs that only note their arguments.
#include "plugins/net-iptables/pod_network.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

namespace orlop::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class NotingRunner final : public ProcessRunner {
 public:
  Result<ProcessOutcome> run(const std::vector<std::string>& arguments, std::string_view,
                             std::chrono::milliseconds) override {
    std::string line;
    for (const std::string& argument : arguments) line += (line.empty() ? "" : " ") + argument;
    lines.push_back(line);
    ProcessOutcome outcome;
    if (line.find("route show") != std::string::npos) outcome.output = routes;
    return outcome;
  }
  std::vector<std::string> lines;
  std::string routes;
};

class PodNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "orlop-net-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const char* program : {"bridge", "host-local", "portmap", "loopback"}) {
      write(folder_ / "bin" / program, "");
      fs::permissions(folder_ / "bin" / program, fs::perms::owner_all);
    }
    write(proc() / "sys/net/ipv4/ip_forward", "0\n");
    write(proc() / "sys/net/bridge/bridge-nf-call-iptables", "0\n");
    write(proc() / "sys/net/ipv4/conf/all/route_localnet", "0\n");
    write(proc() / "sys/kernel/random/boot_id", "first\n");
    settings_.node = "n1";
    settings_.conf_dir = folder_ / "net.d";
    settings_.bin_dir = folder_ / "bin";
    settings_.data_dir = folder_ / "data";
    settings_.proc = proc();
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path proc() const { return folder_ / "proc"; }
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
  NetworkSettings settings_;
  NotingRunner runner_;
};

TEST_F(PodNetworkTest, WritesTheConfigurationAndSetsTheKernel) {
  PodNetwork network(settings_, runner_);
  EXPECT_THAT(network.not_ready(), HasSubstr("range of pod addresses"));
  ASSERT_TRUE(network.prepare("n1", {"fd00::/64", "10.244.3.0/24"}).is_ok());
  EXPECT_EQ(network.not_ready(), "");
  const std::string conflist = read(settings_.conf_dir / "10-orlop.conflist");
  EXPECT_THAT(conflist, HasSubstr("\"bridge\": \"orlop0\""));
  EXPECT_THAT(conflist, HasSubstr("\"ranges\": [[{\"subnet\": \"10.244.3.0/24\"}]]"));
  EXPECT_THAT(conflist, HasSubstr("\"dataDir\": \"" + network.lease_dir("n1").native() + "\""));
  EXPECT_THAT(read(proc() / "sys/net/ipv4/ip_forward"), HasSubstr("1"));
  EXPECT_THAT(read(proc() / "sys/net/bridge/bridge-nf-call-iptables"), HasSubstr("1"));
  EXPECT_THAT(read(proc() / "sys/net/ipv4/conf/all/route_localnet"), HasSubstr("1"));
}

TEST_F(PodNetworkTest, AgainIsTheSameAndAnotherRangeIsFollowed) {
  PodNetwork network(settings_, runner_);
  ASSERT_TRUE(network.prepare("n1", {"10.244.3.0/24"}).is_ok());
  const auto written = fs::last_write_time(settings_.conf_dir / "10-orlop.conflist");
  ASSERT_TRUE(network.prepare("n1", {"10.244.3.0/24"}).is_ok());
  EXPECT_EQ(fs::last_write_time(settings_.conf_dir / "10-orlop.conflist"), written);
  ASSERT_TRUE(network.prepare("n1", {"10.244.4.0/24"}).is_ok());
  EXPECT_THAT(read(settings_.conf_dir / "10-orlop.conflist"), HasSubstr("10.244.4.0/24"));
}

TEST_F(PodNetworkTest, SaysWhatIsMissing) {
  PodNetwork network(settings_, runner_);
  EXPECT_EQ(network.prepare("n1", {"fd00::/64"}).code(), Code::kInvalid);
  EXPECT_EQ(network.prepare("../n1", {"10.244.3.0/24"}).code(), Code::kInvalid);
  fs::remove(settings_.bin_dir / "portmap");
  const Status status = network.prepare("n1", {"10.244.3.0/24"});
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("containernetworking-plugins"));
}

TEST_F(PodNetworkTest, AnotherBootHasNoLeases) {
  PodNetwork network(settings_, runner_);
  ASSERT_TRUE(network.prepare("n1", {"10.244.3.0/24"}).is_ok());
  const fs::path lease = network.lease_dir("n1") / "orlop" / "10.244.3.2";
  write(lease, "sandbox\r\neth0");
  ASSERT_TRUE(network.prepare("n1", {"10.244.3.0/24"}).is_ok());
  EXPECT_TRUE(fs::exists(lease));
  write(proc() / "sys/kernel/random/boot_id", "second\n");
  ASSERT_TRUE(PodNetwork(settings_, runner_).prepare("n1", {"10.244.3.0/24"}).is_ok());
  EXPECT_FALSE(fs::exists(lease));
}

TEST_F(PodNetworkTest, LeasesStayWhenTheRuntimeCannotBeAsked) {
  PodNetwork network(settings_, runner_);
  ASSERT_TRUE(network.prepare("n1", {"10.244.3.0/24"}).is_ok());
  const fs::path lease = network.lease_dir("n1") / "orlop" / "10.244.3.2";
  write(lease, "sandbox\r\neth0");
  const int64_t later = ::time(nullptr) + 3600;
  const auto away = []() -> Result<std::set<std::string>> { return Status(Code::kUnavailable, "away"); };
  EXPECT_EQ(network.free_leases(away, later, 120).code(), Code::kUnavailable);
  EXPECT_TRUE(fs::exists(lease));
  const auto knows = []() -> Result<std::set<std::string>> { return std::set<std::string>{"sandbox"}; };
  EXPECT_EQ(*network.free_leases(knows, later, 120), 0u);
  const auto none = []() -> Result<std::set<std::string>> { return std::set<std::string>{}; };
  EXPECT_EQ(*network.free_leases(none, later, 120), 1u);
  EXPECT_FALSE(fs::exists(lease));
}

TEST_F(PodNetworkTest, RoutesToOtherNodesFollowThem) {
  PodNetwork network(settings_, runner_);
  runner_.routes = "10.244.9.0/24 via 192.0.2.9 dev eth0 \n10.244.2.0/24 via 192.0.2.2 dev eth0 \n";
  const Node self{"n1", {"10.244.1.0/24"}, "192.0.2.1"};
  const Node second{"n2", {"10.244.2.0/24"}, "192.0.2.2"};
  const Node third{"n3", {"10.244.3.0/24"}, "192.0.2.3"};
  ASSERT_TRUE(network.set_routes({self, second, third}).is_ok());
  EXPECT_THAT(runner_.lines,
              ElementsAre("ip -4 route show proto 117", "ip -4 route del 10.244.9.0/24 via 192.0.2.9 proto 117",
                          "ip -4 route replace 10.244.3.0/24 via 192.0.2.3 proto 117"));
  runner_.lines.clear();
  ASSERT_TRUE(network.set_routes({self, second, third}).is_ok());
  EXPECT_THAT(runner_.lines, IsEmpty());
  ASSERT_TRUE(network.set_routes({self, second}).is_ok());
  EXPECT_THAT(runner_.lines, ElementsAre("ip -4 route del 10.244.3.0/24 via 192.0.2.3 proto 117"));
}

TEST(PosixProcessRunner, FeedsReadsAndReports) {
  PosixProcessRunner runner;
  const std::string much(1 << 20, 'x');
  auto echoed = runner.run({"cat"}, much, std::chrono::seconds(20));
  ASSERT_TRUE(echoed) << echoed.message();
  EXPECT_EQ(echoed->output, much);
  EXPECT_EQ(runner.run({"orlop-no-such-program"}, "", std::chrono::seconds(1)).code(), Code::kNotFound);
  EXPECT_EQ(runner.run({"false"}, much, std::chrono::seconds(20))->exit_code, 1);
  EXPECT_EQ(runner.run({"sleep", "60"}, "", std::chrono::milliseconds(50)).code(), Code::kTimeout);
}

}  // namespace
}  // namespace orlop::net
