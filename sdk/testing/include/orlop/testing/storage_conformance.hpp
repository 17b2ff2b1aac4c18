// What every provider of the `storage` capability must do, as a GoogleTest suite. Include it in one file of a test
// program:
//
//   #include "orlop/testing/storage_conformance.hpp"
//   namespace orlop::testing {
//   INSTANTIATE_TEST_SUITE_P(Mine, StorageConformance, ::testing::Values(StorageCase{"mine", [] { return …; }}),
//                            storage_case_name);
//   }
//
// The suite leaves nothing behind in a provider that passes: each test unpublishes and deletes what it made, also when
// it fails. Specification: orlop/v1/storage.proto, and the Container Storage Interface that it follows.
#pragma once

#include "orlop/result.hpp"
#include "orlop/v1/storage.pb.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::testing {

// A provider as the suite sees it. Ownership: lives as long as the test.
class StorageUnderTest {
 public:
  virtual ~StorageUnderTest() = default;
  // One call, waited for; bytes of the method's messages.
  virtual Result<std::string> call(std::string_view method, std::string_view payload) = 0;
  // An existing folder below which targets may be; another one for each test.
  virtual std::string folder() = 0;
  // Parameters of a StorageClass that works.
  virtual void adapt(v1::CreateVolumeRequest& request) { (void)request; }
  // The provider after its process has ended; false: it cannot be shown.
  virtual bool restart() { return false; }
};

struct StorageCase {
  std::string name;
  std::function<std::shared_ptr<StorageUnderTest>()> make;
};

inline std::string storage_case_name(const ::testing::TestParamInfo<StorageCase>& info) {
  return info.param.name;
}

class StorageConformance : public ::testing::TestWithParam<StorageCase> {
 protected:
  static constexpr int64_t kMiB = 1 << 20;

  void SetUp() override {
    storage_ = GetParam().make();
    const auto info = call<v1::StorageInfoResponse>("StorageController/GetInfo", v1::StorageInfoRequest());
    ASSERT_TRUE(info.is_ok()) << info.message();
    info_ = *info;
  }
  void TearDown() override {
    for (const auto& [id, target] : published_) (void)unpublish(id, target);
    for (const std::string& id : made_) (void)remove(id);
  }

  template <typename Response, typename Request>
  Result<Response> call(const std::string& method, const Request& request) {
    auto answer = storage_->call("orlop.v1." + method, request.SerializeAsString());
    if (!answer.is_ok()) return answer.status();
    Response response;
    if (!response.ParseFromString(*answer)) return Status(Code::kInternal, "an answer that cannot be read");
    return response;
  }

  v1::CreateVolumeRequest wish(const std::string& name, int64_t bytes = kMiB,
                               const std::string& mode = "ReadWriteOnce") {
    v1::CreateVolumeRequest request;
    request.set_name(name);
    request.set_required_bytes(bytes);
    request.add_capabilities()->set_access_mode(mode);
    storage_->adapt(request);
    return request;
  }
  Result<v1::Volume> create(const v1::CreateVolumeRequest& request) {
    auto made = call<v1::CreateVolumeResponse>("StorageController/CreateVolume", request);
    if (!made.is_ok()) return made.status();
    made_.push_back(made->volume().id());
    return made->volume();
  }
  Status remove(const std::string& id) {
    v1::DeleteVolumeRequest request;
    request.set_id(id);
    return call<v1::DeleteVolumeResponse>("StorageController/DeleteVolume", request).status();
  }
  Status publish(const v1::Volume& volume, const std::string& target, bool read_only = false,
                 const std::string& mode = "ReadWriteOnce") {
    v1::PublishVolumeRequest request;
    request.set_id(volume.id());
    request.set_target_path(target);
    request.mutable_capability()->set_access_mode(mode);
    *request.mutable_context() = volume.context();
    request.set_read_only(read_only);
    if (info_.stages()) {
      v1::StageVolumeRequest stage;
      stage.set_id(volume.id());
      stage.set_staging_path(storage_->folder() + "/staging-" + volume.id());
      *stage.mutable_capability() = request.capability();
      *stage.mutable_context() = volume.context();
      const Status staged = call<v1::StageVolumeResponse>("StorageNode/StageVolume", stage).status();
      if (!staged.is_ok()) return staged;
      request.set_staging_path(stage.staging_path());
    }
    const Status done = call<v1::PublishVolumeResponse>("StorageNode/PublishVolume", request).status();
    if (done.is_ok()) published_.emplace_back(volume.id(), target);
    return done;
  }
  Status unpublish(const std::string& id, const std::string& target) {
    v1::UnpublishVolumeRequest request;
    request.set_id(id);
    request.set_target_path(target);
    return call<v1::UnpublishVolumeResponse>("StorageNode/UnpublishVolume", request).status();
  }
  std::string target(const std::string& name) { return storage_->folder() + "/" + name; }

  std::shared_ptr<StorageUnderTest> storage_;
  v1::StorageInfoResponse info_;
  std::vector<std::string> made_;
  std::vector<std::pair<std::string, std::string>> published_;
};

TEST_P(StorageConformance, TellsItsDriver) {
  EXPECT_FALSE(info_.driver().empty());
}

TEST_P(StorageConformance, TheSameNameIsTheSameVolume) {
  const auto first = create(wish("pvc-same"));
  ASSERT_TRUE(first.is_ok()) << first.message();
  EXPECT_FALSE(first->id().empty());
  EXPECT_TRUE(first->capacity_bytes() == 0 || first->capacity_bytes() >= kMiB);
  const auto again = create(wish("pvc-same"));
  ASSERT_TRUE(again.is_ok()) << again.message();
  EXPECT_EQ(again->id(), first->id());
  const auto other = create(wish("pvc-other"));
  ASSERT_TRUE(other.is_ok()) << other.message();
  EXPECT_NE(other->id(), first->id());
}

TEST_P(StorageConformance, ANameThatIsTakenOtherwiseIsRefused) {
  ASSERT_TRUE(create(wish("pvc-taken")).is_ok());
  const auto larger = create(wish("pvc-taken", 8 * kMiB));
  if (larger.is_ok() && larger->capacity_bytes() >= 8 * kMiB) GTEST_SKIP() << "its volumes are larger than asked for";
  EXPECT_EQ(larger.code(), Code::kAlreadyExists);
}

TEST_P(StorageConformance, BadInputIsRefusedInWords) {
  auto modeless = wish("pvc-modeless");
  modeless.clear_capabilities();
  for (const auto& request : {wish(""), modeless}) {
    const auto refused = create(request);
    EXPECT_EQ(refused.code(), Code::kBadRequest);
    EXPECT_FALSE(refused.message().empty());
  }
  EXPECT_EQ(remove("").code(), Code::kBadRequest);
  EXPECT_EQ(unpublish("", target("x")).code(), Code::kBadRequest);
}

TEST_P(StorageConformance, NoMoreThanThereIs) {
  const auto room = call<v1::GetCapacityResponse>("StorageController/GetCapacity", v1::GetCapacityRequest());
  ASSERT_TRUE(room.is_ok()) << room.message();
  EXPECT_GE(room->available_bytes(), 0);
  const auto refused = create(wish("pvc-huge", int64_t{1} << 61));
  EXPECT_EQ(refused.code(), Code::kTooLarge);
  EXPECT_FALSE(refused.message().empty());
}

TEST_P(StorageConformance, DeletedIsDeleted) {
  const auto volume = create(wish("pvc-gone"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  EXPECT_TRUE(remove(volume->id()).is_ok());
  EXPECT_TRUE(remove(volume->id()).is_ok());
  EXPECT_TRUE(remove("never-there").is_ok());
  EXPECT_EQ(publish(*volume, target("gone")).code(), Code::kNotFound);
}

TEST_P(StorageConformance, PublishingTwiceIsPublishingOnce) {
  const auto volume = create(wish("pvc-published"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  EXPECT_TRUE(publish(*volume, target("p")).is_ok());
  EXPECT_TRUE(publish(*volume, target("p")).is_ok());
  EXPECT_EQ(publish(*volume, target("p"), true).code(), Code::kAlreadyExists);
  EXPECT_TRUE(unpublish(volume->id(), target("p")).is_ok());
  EXPECT_TRUE(unpublish(volume->id(), target("p")).is_ok());
  EXPECT_TRUE(publish(*volume, target("p"), true).is_ok());
}

TEST_P(StorageConformance, WhatIsPublishedIsNotDeleted) {
  const auto volume = create(wish("pvc-used"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  ASSERT_TRUE(publish(*volume, target("u")).is_ok());
  const Status refused = remove(volume->id());
  EXPECT_EQ(refused.code(), Code::kConflict);
  EXPECT_FALSE(refused.message().empty());
  ASSERT_TRUE(unpublish(volume->id(), target("u")).is_ok());
  EXPECT_TRUE(remove(volume->id()).is_ok());
}

TEST_P(StorageConformance, NeitherAfterARestart) {
  const auto volume = create(wish("pvc-restart"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  ASSERT_TRUE(publish(*volume, target("r")).is_ok());
  if (!storage_->restart()) GTEST_SKIP() << "the provider cannot be restarted here";
  EXPECT_TRUE(publish(*volume, target("r")).is_ok());
  EXPECT_EQ(remove(volume->id()).code(), Code::kConflict);
  const auto again = create(wish("pvc-restart"));
  ASSERT_TRUE(again.is_ok()) << again.message();
  EXPECT_EQ(again->id(), volume->id());
}

TEST_P(StorageConformance, OncePodIsOnce) {
  const auto volume = create(wish("pvc-once", kMiB, "ReadWriteOncePod"));
  if (volume.code() == Code::kBadRequest) GTEST_SKIP() << "no ReadWriteOncePod: " << volume.message();
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  EXPECT_TRUE(publish(*volume, target("one"), false, "ReadWriteOncePod").is_ok());
  EXPECT_EQ(publish(*volume, target("two"), false, "ReadWriteOncePod").code(), Code::kConflict);
  EXPECT_TRUE(unpublish(volume->id(), target("one")).is_ok());
  EXPECT_TRUE(publish(*volume, target("two"), false, "ReadWriteOncePod").is_ok());
}

TEST_P(StorageConformance, TellsAVolumesHealth) {
  const auto volume = create(wish("pvc-health"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  v1::VolumeHealthRequest request;
  request.set_id(volume->id());
  const auto health = call<v1::VolumeHealthResponse>("StorageNode/GetHealth", request);
  ASSERT_TRUE(health.is_ok()) << health.message();
  EXPECT_FALSE(health->abnormal()) << health->message();
  request.set_id("never-there");
  EXPECT_EQ(call<v1::VolumeHealthResponse>("StorageNode/GetHealth", request).code(), Code::kNotFound);
}

TEST_P(StorageConformance, ExpandedVolumesAreNoSmaller) {
  if (!info_.expands()) GTEST_SKIP() << "it does not expand volumes";
  const auto volume = create(wish("pvc-expanded"));
  ASSERT_TRUE(volume.is_ok()) << volume.message();
  v1::ExpandVolumeRequest request;
  request.set_id(volume->id());
  request.set_required_bytes(4 * kMiB);
  for (int i = 0; i < 2; ++i) {
    const auto expanded = call<v1::ExpandVolumeResponse>("StorageController/ExpandVolume", request);
    ASSERT_TRUE(expanded.is_ok()) << expanded.message();
    EXPECT_GE(expanded->capacity_bytes(), 4 * kMiB);
  }
}

}  // namespace orlop::testing
