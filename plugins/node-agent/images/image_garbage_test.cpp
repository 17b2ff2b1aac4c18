// Which images go when their disk fills.
#include "plugins/node-agent/images/image_garbage.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/runtime.pb.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Event = k8s::io::api::core::v1::Event;

class ImageGarbageTest : public ::testing::Test {
 protected:
  ImageGarbageTest() {
    kernel_.provide("runtime", [this](const v1::CallTarget& target, const std::string& payload,
                                      testing::FakeKernel::Reply reply) { reply(answer(target.method(), payload)); });
  }
  Result<std::string> answer(const std::string& method, const std::string& payload) {
    if (method.ends_with("/ListImages")) return images_.SerializeAsString();
    if (method.ends_with("/ListContainers")) return containers_.SerializeAsString();
    if (method.ends_with("/Info")) {
      v1::RuntimeInfoResponse info;
      info.add_pinned_images("pause:1");
      return info.SerializeAsString();
    }
    if (method.ends_with("/ImageFsInfo")) {
      cri::ImageFsInfoResponse info;
      info.add_image_filesystems()->mutable_fs_id()->set_mountpoint("/images");
      return info.SerializeAsString();
    }
    cri::RemoveImageRequest request;
    request.ParseFromString(payload);
    const std::string& id = request.image().image();
    if (id == stuck_) return Status(Code::kInternal, "it is stuck");
    removed_.push_back(id);
    auto* list = images_.mutable_images();
    for (int i = 0; i < list->size(); ++i) {
      if (list->Get(i).id() == id) list->DeleteSubrange(i, 1);
    }
    return cri::RemoveImageResponse().SerializeAsString();
  }
  void image(const std::string& name, uint64_t size) {
    auto& image = *images_.add_images();
    image.set_id("id-" + name);
    image.add_repo_tags(name + ":1");
    image.set_size(size);
  }
  void container(const std::string& image) { containers_.add_containers()->set_image_ref("id-" + image); }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const Event& event : kernel_.list<Event>("events")) out.push_back(event.reason() + ": " + event.message());
    return out;
  }

  testing::FakeKernel kernel_;
  cri::ListImagesResponse images_;
  cri::ListContainersResponse containers_;
  std::vector<std::string> removed_;
  std::string stuck_;
  DiskSpace disk_{1000, 500, 0, 0};
  RuntimeClient runtime_{kernel_.host(), ""};
  EventRecorder recorder_{kernel_.host(), "kubelet", "n1"};
  ImageGarbage garbage_{kernel_.host(), runtime_, recorder_, "n1", {}, [this](const std::string& folder) {
                          EXPECT_EQ(folder, "/images");
                          return disk_;
                        }};
};

TEST_F(ImageGarbageTest, NothingGoesBelowTheThreshold) {
  image("a", 100);
  disk_.available_bytes = 160;
  EXPECT_TRUE(garbage_.collect());
  EXPECT_THAT(removed_, IsEmpty());
}

TEST_F(ImageGarbageTest, UnusedForLongestGoFirstUntilTheLowMark) {
  image("a", 30);
  image("b", 30);
  image("c", 30);
  image("pause", 1);
  container("b");
  ASSERT_TRUE(garbage_.look());
  containers_.Clear();
  container("a");
  kernel_.advance(1min);
  ASSERT_TRUE(garbage_.look());
  disk_.available_bytes = 150;  // 85 % full: 50 bytes are wanted
  const Status status = garbage_.collect();
  EXPECT_TRUE(status) << status.message();
  EXPECT_THAT(removed_, ElementsAre("id-c", "id-b"));
  EXPECT_THAT(events(), IsEmpty());
  disk_ = {};
  EXPECT_FALSE(garbage_.collect());
  EXPECT_THAT(events(), Contains("InvalidDiskCapacity: invalid capacity 0 on image filesystem /images"));
}

TEST_F(ImageGarbageTest, NeitherYoungNorUsedNorPinned) {
  image("pause", 10);
  image("used", 10);
  container("used");
  ASSERT_TRUE(garbage_.look());
  image("young", 10);
  images_.mutable_images(0)->set_id("id-pause");
  auto& pinned = *images_.add_images();
  pinned.set_id("id-pinned");
  pinned.set_pinned(true);
  ASSERT_TRUE(garbage_.look());
  disk_.available_bytes = 10;
  const std::string words =
      "Failed to garbage collect required amount of images. Attempted to free 190 bytes, but only found 0 bytes "
      "eligible to free.";
  EXPECT_EQ(garbage_.collect().message(), words);
  EXPECT_THAT(events(), ElementsAre("FreeDiskSpaceFailed: " + words));
  EXPECT_FALSE(garbage_.collect());
  EXPECT_THAT(events(), Contains("ImageGCFailed: " + words));
  kernel_.advance(2min);
  EXPECT_FALSE(garbage_.collect());
  EXPECT_THAT(removed_, ElementsAre("id-young"));
}

TEST_F(ImageGarbageTest, FreesOnDemandAndTellsHowMuch) {
  image("a", 30);
  image("b", 40);
  image("c", 50);
  stuck_ = "id-a";
  const auto freed = garbage_.free_bytes(60);
  ASSERT_FALSE(freed);
  EXPECT_EQ(freed.status().message(),
            "wanted to free 60 bytes, but freed 90 bytes space with errors in image deletion: it is stuck");
  stuck_.clear();
  EXPECT_EQ(*garbage_.free_bytes(1'000'000), 30);
  EXPECT_EQ(*garbage_.free_bytes(1), 0);
}

TEST_F(ImageGarbageTest, WhatIsFreedIsAChangeOfTheList) {
  image("a", 30);
  EXPECT_TRUE(*garbage_.look());
  EXPECT_EQ(*garbage_.free_bytes(10), 30);
  EXPECT_TRUE(garbage_.node_images().empty());
  EXPECT_TRUE(*garbage_.look());
  EXPECT_FALSE(*garbage_.look());
}

TEST_F(ImageGarbageTest, TellsTheBiggest) {
  for (int i = 0; i < 60; ++i) image("i" + std::to_string(i), static_cast<uint64_t>(i));
  for (int i = 0; i < 9; ++i) images_.mutable_images(59)->add_repo_digests("i59@sha256:" + std::to_string(i));
  EXPECT_TRUE(*garbage_.look());
  EXPECT_FALSE(*garbage_.look());
  const NodeImages list = garbage_.node_images();
  ASSERT_EQ(list.size(), 50u);
  EXPECT_EQ(list.front().sizebytes(), 59);
  EXPECT_EQ(list.front().names_size(), 5);
  EXPECT_EQ(list.back().sizebytes(), 10);
}

}  // namespace
}  // namespace orlop::agent
