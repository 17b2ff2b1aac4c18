// What every provider of the `runtime` capability must do, as a GoogleTest suite. Include it in one file of a test
// program:
//
//   #include "orlop/testing/runtime_conformance.hpp"
//   namespace orlop::testing {
//   INSTANTIATE_TEST_SUITE_P(Mine, RuntimeConformance, ::testing::Values(RuntimeCase{"mine", [] { return …; }}),
//                            runtime_case_name);
//   }
//
// The suite leaves nothing behind in a provider that passes: each test removes the sandboxes that it made, also when it
// fails. Specification: the Container Runtime Interface v1 (its comments in cri/api.proto), and orlop/v1/runtime.proto.
#pragma once

#include "cri/api.pb.h"
#include "orlop/result.hpp"
#include "orlop/v1/runtime.pb.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::testing {

namespace cri = ::runtime::v1;

// A provider as the suite sees it. Ownership: lives as long as the test.
class RuntimeUnderTest {
 public:
  virtual ~RuntimeUnderTest() = default;
  // One call, waited for; bytes of the method's messages.
  virtual Result<std::string> call(std::string_view method, std::string_view payload,
                                   std::chrono::milliseconds time) = 0;
  // An image that is there.
  virtual std::string image() = 0;
  // Makes a sandbox's configuration fit this provider's surroundings, e.g. host network.
  virtual void adapt(cri::PodSandboxConfig& config) { (void)config; }
  // Makes a container run until it is stopped, or end by itself with a code soon after its start.
  virtual void run_until_stopped(cri::ContainerConfig& config) = 0;
  virtual void end_with(cri::ContainerConfig& config, int code) = 0;
  // Whether containers are processes, so that ExecSync has something to run; the command prints "hello".
  virtual std::vector<std::string> hello_command() { return {}; }
};

struct RuntimeCase {
  std::string name;
  std::function<std::shared_ptr<RuntimeUnderTest>()> make;
};

inline std::string runtime_case_name(const ::testing::TestParamInfo<RuntimeCase>& info) {
  return info.param.name;
}

class RuntimeConformance : public ::testing::TestWithParam<RuntimeCase> {
 protected:
  void SetUp() override { runtime_ = GetParam().make(); }

  void TearDown() override {
    for (const std::string& id : sandboxes_) {
      cri::StopPodSandboxRequest stop;
      stop.set_pod_sandbox_id(id);
      (void)call<cri::StopPodSandboxResponse>("runtime.v1.RuntimeService/StopPodSandbox", stop);
      cri::RemovePodSandboxRequest remove;
      remove.set_pod_sandbox_id(id);
      (void)call<cri::RemovePodSandboxResponse>("runtime.v1.RuntimeService/RemovePodSandbox", remove);
    }
  }

  template <typename Response, typename Request>
  Result<Response> call(std::string_view method, const Request& request,
                        std::chrono::milliseconds time = std::chrono::seconds(30)) {
    auto answer = runtime_->call(method, request.SerializeAsString(), time);
    if (!answer.is_ok()) return answer.status();
    Response response;
    if (!response.ParseFromString(*answer)) return Status(Code::kInternal, "an answer that cannot be read");
    return response;
  }

  cri::PodSandboxConfig sandbox_config(const std::string& name) {
    cri::PodSandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("conformance");
    config.mutable_metadata()->set_uid(name + "-uid");
    (*config.mutable_labels())["suite"] = name;
    runtime_->adapt(config);
    return config;
  }

  // The sandbox's id; empty (and a failed test) when it cannot be run.
  std::string run_sandbox(const cri::PodSandboxConfig& config) {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    auto response = call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", request);
    EXPECT_TRUE(response.is_ok()) << response.message();
    if (!response.is_ok()) return {};
    sandboxes_.push_back(response->pod_sandbox_id());
    return response->pod_sandbox_id();
  }

  cri::ContainerConfig container_config(const std::string& name) {
    cri::ContainerConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_image()->set_image(runtime_->image());
    (*config.mutable_labels())["container"] = name;
    runtime_->run_until_stopped(config);
    return config;
  }

  std::string create(const std::string& sandbox, const cri::PodSandboxConfig& pod, const cri::ContainerConfig& config) {
    cri::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox);
    *request.mutable_config() = config;
    *request.mutable_sandbox_config() = pod;
    auto response = call<cri::CreateContainerResponse>("runtime.v1.RuntimeService/CreateContainer", request);
    EXPECT_TRUE(response.is_ok()) << response.message();
    return response.is_ok() ? response->container_id() : std::string();
  }

  Status start(const std::string& id) {
    cri::StartContainerRequest request;
    request.set_container_id(id);
    return call<cri::StartContainerResponse>("runtime.v1.RuntimeService/StartContainer", request).status();
  }
  Status stop(const std::string& id, int64_t timeout_s = 5) {
    cri::StopContainerRequest request;
    request.set_container_id(id);
    request.set_timeout(timeout_s);
    return call<cri::StopContainerResponse>("runtime.v1.RuntimeService/StopContainer", request).status();
  }
  Status remove(const std::string& id) {
    cri::RemoveContainerRequest request;
    request.set_container_id(id);
    return call<cri::RemoveContainerResponse>("runtime.v1.RuntimeService/RemoveContainer", request).status();
  }
  Status stop_sandbox(const std::string& id) {
    cri::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    return call<cri::StopPodSandboxResponse>("runtime.v1.RuntimeService/StopPodSandbox", request).status();
  }
  Status remove_sandbox(const std::string& id) {
    cri::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    return call<cri::RemovePodSandboxResponse>("runtime.v1.RuntimeService/RemovePodSandbox", request).status();
  }
  Result<cri::ContainerStatusResponse> status(const std::string& id) {
    cri::ContainerStatusRequest request;
    request.set_container_id(id);
    return call<cri::ContainerStatusResponse>("runtime.v1.RuntimeService/ContainerStatus", request);
  }
  Result<cri::PodSandboxStatusResponse> sandbox_status(const std::string& id) {
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    return call<cri::PodSandboxStatusResponse>("runtime.v1.RuntimeService/PodSandboxStatus", request);
  }
  std::vector<std::string> listed(const cri::ContainerFilter& filter) {
    cri::ListContainersRequest request;
    *request.mutable_filter() = filter;
    auto response = call<cri::ListContainersResponse>("runtime.v1.RuntimeService/ListContainers", request);
    EXPECT_TRUE(response.is_ok()) << response.message();
    std::vector<std::string> out;
    if (response.is_ok()) {
      for (const auto& container : response->containers()) out.push_back(container.id());
    }
    return out;
  }

  // Goes on from the last events that were read; the first call only finds out where "now" is.
  Result<v1::RuntimeEventsResponse> events(std::chrono::milliseconds time) {
    v1::RuntimeEventsRequest request;
    request.set_cursor(cursor_);
    request.set_instance(instance_);
    auto response = call<v1::RuntimeEventsResponse>("orlop.v1.Runtime/Events", request, time);
    if (response.is_ok()) {
      cursor_ = response->cursor();
      instance_ = response->instance();
    }
    return response;
  }

  // Reads until an event of this type and id comes, 20 s at most.
  std::optional<v1::RuntimeEvent> await_event(v1::RuntimeEvent_Type type, const std::string& id) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      for (size_t i = 0; i < seen_.size(); ++i) {
        if (seen_[i].type() == type && seen_[i].container_id() == id) {
          v1::RuntimeEvent found = seen_[i];
          seen_.erase(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          return found;
        }
      }
      if (std::chrono::steady_clock::now() > end) return std::nullopt;
      auto response = events(std::chrono::seconds(2));
      EXPECT_TRUE(response.is_ok()) << response.message();
      if (!response.is_ok()) return std::nullopt;
      EXPECT_FALSE(response->lost());
      seen_.insert(seen_.end(), response->events().begin(), response->events().end());
    }
  }

  std::shared_ptr<RuntimeUnderTest> runtime_;
  std::vector<std::string> sandboxes_;
  uint64_t cursor_ = 0;
  std::string instance_;
  std::vector<v1::RuntimeEvent> seen_;
};

TEST_P(RuntimeConformance, SpeaksCriV1AndIsReady) {
  cri::VersionRequest request;
  auto version = call<cri::VersionResponse>("runtime.v1.RuntimeService/Version", request);
  ASSERT_TRUE(version.is_ok()) << version.message();
  EXPECT_EQ(version->runtime_api_version(), "v1");
  EXPECT_FALSE(version->runtime_name().empty());
  cri::StatusRequest ask;
  auto status = call<cri::StatusResponse>("runtime.v1.RuntimeService/Status", ask);
  ASSERT_TRUE(status.is_ok()) << status.message();
  bool ready = false;
  for (const auto& condition : status->status().conditions()) {
    if (condition.type() == "RuntimeReady") ready = condition.status();
  }
  EXPECT_TRUE(ready);
  auto info = call<v1::RuntimeInfoResponse>("orlop.v1.Runtime/Info", v1::RuntimeInfoRequest());
  ASSERT_TRUE(info.is_ok()) << info.message();
  EXPECT_FALSE(info->name().empty());
  EXPECT_FALSE(info->version().empty());
}

TEST_P(RuntimeConformance, UnknownMethodIsRefused) {
  auto answer = call<cri::VersionResponse>("runtime.v1.RuntimeService/NoSuchMethod", cri::VersionRequest());
  EXPECT_EQ(answer.code(), Code::kMethodNotAllowed);
}

TEST_P(RuntimeConformance, SandboxLivesAndGoes) {
  auto config = sandbox_config("life");
  std::string id = run_sandbox(config);
  ASSERT_FALSE(id.empty());
  auto state = sandbox_status(id);
  ASSERT_TRUE(state.is_ok()) << state.message();
  EXPECT_EQ(state->status().state(), cri::SANDBOX_READY);
  EXPECT_EQ(state->status().metadata().name(), "life");
  EXPECT_EQ(state->status().labels().at("suite"), "life");
  EXPECT_GT(state->status().created_at(), 0);

  cri::ListPodSandboxRequest list;
  (*list.mutable_filter()->mutable_label_selector())["suite"] = "life";
  auto found = call<cri::ListPodSandboxResponse>("runtime.v1.RuntimeService/ListPodSandbox", list);
  ASSERT_TRUE(found.is_ok()) << found.message();
  ASSERT_EQ(found->items_size(), 1);
  EXPECT_EQ(found->items(0).id(), id);

  EXPECT_TRUE(stop_sandbox(id).is_ok());
  EXPECT_TRUE(stop_sandbox(id).is_ok()) << "to stop it again is no failure";
  state = sandbox_status(id);
  ASSERT_TRUE(state.is_ok()) << state.message();
  EXPECT_EQ(state->status().state(), cri::SANDBOX_NOTREADY);
  EXPECT_TRUE(remove_sandbox(id).is_ok());
  EXPECT_TRUE(remove_sandbox(id).is_ok()) << "to remove it again is no failure";
  EXPECT_EQ(sandbox_status(id).code(), Code::kNotFound);
}

TEST_P(RuntimeConformance, SandboxNameIsTakenOnce) {
  auto config = sandbox_config("twice");
  ASSERT_FALSE(run_sandbox(config).empty());
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  EXPECT_FALSE(call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", request).is_ok());
  config.mutable_metadata()->set_attempt(1);
  EXPECT_FALSE(run_sandbox(config).empty());
}

TEST_P(RuntimeConformance, ContainerLivesAndGoes) {
  auto pod = sandbox_config("containers");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  std::string id = create(sandbox, pod, container_config("one"));
  ASSERT_FALSE(id.empty());
  auto state = status(id);
  ASSERT_TRUE(state.is_ok()) << state.message();
  EXPECT_EQ(state->status().state(), cri::CONTAINER_CREATED);
  ASSERT_TRUE(start(id).is_ok());
  state = status(id);
  ASSERT_TRUE(state.is_ok());
  EXPECT_EQ(state->status().state(), cri::CONTAINER_RUNNING);
  EXPECT_GT(state->status().started_at(), 0);
  ASSERT_TRUE(stop(id).is_ok());
  state = status(id);
  ASSERT_TRUE(state.is_ok());
  EXPECT_EQ(state->status().state(), cri::CONTAINER_EXITED);
  EXPECT_GT(state->status().finished_at(), 0);
  EXPECT_TRUE(stop(id).is_ok()) << "to stop it again is no failure";
  EXPECT_TRUE(remove(id).is_ok());
  EXPECT_TRUE(remove(id).is_ok()) << "to remove it again is no failure";
  EXPECT_EQ(status(id).code(), Code::kNotFound);
}

TEST_P(RuntimeConformance, ExitCodeIsToldByEventAndStatus) {
  ASSERT_TRUE(events(std::chrono::seconds(1)).is_ok());
  auto pod = sandbox_config("exit");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  auto config = container_config("seven");
  runtime_->end_with(config, 7);
  std::string id = create(sandbox, pod, config);
  ASSERT_TRUE(start(id).is_ok());
  auto event = await_event(v1::RuntimeEvent::CONTAINER_STOPPED, id);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->exit_code(), 7);
  EXPECT_GT(event->at_unix_ns(), 0);
  // Whoever hears of the end finds it in the status at once.
  auto state = status(id);
  ASSERT_TRUE(state.is_ok());
  EXPECT_EQ(state->status().state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(state->status().exit_code(), 7);
  EXPECT_EQ(state->status().reason(), "Error");
}

TEST_P(RuntimeConformance, EventsTellALifeInOrder) {
  auto first = events(std::chrono::seconds(1));
  ASSERT_TRUE(first.is_ok()) << first.message();
  EXPECT_TRUE(first->lost()) << "a reader without a cursor has to list";
  auto pod = sandbox_config("events");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  std::string id = create(sandbox, pod, container_config("one"));
  ASSERT_TRUE(start(id).is_ok());
  ASSERT_TRUE(stop(id).is_ok());
  ASSERT_TRUE(remove(id).is_ok());
  ASSERT_TRUE(stop_sandbox(sandbox).is_ok());
  EXPECT_TRUE(await_event(v1::RuntimeEvent::SANDBOX_READY, sandbox));
  EXPECT_TRUE(await_event(v1::RuntimeEvent::CONTAINER_CREATED, id));
  EXPECT_TRUE(await_event(v1::RuntimeEvent::CONTAINER_STARTED, id));
  EXPECT_TRUE(await_event(v1::RuntimeEvent::CONTAINER_STOPPED, id));
  EXPECT_TRUE(await_event(v1::RuntimeEvent::CONTAINER_REMOVED, id));
  EXPECT_TRUE(await_event(v1::RuntimeEvent::SANDBOX_STOPPED, sandbox));
}

TEST_P(RuntimeConformance, EventsAnswerEmptyAtTheDeadline) {
  ASSERT_TRUE(events(std::chrono::seconds(1)).is_ok());
  uint64_t before = cursor_;
  auto response = events(std::chrono::milliseconds(150));
  ASSERT_TRUE(response.is_ok()) << response.message();
  EXPECT_FALSE(response->lost());
  if (response->events_size() == 0) {
    EXPECT_EQ(response->cursor(), before);
  }
  v1::RuntimeEventsRequest foreign;
  foreign.set_cursor(before);
  foreign.set_instance("another process");
  auto lost = call<v1::RuntimeEventsResponse>("orlop.v1.Runtime/Events", foreign);
  ASSERT_TRUE(lost.is_ok());
  EXPECT_TRUE(lost->lost());
}

TEST_P(RuntimeConformance, ListsByFilter) {
  auto pod = sandbox_config("filter");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  std::string one = create(sandbox, pod, container_config("one"));
  std::string two = create(sandbox, pod, container_config("two"));
  ASSERT_TRUE(start(two).is_ok());
  cri::ContainerFilter by_pod;
  by_pod.set_pod_sandbox_id(sandbox);
  EXPECT_EQ(listed(by_pod).size(), 2u);
  cri::ContainerFilter by_label = by_pod;
  (*by_label.mutable_label_selector())["container"] = "one";
  EXPECT_EQ(listed(by_label), std::vector<std::string>{one});
  cri::ContainerFilter by_state = by_pod;
  by_state.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  EXPECT_EQ(listed(by_state), std::vector<std::string>{two});
  cri::ContainerFilter by_id;
  by_id.set_id(one);
  EXPECT_EQ(listed(by_id), std::vector<std::string>{one});
}

TEST_P(RuntimeConformance, RemovingTheSandboxTakesItsContainers) {
  auto pod = sandbox_config("cascade");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  std::string id = create(sandbox, pod, container_config("one"));
  ASSERT_TRUE(start(id).is_ok());
  ASSERT_TRUE(stop_sandbox(sandbox).is_ok());
  auto state = status(id);
  ASSERT_TRUE(state.is_ok()) << state.message();
  EXPECT_EQ(state->status().state(), cri::CONTAINER_EXITED);
  ASSERT_TRUE(remove_sandbox(sandbox).is_ok());
  EXPECT_EQ(status(id).code(), Code::kNotFound);
}

TEST_P(RuntimeConformance, ImagesArePresentOrNot) {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(runtime_->image());
  auto present = call<cri::ImageStatusResponse>("runtime.v1.ImageService/ImageStatus", request);
  ASSERT_TRUE(present.is_ok()) << present.message();
  EXPECT_TRUE(present->has_image());
  EXPECT_FALSE(present->image().id().empty());
  request.mutable_image()->set_image("localhost/absent/for-certain:1");
  auto absent = call<cri::ImageStatusResponse>("runtime.v1.ImageService/ImageStatus", request);
  ASSERT_TRUE(absent.is_ok()) << absent.message();
  EXPECT_FALSE(absent->has_image());
  auto all = call<cri::ListImagesResponse>("runtime.v1.ImageService/ListImages", cri::ListImagesRequest());
  ASSERT_TRUE(all.is_ok()) << all.message();
  EXPECT_GT(all->images_size(), 0);
}

TEST_P(RuntimeConformance, ExecSyncRunsACommandOrMakesUpNoOutput) {
  auto pod = sandbox_config("exec");
  std::string sandbox = run_sandbox(pod);
  ASSERT_FALSE(sandbox.empty());
  std::string id = create(sandbox, pod, container_config("one"));
  ASSERT_TRUE(start(id).is_ok());
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  auto command = runtime_->hello_command();
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(10);
  auto response = call<cri::ExecSyncResponse>("runtime.v1.RuntimeService/ExecSync", request);
  if (command.empty()) {
    // Containers of this runtime are no processes: it says so, or plays them, but makes up no output.
    EXPECT_TRUE(response.is_ok() || response.code() == Code::kMethodNotAllowed) << response.message();
    if (response.is_ok()) {
      EXPECT_EQ(response->stdout() + response->stderr(), "");
    }
    return;
  }
  ASSERT_TRUE(response.is_ok()) << response.message();
  EXPECT_EQ(response->exit_code(), 0);
  EXPECT_EQ(response->stdout(), "hello\n");
}

}  // namespace orlop::testing
