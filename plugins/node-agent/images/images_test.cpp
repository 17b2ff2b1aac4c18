// Pulls against a runtime of the test's: policies, back-off, bounds, logins, words.
#include "plugins/node-agent/images/images.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Event = k8s::io::api::core::v1::Event;
using Secret = k8s::io::api::core::v1::Secret;
using Phase = ImageState::Phase;

class ImagesTest : public ::testing::Test {
 protected:
  ImagesTest() {
    kernel_.provide("runtime",
                    [this](const v1::CallTarget& target, const std::string& payload, testing::FakeKernel::Reply reply) {
                      if (target.method().ends_with("/ImageStatus")) {
                        reply(status_of(payload));
                      } else {
                        cri::PullImageRequest request;
                        request.ParseFromString(payload);
                        pulls_.emplace_back(std::move(request), std::move(reply));
                      }
                    });
  }
  // A call that is under way must not outlive who made it.
  void TearDown() override {
    while (!pulls_.empty()) ends_well();
  }
  std::string status_of(const std::string& payload) {
    cri::ImageStatusRequest request;
    request.ParseFromString(payload);
    cri::ImageStatusResponse answer;
    if (here_.contains(request.image().image())) {
      answer.mutable_image()->set_id("sha256:" + request.image().image());
      answer.mutable_image()->set_size(42);
    }
    return answer.SerializeAsString();
  }
  // The oldest pull that is under way ends.
  void ends_well() {
    auto [request, reply] = std::move(pulls_.front());
    pulls_.erase(pulls_.begin());
    here_.insert(request.image().image());
    reply(cri::PullImageResponse().SerializeAsString());
  }
  void ends_badly(Status status) {
    auto reply = std::move(pulls_.front().second);
    pulls_.erase(pulls_.begin());
    reply(std::move(status));
  }
  ImageState ensure(const std::string& pod_name, const std::string& image, const std::string& policy = "IfNotPresent") {
    kube::Pod pod = pod_;
    pod.mutable_metadata()->set_name(pod_name);
    pod.mutable_metadata()->set_namespace_("default");
    pod.mutable_metadata()->set_uid("uid-" + pod_name);
    Container container;
    container.set_name("c");
    container.set_image(image);
    container.set_imagepullpolicy(policy);
    auto state = images_.ensure({"default", pod_name}, pod, container, {});
    EXPECT_TRUE(state) << state.status().message();
    return state ? *state : ImageState();
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const Event& event : kernel_.list<Event>("events", "default")) {
      out.push_back(event.reason() + ": " + event.message());
    }
    return out;
  }

  testing::FakeKernel kernel_;
  RuntimeClient runtime_{kernel_.host(), ""};
  EventRecorder recorder_{kernel_.host(), "kubelet", "n1"};
  std::set<ObjectKey> woken_;
  std::set<std::string> here_;
  std::vector<std::pair<cri::PullImageRequest, testing::FakeKernel::Reply>> pulls_;
  kube::Pod pod_;
  Images images_{kernel_.host(), runtime_, recorder_, 2,
                 [this](const std::set<ObjectKey>& keys) { woken_.insert(keys.begin(), keys.end()); }};
};

TEST_F(ImagesTest, WhatIsHereIsUsed) {
  here_ = {"web"};
  const ImageState state = ensure("p", "web");
  EXPECT_EQ(state.phase, Phase::kPresent);
  EXPECT_EQ(state.reference, "sha256:web");
  EXPECT_THAT(pulls_, IsEmpty());
  EXPECT_THAT(events(), ElementsAre("Pulled: Container image \"web\" already present on machine"));
}

TEST_F(ImagesTest, AbsentIsPulledOnceForAllAndTold) {
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPulling);
  kernel_.advance(500ms);
  EXPECT_EQ(ensure("q", "web").phase, Phase::kPulling);
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPulling);
  ASSERT_EQ(pulls_.size(), 1u);
  kernel_.advance(1s);
  ends_well();
  EXPECT_THAT(woken_, ElementsAre(ObjectKey{"default", "p"}, ObjectKey{"default", "q"}));
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPresent);
  EXPECT_EQ(ensure("q", "web").phase, Phase::kPresent);
  EXPECT_THAT(events(), Contains("Pulled: Successfully pulled image \"web\" in 1.5s (1.5s including waiting). Image "
                                 "size: 42 bytes."));
  EXPECT_THAT(events(), Contains("Pulled: Successfully pulled image \"web\" in 1.5s (1s including waiting). Image "
                                 "size: 42 bytes."));
  EXPECT_THAT(pulls_, IsEmpty());
}

TEST_F(ImagesTest, AnImageSeenBeforeItsPullEndedIsStillPulled) {
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPulling);
  here_ = {"web"};
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPulling);
  kernel_.advance(1s);
  ends_well();
  EXPECT_EQ(ensure("p", "web").phase, Phase::kPresent);
  EXPECT_THAT(events(), Contains("Pulled: Successfully pulled image \"web\" in 1s (1s including waiting). Image "
                                 "size: 42 bytes."));
}

TEST_F(ImagesTest, AlwaysAsksTheRegistryForEachStart) {
  here_ = {"web"};
  EXPECT_EQ(ensure("p", "web", "Always").phase, Phase::kPulling);
  ends_well();
  EXPECT_EQ(ensure("p", "web", "Always").phase, Phase::kPresent);
  EXPECT_EQ(ensure("p", "web", "Always").phase, Phase::kPulling);
  // An answer is obeyed, a registry that is not there is not.
  ends_badly({Code::kForbidden, "pull access denied"});
  EXPECT_EQ(ensure("p", "web", "Always").waiting.reason, "ErrImagePull");
  kernel_.advance(11s);
  EXPECT_EQ(ensure("p", "web", "Always").phase, Phase::kPulling);
  ends_badly({Code::kUnavailable, "dial tcp 10.0.0.1:443: connect: connection refused"});
  EXPECT_EQ(ensure("p", "web", "Always").phase, Phase::kPresent);
  EXPECT_THAT(events(), Contains(HasSubstr("RegistryUnreachable: ")));
}

TEST_F(ImagesTest, NeverAndInvalidNamesAndWhatCannotBeInspected) {
  const ImageState never = ensure("p", "web", "Never");
  EXPECT_EQ(never.phase, Phase::kFailed);
  EXPECT_EQ(never.waiting.reason, "ErrImageNeverPull");
  EXPECT_EQ(never.waiting.message, "Container image \"web\" is not present with pull policy of Never");
  EXPECT_THAT(events(), Contains("Failed: Error: ErrImageNeverPull"));
  const ImageState invalid = ensure("q", "Web");
  EXPECT_EQ(invalid.waiting.reason, "InvalidImageName");
  EXPECT_EQ(invalid.waiting.message,
            "Failed to apply default image tag \"Web\": couldn't parse image name \"Web\": invalid reference format: "
            "repository name (library/Web) must be lowercase");
  EXPECT_THAT(events(), Contains(HasSubstr("InspectFailed: Failed to apply default image tag")));
  kernel_.withdraw("runtime");
  EXPECT_EQ(ensure("q", "web").waiting.reason, "ImageInspectError");
}

TEST_F(ImagesTest, FailuresInTheRegistrysWordsThenBackOff) {
  const std::string words = "failed to resolve reference \"docker.io/library/web:latest\": not found";
  int64_t expected_s = 10;
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(ensure("p", "web").phase, Phase::kPulling);
    ASSERT_EQ(pulls_.size(), 1u);
    ends_badly({Code::kNotFound, words});
    ImageState state = ensure("p", "web");
    EXPECT_EQ(state.waiting.reason, "ErrImagePull");
    EXPECT_EQ(state.waiting.message, words);
    kernel_.advance(2s);
    state = ensure("p", "web");
    EXPECT_EQ(state.waiting.reason, "ImagePullBackOff");
    EXPECT_EQ(state.waiting.message, "Back-off pulling image \"web\": ErrImagePull: " + words);
    EXPECT_EQ(state.again_at_ns - kernel_.monotonic_now_ns(), (expected_s - 2) * 1'000'000'000);
    kernel_.advance(std::chrono::seconds(expected_s - 2));
    expected_s = std::min<int64_t>(300, expected_s * 2);
  }
  EXPECT_THAT(events(), Contains("Failed: Failed to pull image \"web\": " + words));
  EXPECT_THAT(events(), Contains("Failed: Error: ErrImagePull"));
  EXPECT_THAT(events(), Contains("BackOff: Back-off pulling image \"web\""));
  EXPECT_THAT(events(), Contains("Failed: Error: ImagePullBackOff"));
  // Another pod has a back-off of its own.
  EXPECT_EQ(ensure("q", "web").phase, Phase::kPulling);
}

TEST_F(ImagesTest, OnlySoManyAtTheSameTime) {
  for (const char* image : {"a", "b", "c"}) EXPECT_EQ(ensure("p", image).phase, Phase::kPulling);
  EXPECT_EQ(pulls_.size(), 2u);
  ends_well();
  ASSERT_EQ(pulls_.size(), 2u);
  EXPECT_EQ(pulls_.back().first.image().image(), "c");
}

TEST_F(ImagesTest, LoginsAreTriedInTurn) {
  Secret secret;
  secret.mutable_metadata()->set_name("s");
  secret.mutable_metadata()->set_namespace_("default");
  secret.set_type("kubernetes.io/dockerconfigjson");
  (*secret.mutable_data())[".dockerconfigjson"] = R"({"auths":{"r.example/team":{"username":"u1","password":"p1"},
    "r.example":{"username":"u2","password":"p2"}}})";
  ASSERT_TRUE(kernel_.create("secrets", secret));
  pod_.mutable_spec()->add_imagepullsecrets()->set_name("s");
  pod_.mutable_spec()->add_imagepullsecrets()->set_name("gone");
  ensure("p", "r.example/team/app");
  EXPECT_EQ(pulls_.at(0).first.auth().username(), "u1");
  ends_badly({Code::kForbidden, "401 Unauthorized"});
  ASSERT_EQ(pulls_.size(), 1u);
  EXPECT_EQ(pulls_.at(0).first.auth().password(), "p2");
  ends_badly({Code::kForbidden, "403 Forbidden"});
  EXPECT_EQ(ensure("p", "r.example/team/app").waiting.message, "[401 Unauthorized, 403 Forbidden]");
  EXPECT_THAT(events(), Contains("FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (gone); "
                                 "attempting to pull the image may not succeed."));
  // Without a secret the same image is another pull.
  pod_.clear_spec();
  ensure("q", "r.example/team/app");
  ASSERT_EQ(pulls_.size(), 1u);
  EXPECT_FALSE(pulls_.at(0).first.has_auth());
}

TEST_F(ImagesTest, ASecretThatCannotBeReadIsTold) {
  Secret secret;
  secret.mutable_metadata()->set_name("s");
  secret.mutable_metadata()->set_namespace_("default");
  secret.set_type("kubernetes.io/dockerconfigjson");
  (*secret.mutable_data())[".dockerconfigjson"] = "nonsense";
  ASSERT_TRUE(kernel_.create("secrets", secret));
  pod_.mutable_spec()->add_imagepullsecrets()->set_name("s");
  const ImageState state = ensure("p", "web");
  EXPECT_EQ(state.waiting.reason, "ErrImagePull");
  EXPECT_THAT(state.waiting.message, HasSubstr("secret \"default/s\" holds no JSON object"));
  EXPECT_THAT(pulls_, IsEmpty());
}

}  // namespace
}  // namespace orlop::agent
