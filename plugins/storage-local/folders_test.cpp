// Folders: never outside, never half, never while in use; the class of a new cluster.
#include "plugins/storage-local/folders.hpp"

#include "orlop/kube/storage_v1.hpp"
#include "orlop/storage.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/storage-local/default_class.hpp"
#include "plugins/storage-local/testing.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace orlop::local {
namespace {

namespace fs = std::filesystem;
using StorageClass = k8s::io::api::storage::v1::StorageClass;

class FoldersTest : public ::testing::Test {
 protected:
  FoldersTest() {
    fs::create_directory(folder_ / "targets");
    EXPECT_TRUE(folders_.open());
  }
  static v1::CreateVolumeRequest wish(const std::string& name, const std::string& mode = "ReadWriteOnce") {
    v1::CreateVolumeRequest out;
    out.set_name(name);
    out.set_required_bytes(4096);
    out.add_capabilities()->set_access_mode(mode);
    return out;
  }
  Status publish(const std::string& id, const std::string& at) {
    v1::PublishVolumeRequest request;
    request.set_id(id);
    request.set_target_path(folder_ / "targets/" + at);
    return folders_.publish(request);
  }
  std::string data(const std::string& id) { return folder_ / "volumes/" + id + "/data"; }

  TemporaryFolder folder_;
  NotedMounts mounts_;
  Folders folders_{{folder_ / "volumes", "n1"}, mounts_};
};

TEST_F(FoldersTest, AVolumeIsOpenToEveryUser) {
  const auto volume = folders_.create(wish("v"));
  ASSERT_TRUE(volume) << volume.message();
  EXPECT_EQ(volume->nodes(0), "n1");
  struct stat info {};
  ASSERT_EQ(::stat(data("v").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0777u);
  ASSERT_EQ(::stat((folder_ / "volumes/v").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
}

TEST_F(FoldersTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"..", ".", "a/b", "/etc", ".new-x", "", "a\nb"}) {
    EXPECT_EQ(folders_.create(wish(name)).code(), Code::kBadRequest) << name;
    EXPECT_EQ(folders_.remove(name).code(), Code::kBadRequest) << name;
    EXPECT_EQ(publish(name, "t").code(), Code::kBadRequest) << name;
  }
}

TEST_F(FoldersTest, WhatItCannotDoIsSaid) {
  auto block = wish("b");
  block.mutable_capabilities(0)->set_volume_mode("Block");
  EXPECT_EQ(folders_.create(block).message(), "volumeMode Block is not there: volumes are folders");
  auto options = wish("o");
  options.mutable_capabilities(0)->add_mount_options("noatime");
  EXPECT_EQ(folders_.create(options).message(), "mountOptions are not there: volumes are folders");
  auto parameters = wish("p");
  (*parameters.mutable_parameters())["kind"] = "ssd";
  EXPECT_EQ(folders_.create(parameters).message(), "unknown parameter \"kind\" of the StorageClass");
  auto elsewhere = wish("e");
  elsewhere.set_node("n2");
  EXPECT_EQ(folders_.create(elsewhere).code(), Code::kNotFound);
}

TEST_F(FoldersTest, DeletionFollowsNoSymlink) {
  fs::create_directories(folder_ / "outside/deep");
  std::ofstream(folder_ / "outside/deep/kept") << "x";
  ASSERT_TRUE(folders_.create(wish("v")));
  fs::create_directory_symlink(folder_ / "outside", data("v") + "/link");
  fs::create_directories(data("v") + "/a/b/c");
  std::ofstream(data("v") + "/a/b/c/file") << "y";
  ASSERT_TRUE(folders_.remove("v"));
  EXPECT_FALSE(fs::exists(folder_ / "volumes/v"));
  EXPECT_TRUE(fs::is_empty(folder_ / "volumes"));
  EXPECT_TRUE(fs::exists(folder_ / "outside/deep/kept"));
}

TEST_F(FoldersTest, AVolumeThatIsALinkIsNoVolume) {
  fs::create_directories(folder_ / "outside/data");
  fs::create_directory_symlink(folder_ / "outside", folder_ / "volumes/v");
  EXPECT_FALSE(folders_.remove("v"));
  EXPECT_FALSE(publish("v", "t"));
  EXPECT_TRUE(fs::exists(folder_ / "outside/data"));
}

TEST_F(FoldersTest, WhatACrashLeftIsCleared) {
  fs::create_directories(folder_ / "volumes/.new-v/data");
  fs::create_directories(folder_ / "volumes/.gone-w/data/x");
  ASSERT_TRUE(folders_.create(wish("v")));
  ASSERT_TRUE(folders_.open());
  EXPECT_FALSE(fs::exists(folder_ / "volumes/.new-v"));
  EXPECT_FALSE(fs::exists(folder_ / "volumes/.gone-w"));
  EXPECT_TRUE(fs::exists(data("v")));
}

TEST_F(FoldersTest, AMountThatWentWithTheMachineIsNoUse) {
  ASSERT_TRUE(folders_.create(wish("v")));
  ASSERT_TRUE(publish("v", "t"));
  EXPECT_EQ(folders_.remove("v").message(), "the volume \"v\" is in use at " + (folder_ / "targets/t"));
  mounts_.mounted.clear();
  EXPECT_TRUE(folders_.remove("v"));
}

TEST_F(FoldersTest, AMountThatFailedIsNoUse) {
  ASSERT_TRUE(folders_.create(wish("v")));
  mounts_.fails = Status(Code::kUnavailable, "cannot mount: Operation not permitted");
  EXPECT_EQ(publish("v", "t").message(), "cannot mount: Operation not permitted");
  EXPECT_TRUE(folders_.remove("v"));
}

TEST_F(FoldersTest, UnpublishingRemovesNothingThatIsNotItsOwn) {
  ASSERT_TRUE(folders_.create(wish("v")));
  fs::create_directory(folder_ / "targets/mine");
  std::ofstream(folder_ / "targets/mine/file") << "x";
  v1::UnpublishVolumeRequest request;
  request.set_id("v");
  request.set_target_path(folder_ / "targets/mine");
  EXPECT_TRUE(folders_.unpublish(request));
  EXPECT_TRUE(fs::exists(folder_ / "targets/mine/file"));
}

TEST(DefaultClass, IsMadeOnceInTheLifeOfACluster) {
  const TemporaryFolder folder;
  orlop::testing::FakeKernel kernel;
  ASSERT_TRUE(ensure_default_class(kernel.host(), "local", folder / "note"));
  const auto made = kernel.get<StorageClass>("storageclasses.storage.k8s.io", "", "local");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->provisioner(), "orlop.io/local");
  EXPECT_EQ(made->volumebindingmode(), "WaitForFirstConsumer");
  EXPECT_EQ(storage::annotation(*made, storage::kDefaultClass), "true");
  ASSERT_TRUE(kernel.remove("storageclasses.storage.k8s.io", "", "local"));
  ASSERT_TRUE(ensure_default_class(kernel.host(), "local", folder / "note"));
  EXPECT_FALSE(kernel.get<StorageClass>("storageclasses.storage.k8s.io", "", "local"));
}

TEST(DefaultClass, MayBeUnwanted) {
  const TemporaryFolder folder;
  orlop::testing::FakeKernel kernel;
  ASSERT_TRUE(ensure_default_class(kernel.host(), "", folder / "note"));
  EXPECT_TRUE(kernel.list<StorageClass>("storageclasses.storage.k8s.io").empty());
}

}  // namespace
}  // namespace orlop::local
