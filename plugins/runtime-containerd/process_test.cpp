#include "plugins/runtime-containerd/process.hpp"

#include "plugins/runtime-containerd/containerd_process.hpp"
#include "plugins/runtime-containerd/mount_namespace.hpp"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::containerd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

Launch shell(std::vector<std::string> arguments) {
  Launch plan;
  plan.program = "/bin/sh";
  plan.arguments = {"sh"};
  for (auto& word : arguments) plan.arguments.push_back(std::move(word));
  plan.environment = {"PATH=/usr/bin:/bin"};
  return plan;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "orlop-process-XXXXXX").native();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(Process, IdentityGoesThroughAPidFile) {
  ProcessIdentity identity{4711, 123456789};
  EXPECT_EQ(parse_identity(format_identity(identity)), identity);
  for (const char* wrong : {"", "4711", "4711\n", "x 1\n", "-1 5\n", "4711 12"})
    EXPECT_FALSE(parse_identity(wrong)) << wrong;
}

TEST(Process, StatOfAProgramWithParenthesesInItsName) {
  auto stat = parse_stat("42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->identity, (ProcessIdentity{42, 987654}));
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 7);
  EXPECT_FALSE(parse_stat("42 (a) S 7"));
  EXPECT_FALSE(parse_stat(""));
}

TEST(Process, ReusedPidIsNotTaken) {
  auto own = read_stat(::getpid());
  ASSERT_TRUE(own);
  EXPECT_TRUE(watch_process(own->identity).is_ok());
  ProcessIdentity other = own->identity;
  other.start_ticks += 1;
  EXPECT_EQ(watch_process(other).code(), Code::kNotFound);
}

TEST(Process, RunGivesOutputFailureAndTimeout) {
  auto good = run_program(shell({"-c", "echo out; echo err >&2"}), seconds(10));
  ASSERT_TRUE(good.is_ok()) << good.message();
  EXPECT_EQ(*good, "out\nerr\n");
  auto bad = run_program(shell({"-c", "echo why; exit 3"}), seconds(10));
  EXPECT_EQ(bad.code(), Code::kInternal);
  EXPECT_THAT(bad.message(), HasSubstr("why"));
  EXPECT_EQ(run_program(shell({"-c", "exec sleep 60"}), milliseconds(50)).code(), Code::kTimeout);
  Launch missing = shell({});
  missing.program = "/no/such/program";
  auto absent = run_program(missing, seconds(1));
  EXPECT_EQ(absent.code(), Code::kUnavailable);
  EXPECT_THAT(absent.message(), HasSubstr("/no/such/program"));
}

TEST(Process, EndsWithAGraceThenWithoutOne) {
  Launch plan = shell({"-c", "trap '' TERM; while :; do read line; done"});
  auto identity = launch(plan);
  ASSERT_TRUE(identity.is_ok()) << identity.message();
  auto watch = watch_process(*identity);
  ASSERT_TRUE(watch.is_ok());
  EXPECT_TRUE(end_process(*watch, milliseconds(20)).is_ok());
  ::waitpid(identity->pid, nullptr, 0);
  EXPECT_FALSE(watch_process(*identity).is_ok());
}

TEST(Process, FindsProgramsAlongThePath) {
  EXPECT_EQ(find_program("sh", {"/nowhere", "/bin"}), "/bin/sh");
  EXPECT_TRUE(find_program("sh", {"/nowhere"}).empty());
}

TEST(Log, RotatesWhileItsWriterAppends) {
  TemporaryFolder folder;
  fs::path file = folder.path() / "log";
  std::ofstream writer(file, std::ios::app);
  writer << std::string(100, 'a') << '\n' << std::flush;
  rotate_log(file, 1000);
  EXPECT_FALSE(fs::exists(file.native() + ".1"));
  rotate_log(file, 50);
  EXPECT_EQ(fs::file_size(file.native() + ".1"), 101u);
  EXPECT_EQ(fs::file_size(file), 0u);
  writer << "b\n" << std::flush;
  EXPECT_EQ(last_lines(file, 5), "b");
}

TEST(Log, LastLines) {
  TemporaryFolder folder;
  fs::path file = folder.path() / "log";
  std::ofstream(file) << "one\ntwo\nthree\n";
  EXPECT_EQ(last_lines(file, 2), "two\nthree");
  EXPECT_EQ(last_lines(file, 9), "one\ntwo\nthree");
  EXPECT_EQ(last_lines(folder.path() / "absent", 2), "");
}

TEST(Mounts, ReadsMountinfo) {
  auto mounts = parse_mountinfo(
      "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "30 27 0:5 / /run/a\\040b rw shared:2 master:3 - tmpfs tmpfs rw\n"
      "31 27 0:5 / /run rw - tmpfs tmpfs rw\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_TRUE(mounts[0].shared);
  EXPECT_EQ(mounts[1].mount_point, "/run/a b");
  EXPECT_FALSE(mounts[2].shared);
  EXPECT_EQ(mounts[2].file_system, "tmpfs");
  EXPECT_EQ(covering_mount(mounts, "/run/a b/c")->mount_point, "/run/a b");
  EXPECT_EQ(covering_mount(mounts, "/runner")->mount_point, "/");
}

}  // namespace
}  // namespace orlop::containerd
