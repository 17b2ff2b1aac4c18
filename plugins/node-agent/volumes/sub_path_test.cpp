#include "plugins/node-agent/volumes/sub_path.hpp"

#include "plugins/node-agent/volumes/test_pods.hpp"

#include <atomic>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

std::string place_of(const PathDescriptor& descriptor) {
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor.get())).string();
}

class SubPathTest : public ::testing::Test {
 protected:
  SubPathTest() {
    fs::create_directories(root_ + "/inner");
    fs::create_directories(outside_);
    fs::create_directory_symlink(outside_, root_ + "/absolute");
    fs::create_directory_symlink("../outside", root_ + "/relative");
    fs::create_directory_symlink("inner", root_ + "/good");
  }
  TemporaryFolder folder_;
  std::string root_ = folder_ / "volume", outside_ = folder_ / "outside";
  NotingMounter mounter_;
};

TEST_F(SubPathTest, NothingLeadsOutOfAVolume) {
  EXPECT_EQ(place_of(*open_inside(root_, "inner", false)), root_ + "/inner");
  EXPECT_EQ(place_of(*open_inside(root_, "good", false)), root_ + "/inner");
  EXPECT_EQ(place_of(*open_inside(root_, "made/deep", true)), root_ + "/made/deep");
  for (const char* bad : {"absolute", "relative", "absolute/x", "../outside", "/etc", "inner/../../outside", ""}) {
    EXPECT_FALSE(open_inside(root_, bad, true)) << bad;
  }
  EXPECT_TRUE(fs::is_empty(outside_));
  EXPECT_EQ(open_inside(root_, "absent", false).code(), Code::kNotFound);
}

TEST_F(SubPathTest, WhatIsMadeIsAsTheVolumeIs) {
  ::chmod(root_.c_str(), 02775);
  ASSERT_TRUE(open_inside(root_, "a/b", true));
  struct stat info {};
  ASSERT_EQ(::stat((root_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 02775u);
}

TEST_F(SubPathTest, AFileIsMountedOnAFileAndTheOldMountGoes) {
  std::ofstream(root_ + "/file") << "x";
  const std::string target = folder_ / "pod/0";
  ASSERT_TRUE(mount_inside(mounter_, root_, "file", false, target));
  EXPECT_TRUE(fs::is_regular_file(target));
  EXPECT_EQ(mounter_.mounted[target], "bind " + root_ + "/file");
  ASSERT_TRUE(mount_inside(mounter_, root_, "inner", false, target));
  EXPECT_EQ(mounter_.unmounted, 1);
  EXPECT_TRUE(fs::is_directory(target));
  EXPECT_EQ(mounter_.mounted[target], "bind " + root_ + "/inner");
}

// A pod that swaps a folder for a symlink to the machine's, as fast as it can, while the agent mounts it.
TEST_F(SubPathTest, ASwappedSymlinkNeverWins) {
  std::atomic<bool> running = true;
  fs::create_directory(root_ + "/turn");
  fs::create_directory_symlink(outside_, root_ + "/trap");
  std::thread swapper([&] {
    while (running) {
      // The folder and the symlink change their places in one step.
      ::renameat2(AT_FDCWD, (root_ + "/turn").c_str(), AT_FDCWD, (root_ + "/trap").c_str(), RENAME_EXCHANGE);
    }
  });
  int resolved = 0, refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto found = open_inside(root_, i % 2 == 0 ? "turn" : "turn/new", i % 2 == 1);
    if (!found) {
      ++refused;
      continue;
    }
    ++resolved;
    const std::string place = place_of(*found);
    ASSERT_FALSE(place.starts_with(outside_)) << place;
    // What was found stays what it is, whatever its name leads to by now.
    struct stat own {
    }, out{};
    ASSERT_EQ(::fstat(found->get(), &own), 0);
    ASSERT_EQ(::stat(outside_.c_str(), &out), 0);
    ASSERT_NE(own.st_ino, out.st_ino);
  }
  running = false;
  swapper.join();
  EXPECT_TRUE(fs::is_empty(outside_));
  EXPECT_GT(resolved, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace orlop::agent
