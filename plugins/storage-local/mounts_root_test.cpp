// The same with the machine's own mounts, and what a pod would see of them.
#include "plugins/storage-local/provider.hpp"

#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

namespace orlop::local {
namespace {

// In a mount namespace of this process's own: nothing of it is seen outside.
std::unique_ptr<Mounts> own_mounts() {
  static const bool apart = ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  EXPECT_TRUE(apart);
  return std::make_unique<SystemMounts>();
}

TEST(SystemMounts, ShowTheFolderAndOnlyThat) {
  const std::unique_ptr<Mounts> mounts = own_mounts();
  const TemporaryFolder folder;
  for (const char* name : {"a", "b", "at"}) std::filesystem::create_directory(folder / name);
  std::ofstream(folder / "a/file") << "x";
  const OwnDescriptor a(::open((folder / "a").c_str(), O_RDONLY | O_DIRECTORY));
  const OwnDescriptor b(::open((folder / "b").c_str(), O_RDONLY | O_DIRECTORY));
  bool read_only = false;
  EXPECT_FALSE(mounts->is_bound(a.get(), folder / "at", &read_only));
  ASSERT_TRUE(mounts->bind(a.get(), folder / "at", true));
  EXPECT_TRUE(mounts->is_bound(a.get(), folder / "at", &read_only));
  EXPECT_TRUE(read_only);
  EXPECT_FALSE(mounts->is_bound(b.get(), folder / "at", &read_only));
  EXPECT_TRUE(std::filesystem::exists(folder / "at/file"));
  EXPECT_LT(::open((folder / "at/new").c_str(), O_WRONLY | O_CREAT, 0600), 0);
  ASSERT_TRUE(mounts->unmount(folder / "at"));
  ASSERT_TRUE(mounts->unmount(folder / "at"));
  EXPECT_FALSE(std::filesystem::exists(folder / "at/file"));
}

}  // namespace
}  // namespace orlop::local

namespace orlop::testing {

INSTANTIATE_TEST_SUITE_P(Local, StorageConformance,
                         ::testing::Values(StorageCase{
                             "mounted", [] { return std::make_shared<local::Provider>(local::own_mounts()); }}),
                         storage_case_name);

}  // namespace orlop::testing
