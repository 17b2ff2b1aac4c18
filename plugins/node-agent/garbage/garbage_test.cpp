// What is left behind, and when it is looked for.
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/runtime.pb.h"
#include "plugins/node-agent/garbage/upkeep.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

cri::PodSandbox sandbox(const std::string& id, const std::string& uid, int64_t at, bool ready) {
  cri::PodSandbox out;
  out.set_id(id);
  out.set_created_at(at);
  out.set_state(ready ? cri::SANDBOX_READY : cri::SANDBOX_NOTREADY);
  (*out.mutable_labels())[kPodUidLabel] = uid;
  return out;
}

cri::Container container(const std::string& id, const std::string& sandbox, const std::string& uid, int64_t at,
                         cri::ContainerState state, uint32_t attempt = 0) {
  cri::Container out;
  out.set_id(id);
  out.set_pod_sandbox_id(sandbox);
  out.set_created_at(at);
  out.set_state(state);
  out.mutable_metadata()->set_name("c");
  out.mutable_metadata()->set_attempt(attempt);
  (*out.mutable_labels())[kPodUidLabel] = uid;
  return out;
}

TEST(GarbagePlanTest, OneDeadContainerOfEachNameIsKept) {
  const auto plan = plan_garbage(
      {container("c0", "s1", "u", 10, cri::CONTAINER_EXITED), container("c3", "s1", "u", 40, cri::CONTAINER_RUNNING),
       container("c1", "s1", "u", 20, cri::CONTAINER_CREATED), container("c2", "s1", "u", 30, cri::CONTAINER_EXITED)},
      {sandbox("s1", "u", 5, true)});
  EXPECT_THAT(plan.containers, ElementsAre("c1", "c0"));
  EXPECT_THAT(plan.sandboxes, IsEmpty());
}

TEST(GarbagePlanTest, WhatIsBeingStartedIsNotDead) {
  const auto plan = plan_garbage(
      {container("c1", "s1", "u", 20, cri::CONTAINER_CREATED), container("c0", "s1", "u", 10, cri::CONTAINER_EXITED)},
      {sandbox("s1", "u", 5, true)});
  EXPECT_THAT(plan.containers, IsEmpty());
}

TEST(GarbagePlanTest, OldSandboxesGoOnceTheyKeepNothing) {
  const std::vector<cri::PodSandbox> sandboxes = {sandbox("s1", "u", 5, false), sandbox("s2", "u", 25, true),
                                                  sandbox("other", "v", 1, false)};
  EXPECT_THAT(plan_garbage({container("c0", "s1", "u", 10, cri::CONTAINER_EXITED)}, sandboxes).sandboxes, IsEmpty());
  EXPECT_THAT(plan_garbage({container("c0", "s1", "u", 10, cri::CONTAINER_EXITED),
                            container("c1", "s2", "u", 30, cri::CONTAINER_EXITED)},
                           sandboxes)
                  .sandboxes,
              ElementsAre("s1"));
  EXPECT_THAT(plan_garbage({container("lost", "gone", "u", 10, cri::CONTAINER_RUNNING)}, sandboxes).containers,
              ElementsAre("lost"));
}

TEST(LogFolder, EndsWithTheUid) {
  EXPECT_EQ(uid_of_log_folder("default_p_u-1"), "u-1");
  EXPECT_EQ(uid_of_log_folder("lost+found"), "");
  EXPECT_EQ(uid_of_log_folder("a_b_c_d"), "");
}

std::string make_folder() {
  char name[] = "/tmp/orlop-agent-XXXXXX";
  return ::mkdtemp(name);
}

class UpkeepTest : public ::testing::Test {
 protected:
  UpkeepTest() {
    config_.node_names = {"n1"};
    config_.logs_folder = folder_ + "/logs";
    config_.pods_folder = folder_ + "/pods";
    fs::create_directories(config_.logs_folder);
    fs::create_directories(config_.pods_folder);
    kernel_.provide("runtime", [this](const v1::CallTarget& target, const std::string&,
                                      testing::FakeKernel::Reply reply) { reply(answer(target.method())); });
  }
  ~UpkeepTest() override { fs::remove_all(folder_); }
  Result<std::string> answer(const std::string& method) {
    if (is_away_) return Status(Code::kUnavailable, "it is away");
    if (method.ends_with("/ListContainers")) return containers_.SerializeAsString();
    if (method.ends_with("/ListPodSandbox")) return sandboxes_.SerializeAsString();
    if (method.ends_with("/ListImages")) return images_.SerializeAsString();
    if (method.ends_with("/ImageFsInfo")) {
      cri::ImageFsInfoResponse info;
      info.add_image_filesystems()->mutable_fs_id()->set_mountpoint(folder_);
      return info.SerializeAsString();
    }
    if (method.ends_with("/Info")) return v1::RuntimeInfoResponse().SerializeAsString();
    return std::string();
  }
  size_t calls(const std::string& method) {
    const auto all = kernel_.calls();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(),
                                             [&](const auto& call) { return call.target.method().ends_with(method); }));
  }
  void file(const std::string& path) const {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "x";
  }

  testing::FakeKernel kernel_;
  std::string folder_ = make_folder();
  AgentConfig config_;
  bool is_away_ = false;
  cri::ListContainersResponse containers_;
  cri::ListPodSandboxResponse sandboxes_;
  cri::ListImagesResponse images_;
  RuntimeClient runtime_{kernel_.host(), ""};
  std::set<std::string> wanted_;
  std::vector<std::string> removed_pods_;
  EventRecorder events_{kernel_.host(), "kubelet", "n1"};
  LogRotation logs_{kernel_.host(), runtime_, "", {}};
  ContainerGarbage garbage_{kernel_.host(),
                            runtime_,
                            {folder_ + "/logs", folder_ + "/pods"},
                            [this] { return Result<std::set<std::string>>(wanted_); },
                            [this](const std::string& uid) {
                              removed_pods_.push_back(uid);
                              return Status::ok();
                            }};
  ImageGarbage image_garbage_{kernel_.host(), runtime_, events_, "n1", {}, disk_space};
  int images_told_ = 0;
  Housekeeper housekeeper_{kernel_.host(), logs_, garbage_, image_garbage_, [this] { ++images_told_; }};
};

TEST_F(UpkeepTest, FoldersAndLogsOfWhatIsGoneGo) {
  wanted_ = {"wanted"};
  *sandboxes_.add_items() = sandbox("s", "running", 1, true);
  *containers_.add_containers() = container("c", "s", "running", 1, cri::CONTAINER_RUNNING, 3);
  const std::string logs = config_.logs_folder;
  file(logs + "/ns_a_wanted/c/0.log");
  file(logs + "/ns_b_running/c/3.log");
  file(logs + "/ns_b_running/c/3.log.20260101-000000.gz");
  file(logs + "/ns_b_running/c/1.log");
  file(logs + "/ns_b_running/c/1.log.20260101-000000.gz");
  file(logs + "/ns_c_gone/c/0.log");
  for (const char* uid : {"wanted", "running", "gone"}) fs::create_directories(config_.pods_folder + "/" + uid);
  ASSERT_TRUE(garbage_.collect());
  EXPECT_TRUE(fs::exists(logs + "/ns_a_wanted"));
  EXPECT_FALSE(fs::exists(logs + "/ns_c_gone"));
  EXPECT_TRUE(fs::exists(logs + "/ns_b_running/c/3.log"));
  EXPECT_TRUE(fs::exists(logs + "/ns_b_running/c/3.log.20260101-000000.gz"));
  EXPECT_FALSE(fs::exists(logs + "/ns_b_running/c/1.log"));
  EXPECT_FALSE(fs::exists(logs + "/ns_b_running/c/1.log.20260101-000000.gz"));
  EXPECT_THAT(removed_pods_, ElementsAre("gone"));
}

TEST_F(UpkeepTest, LooksAtTheStartThenOnlyAfterEvents) {
  images_.add_images()->set_id("i");
  housekeeper_.step();
  EXPECT_EQ(calls("/ListPodSandbox"), 1u);
  EXPECT_EQ(images_told_, 1);
  const size_t at_start = kernel_.calls().size();
  for (int i = 0; i < 20; ++i) {
    kernel_.advance(10s);
    housekeeper_.step();
  }
  EXPECT_EQ(kernel_.calls().size(), at_start);
  housekeeper_.note_event();
  housekeeper_.step();
  EXPECT_EQ(calls("/ListPodSandbox"), 2u);
  housekeeper_.note_event();
  kernel_.advance(10s);
  housekeeper_.step();
  EXPECT_EQ(calls("/ListPodSandbox"), 2u);
  kernel_.advance(50s);
  housekeeper_.step();
  EXPECT_EQ(calls("/ListPodSandbox"), 3u);
  EXPECT_EQ(images_told_, 1);
  kernel_.advance(300s);
  housekeeper_.step();
  EXPECT_EQ(calls("/ImageFsInfo"), 1u);
}

TEST_F(UpkeepTest, ARuntimeThatIsAwayIsAskedAgain) {
  is_away_ = true;
  housekeeper_.step();
  EXPECT_TRUE(kernel_.logged("it is away"));
  is_away_ = false;
  kernel_.advance(30s);
  housekeeper_.step();
  EXPECT_EQ(calls("/ListPodSandbox"), 1u);
}

}  // namespace
}  // namespace orlop::agent
