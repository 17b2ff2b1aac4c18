// Pods from the store to a runtime in memory and back: the runtime is runtime-hollow's own logic, on the test's clock.
#include "orlop/kube/node_v1.hpp"
#include "orlop/v1/api.pb.h"
#include "tests/integration/pod_controller_fixture.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <stdlib.h>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;

TEST_F(PodControllerTest, StartsAPodAndTellsOfIt) {
  add(make_pod());
  settle();
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_FALSE(pod().status().podip().empty());
  EXPECT_TRUE(pod().status().containerstatuses(0).ready());
  EXPECT_TRUE(kube::is_ready(pod()));
  for (const char* reason : {"Pulled", "Created", "Started"}) EXPECT_TRUE(event_reasons().contains(reason)) << reason;
  EXPECT_EQ(calls("/RunPodSandbox"), 1u);
  EXPECT_EQ(calls("/CreateContainer"), 1u);
}

TEST_F(PodControllerTest, LeavesOtherNodesPodsAlone) {
  kube::Pod other = make_pod();
  other.mutable_spec()->set_nodename("n2");
  add(other);
  settle();
  EXPECT_EQ(pod().status().phase(), "");
  EXPECT_EQ(calls("/RunPodSandbox"), 0u);
}

TEST_F(PodControllerTest, WhatCrashesIsStartedAgainEverMoreSlowly) {
  kube::Pod crashing = make_pod();
  ends(crashing, "c", "100ms", "3");
  add(crashing);
  settle();
  pass(2s);
  EXPECT_EQ(restarts(), 1);
  EXPECT_EQ(waiting_reason(), "CrashLoopBackOff");
  EXPECT_EQ(pod().status().containerstatuses(0).laststate().terminated().exitcode(), 3);
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_FALSE(kube::is_ready(pod()));
  EXPECT_TRUE(event_reasons().contains("BackOff"));
  pass(11s);
  EXPECT_EQ(restarts(), 2);
  pass(15s);
  EXPECT_EQ(restarts(), 2);
  pass(6s);
  EXPECT_EQ(restarts(), 3);
}

TEST_F(PodControllerTest, RestartPolicies) {
  kube::Pod done = make_pod("OnFailure");
  ends(done, "c", "100ms", "0");
  add(done);
  settle();
  pass(2s);
  EXPECT_EQ(pod().status().phase(), "Succeeded");
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  kube::Pod failing = make_pod("Never");
  ends(failing, "c", "100ms", "9");
  add(failing);
  settle();
  pass(2s);
  EXPECT_EQ(pod().status().phase(), "Failed");
  EXPECT_EQ(pod().status().containerstatuses(0).state().terminated().exitcode(), 9);
  EXPECT_EQ(calls("/CreateContainer"), 2u);
}

TEST_F(PodControllerTest, InitContainersRunInOrder) {
  kube::Pod with_init = make_pod();
  for (const char* name : {"i0", "i1"}) {
    auto& init = *with_init.mutable_spec()->add_initcontainers();
    init.set_name(name);
    init.set_image("web");
    init.set_imagepullpolicy("IfNotPresent");
    ends(with_init, name, "1s", "0");
  }
  add(with_init);
  settle();
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  EXPECT_EQ(pod().status().phase(), "Pending");
  EXPECT_TRUE(pod().status().initcontainerstatuses(0).state().has_running());
  pass(1500ms);
  EXPECT_EQ(calls("/CreateContainer"), 2u);
  pass(1500ms);
  EXPECT_EQ(calls("/CreateContainer"), 3u);
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_EQ(pod().status().initcontainerstatuses(1).state().terminated().reason(), "Completed");
}

TEST_F(PodControllerTest, ALostSandboxIsMadeAnewAndInitContainersRunAgain) {
  kube::Pod with_init = make_pod();
  auto& init = *with_init.mutable_spec()->add_initcontainers();
  init.set_name("i");
  init.set_image("web");
  init.set_imagepullpolicy("IfNotPresent");
  ends(with_init, "i", "1s", "0");
  add(with_init);
  settle();
  pass(2s);
  EXPECT_EQ(pod().status().phase(), "Running");
  const auto runtime = client_.pod(pod().metadata().uid());
  ASSERT_TRUE(runtime);
  cri::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(runtime->sandboxes.front().id());
  ASSERT_TRUE(client_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop));
  settle();
  pass(3s);
  const auto again = client_.pod(pod().metadata().uid());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->sandboxes.front().metadata().attempt(), 1u);
  EXPECT_EQ(again->find("i")->metadata().attempt(), 1u);
  EXPECT_EQ(again->find("c")->metadata().attempt(), 1u);
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_TRUE(kube::is_ready(pod()));
  EXPECT_TRUE(event_reasons().contains("SandboxChanged"));
}

TEST_F(PodControllerTest, EndsWithGraceAndLeavesNothing) {
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().verb() == v1::DELETE && review.write().key().kind() == "pods") verdict.set_grace_seconds(30);
    return verdict;
  });
  add(make_pod());
  settle();
  v1::DeleteOptions options;
  options.set_grace_period_seconds(30);
  ASSERT_TRUE(kernel_.remove("pods", "default", "p", options));
  ASSERT_TRUE(pod().metadata().has_deletiontimestamp());
  settle();
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "p").code(), Code::kNotFound);
  EXPECT_EQ(runtime_->sandbox_count(), 0u);
  EXPECT_EQ(calls("/StopContainer"), 1u);
  EXPECT_TRUE(event_reasons().contains("Killing"));
}

TEST_F(PodControllerTest, AnEvictedPodIsFailedAndSaysWhy) {
  add(make_pod());
  settle();
  const std::string uid = pod().metadata().uid();
  EXPECT_EQ(agent_->evict({"default", "p"}, "another", "Evicted", "no room", std::nullopt).code(), Code::kNotFound);
  ASSERT_TRUE(agent_->evict({"default", "p"}, uid, "Evicted", "The node was low on resource: memory.", 0));
  settle();
  EXPECT_EQ(pod().status().phase(), "Failed");
  EXPECT_EQ(pod().status().reason(), "Evicted");
  EXPECT_EQ(pod().status().message(), "The node was low on resource: memory.");
  ASSERT_NE(kube::find_condition(pod(), "DisruptionTarget"), nullptr);
  EXPECT_EQ(kube::find_condition(pod(), "DisruptionTarget")->reason(), "TerminationByKubelet");
  EXPECT_FALSE(kube::is_ready(pod()));
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  pass(3s);
  EXPECT_EQ(pod().status().phase(), "Failed");
  EXPECT_EQ(calls("/CreateContainer"), 1u);
}

TEST_F(PodControllerTest, APodThatVanishedIsTakenDown) {
  add(make_pod());
  settle();
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  EXPECT_EQ(runtime_->sandbox_count(), 0u);
}

TEST_F(PodControllerTest, ARestartedAgentAdoptsWhatRuns) {
  add(make_pod());
  settle();
  const std::string id = pod().status().containerstatuses(0).containerid();
  start_agent();
  settle();
  EXPECT_EQ(pod().status().containerstatuses(0).containerid(), id);
  EXPECT_EQ(restarts(), 0);
  EXPECT_EQ(calls("/CreateContainer"), 1u);
}

TEST_F(PodControllerTest, WhatNobodyWantsIsSwept) {
  add(make_pod());
  settle();
  controllers_.reset();
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  start_agent();
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
  ASSERT_TRUE(agent_->sweep());  // not a single pod is left in the store
  settle();
  EXPECT_EQ(runtime_->sandbox_count(), 0u);
}

TEST_F(PodControllerTest, ANamesakeFollowsItsForerunner) {
  add(make_pod());
  settle();
  const std::string uid = pod().metadata().uid();
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  add(make_pod());
  settle();
  EXPECT_NE(pod().metadata().uid(), uid);
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
}

TEST_F(PodControllerTest, AContainerThatCannotBeMadeIsNotTriedAllTheTime) {
  failures_["runtime.v1.RuntimeService/CreateContainer"] = Status(Code::kInternal, "no room");
  add(make_pod());
  settle();
  EXPECT_EQ(waiting_reason(), "CreateContainerError");
  EXPECT_EQ(pod().status().containerstatuses(0).state().waiting().message(), "no room");
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  failures_.clear();
  pass(11s);
  EXPECT_EQ(pod().status().phase(), "Running");
}

TEST_F(PodControllerTest, AnImageThatCannotBePulledBacksOff) {
  kube::Pod missing = make_pod();
  missing.mutable_spec()->mutable_containers(0)->set_image("missing.hollow.orlop.dev/x");
  add(missing);
  settle();
  EXPECT_EQ(waiting_reason(), "ErrImagePull");
  EXPECT_EQ(calls("/PullImage"), 1u);
  pass(4s);
  EXPECT_EQ(waiting_reason(), "ImagePullBackOff");
  EXPECT_EQ(calls("/PullImage"), 1u);
  pass(7s);
  EXPECT_EQ(calls("/PullImage"), 2u);
  pass(15s);
  EXPECT_EQ(calls("/PullImage"), 2u);
  pass(7s);
  EXPECT_EQ(calls("/PullImage"), 3u);
  EXPECT_EQ(pod().status().phase(), "Pending");
}

TEST_F(PodControllerTest, PullPolicies) {
  kube::Pod never = make_pod();
  never.mutable_spec()->mutable_containers(0)->set_image("absent");
  never.mutable_spec()->mutable_containers(0)->set_imagepullpolicy("Never");
  add(never);
  settle();
  EXPECT_EQ(waiting_reason(), "ErrImageNeverPull");
  EXPECT_EQ(calls("/PullImage"), 0u);
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  settle();
  kube::Pod always = make_pod();
  always.mutable_spec()->mutable_containers(0)->set_imagepullpolicy("Always");
  add(always);
  settle();
  EXPECT_EQ(calls("/PullImage"), 1u);
  EXPECT_EQ(pod().status().phase(), "Running");
}

TEST_F(PodControllerTest, AnEphemeralContainerRunsOnceWhateverItsPolicy) {
  kube::Pod debugged = make_pod();
  ends(debugged, "debugger", "1s", "1");
  auto& ephemeral = *debugged.mutable_spec()->add_ephemeralcontainers();
  ephemeral.set_targetcontainername("c");
  ephemeral.mutable_ephemeralcontainercommon()->set_name("debugger");
  ephemeral.mutable_ephemeralcontainercommon()->set_image("web");
  ephemeral.mutable_ephemeralcontainercommon()->set_imagepullpolicy("IfNotPresent");
  add(debugged);
  settle();
  // Its target has to run first; then it is tried again.
  pass(11s);
  ASSERT_EQ(pod().status().ephemeralcontainerstatuses_size(), 1);
  pass(2s);
  const auto& status = pod().status().ephemeralcontainerstatuses(0);
  EXPECT_EQ(status.state().terminated().exitcode(), 1);
  EXPECT_FALSE(status.ready());
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_TRUE(kube::is_ready(pod()));
  pass(15s);
  EXPECT_EQ(calls("/CreateContainer"), 2u);
}

TEST_F(PodControllerTest, ARuntimeClassNamesTheHandler) {
  k8s::io::api::node::v1::RuntimeClass known;
  known.mutable_metadata()->set_name("quick");
  known.set_handler("crun");
  ASSERT_TRUE(kernel_.create("runtimeclasses.node.k8s.io", known));
  kube::Pod classed = make_pod();
  classed.mutable_spec()->set_runtimeclassname("quick");
  add(classed);
  settle();
  std::string handler;
  for (const auto& call : kernel_.calls()) {
    cri::RunPodSandboxRequest request;
    if (call.target.method().ends_with("/RunPodSandbox") && request.ParseFromString(call.payload))
      handler = request.runtime_handler();
  }
  EXPECT_EQ(handler, "crun");
  ASSERT_TRUE(kernel_.remove("pods", "default", "p"));
  ASSERT_TRUE(kernel_.remove("runtimeclasses.node.k8s.io", "", "quick"));
  settle();
  add(classed);
  settle();
  EXPECT_EQ(pod().status().phase(), "Pending");
  EXPECT_EQ(calls("/RunPodSandbox"), 1u);
  EXPECT_TRUE(event_reasons().contains("FailedCreatePodSandBox"));
}

class StaticPodTest : public PodControllerTest {
 protected:
  StaticPodTest() {
    kernel_.provide("api", [](const v1::CallTarget&, const std::string& payload, testing::FakeKernel::Reply reply) {
      v1::AdmitRequest request;
      request.ParseFromString(payload);
      v1::AdmitResponse answer;
      answer.add_verdicts()->set_value(request.reviews(0).write().value());
      reply(answer.SerializeAsString());
    });
    agent_->set_static_pods(files_);
  }
  ~StaticPodTest() override { std::filesystem::remove_all(folder_); }
  static std::string make_folder() {
    char name[] = "/tmp/orlop-static-XXXXXX";
    return ::mkdtemp(name);
  }
  void write(const std::string& image) {
    std::ofstream(folder_ + "/web.yaml")
        << "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 30\n"
           "  restartPolicy: Always\n  containers: [{name: c, imagePullPolicy: IfNotPresent, image: " +
               image + "}]\n";
    files_.read();
  }
  std::optional<kube::Pod> mirror() {
    auto stored = kernel_.get<kube::Pod>("pods", "default", "web-n1");
    return stored ? std::optional(std::move(*stored)) : std::nullopt;
  }

  std::string folder_ = make_folder();
  StaticPods files_{kernel_.host(), folder_, "n1",
                    [this](const std::set<ObjectKey>& keys) { agent_->static_changed(keys); }};
};

TEST_F(StaticPodTest, RunsWhateverTheApiHolds) {
  write("web");
  settle();
  ASSERT_TRUE(mirror());
  EXPECT_EQ(mirror()->status().phase(), "Running");
  EXPECT_TRUE(kube::is_ready(*mirror()));
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
  // Its mirror comes back; nothing of it is restarted.
  ASSERT_TRUE(kernel_.remove("pods", "default", "web-n1"));
  settle();
  ASSERT_TRUE(mirror());
  EXPECT_EQ(mirror()->status().phase(), "Running");
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  ASSERT_TRUE(agent_->sweep());
  settle();
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
}

TEST_F(StaticPodTest, AChangedFileIsAnotherPodAndARemovedOneEnds) {
  write("web");
  settle();
  const std::string first = mirror()->metadata().annotations().at(kConfigMirror);
  write("other");
  settle();
  ASSERT_TRUE(mirror());
  EXPECT_NE(mirror()->metadata().annotations().at(kConfigMirror), first);
  EXPECT_EQ(mirror()->spec().containers(0).image(), "other");
  EXPECT_EQ(mirror()->status().phase(), "Running");
  EXPECT_EQ(calls("/StopContainer"), 1u);
  EXPECT_EQ(runtime_->sandbox_count(), 1u);
  std::filesystem::remove(folder_ + "/web.yaml");
  files_.read();
  settle();
  EXPECT_FALSE(mirror());
  EXPECT_EQ(calls("/StopContainer"), 2u);
  EXPECT_EQ(runtime_->sandbox_count(), 0u);
}

}  // namespace
}  // namespace orlop::agent
