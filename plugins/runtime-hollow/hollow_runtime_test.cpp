// The conformance suite, and what the hollow runtime alone promises: time by a clock that the test holds, many pods in
// little memory.
#include "plugins/runtime-hollow/hollow_runtime.hpp"

#include "orlop/testing/runtime_conformance.hpp"

#include <malloc.h>

namespace orlop::testing {
namespace {

using hollow::HollowRuntime;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Time goes on only when somebody waits for an answer: then to the next thing that is due.
class HollowUnderTest final : public RuntimeUnderTest {
 public:
  explicit HollowUnderTest(hollow::Settings settings = {}) {
    settings.images.emplace_back("registry.test/program:1");
    hollow::Clocks clocks{[this] { return now_; }, [this] { return 1'700'000'000'000'000'000 + now_; }};
    runtime_ = std::move(*HollowRuntime::make(settings, clocks, 42));
  }
  ~HollowUnderTest() override { runtime_->stop(); }

  Result<std::string> call(std::string_view method, std::string_view payload, milliseconds time) override {
    std::optional<Result<std::string>> answer;
    runtime_->call(method, std::string(payload), now_ + nanoseconds(time).count(),
                   [&answer](const Status& status, std::string_view bytes) {
                     if (status.is_ok()) {
                       answer.emplace(std::string(bytes));
                     } else {
                       answer.emplace(status);
                     }
                   });
    while (!answer) {
      auto due = runtime_->next_due();
      if (!due) return Status(Code::kInternal, "nothing is due and yet there is no answer");
      now_ = std::max(now_, *due);
      runtime_->tick();
    }
    return *answer;
  }
  std::string image() override { return "registry.test/program:1"; }
  void run_until_stopped(cri::ContainerConfig& config) override { config.clear_annotations(); }
  void end_with(cri::ContainerConfig& config, int code) override {
    (*config.mutable_annotations())["hollow.orlop.dev/exit-after"] = "100ms";
    (*config.mutable_annotations())["hollow.orlop.dev/exit-code"] = std::to_string(code);
  }

  int64_t now_ = 1'000'000'000;
  std::unique_ptr<HollowRuntime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Hollow, RuntimeConformance,
                         ::testing::Values(RuntimeCase{"hollow", [] { return std::make_shared<HollowUnderTest>(); }},
                                           RuntimeCase{"hollow_slow",
                                                       [] {
                                                         hollow::Settings settings;
                                                         settings.latency = milliseconds(5);
                                                         return std::make_shared<HollowUnderTest>(settings);
                                                       }}),
                         runtime_case_name);

class HollowTest : public ::testing::Test {
 protected:
  template <typename Response, typename Request>
  Result<Response> call(std::string_view method, const Request& request) {
    auto answer = runtime_.call(method, request.SerializeAsString(), milliseconds(1000));
    if (!answer.is_ok()) return answer.status();
    Response response;
    response.ParseFromString(*answer);
    return response;
  }
  cri::RunPodSandboxRequest pod(const std::string& name) {
    cri::RunPodSandboxRequest request;
    auto* config = request.mutable_config();
    config->mutable_metadata()->set_name(name);
    config->mutable_metadata()->set_namespace_("default");
    config->mutable_metadata()->set_uid("0b3f4d5c-1111-2222-3333-" + name);
    (*config->mutable_labels())["app"] = "web";
    (*config->mutable_labels())["io.kubernetes.pod.name"] = name;
    return request;
  }
  std::string run(const std::string& name) {
    return call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", pod(name))->pod_sandbox_id();
  }
  std::string address(const std::string& id) {
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    return call<cri::PodSandboxStatusResponse>("runtime.v1.RuntimeService/PodSandboxStatus", request)
        ->status()
        .network()
        .ip();
  }

  HollowUnderTest runtime_;
};

TEST_F(HollowTest, PodsHaveAddressesOfTheirOwn) {
  std::string one = address(run("one"));
  EXPECT_EQ(one, "10.128.0.1");
  EXPECT_NE(address(run("two")), one);
  auto host = pod("host");
  host.mutable_config()->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
      cri::NODE);
  auto id = call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", host)->pod_sandbox_id();
  EXPECT_EQ(address(id), "");
}

TEST_F(HollowTest, PullsSucceedButForTheMissingOnes) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image("docker.io/library/nginx:latest");
  auto pulled = call<cri::PullImageResponse>("runtime.v1.ImageService/PullImage", request);
  ASSERT_TRUE(pulled.is_ok());
  EXPECT_TRUE(pulled->image_ref().starts_with("sha256:"));
  request.mutable_image()->set_image("missing.hollow.orlop.dev/nginx:latest");
  EXPECT_EQ(call<cri::PullImageResponse>("runtime.v1.ImageService/PullImage", request).code(), Code::kNotFound);
}

TEST_F(HollowTest, InfoSaysHollow) {
  EXPECT_TRUE(call<v1::RuntimeInfoResponse>("orlop.v1.Runtime/Info", v1::RuntimeInfoRequest())->hollow());
}

TEST_F(HollowTest, BadAnnotationIsRefusedByName) {
  std::string sandbox = run("bad");
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox);
  (*request.mutable_config()->mutable_annotations())["hollow.orlop.dev/exit-after"] = "soon";
  auto answer = call<cri::CreateContainerResponse>("runtime.v1.RuntimeService/CreateContainer", request);
  EXPECT_EQ(answer.code(), Code::kInvalid);
  EXPECT_NE(answer.message().find("exit-after"), std::string::npos);
}

TEST_F(HollowTest, PodIsFoundByItsUid) {
  std::vector<std::string> ids;
  for (const char* name : {"one", "two", "three"}) {
    auto request = pod(name);
    (*request.mutable_config()->mutable_labels())["io.kubernetes.pod.uid"] = name;
    ids.push_back(
        call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", request)->pod_sandbox_id());
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(ids.back());
    (*create.mutable_config()->mutable_labels())["io.kubernetes.pod.uid"] = name;
    ASSERT_TRUE(call<cri::CreateContainerResponse>("runtime.v1.RuntimeService/CreateContainer", create).is_ok());
  }
  cri::ListPodSandboxRequest sandboxes;
  (*sandboxes.mutable_filter()->mutable_label_selector())["io.kubernetes.pod.uid"] = "two";
  auto found = call<cri::ListPodSandboxResponse>("runtime.v1.RuntimeService/ListPodSandbox", sandboxes);
  ASSERT_EQ(found->items_size(), 1);
  EXPECT_EQ(found->items(0).id(), ids[1]);
  cri::ListContainersRequest containers;
  *containers.mutable_filter()->mutable_label_selector() = sandboxes.filter().label_selector();
  auto inside = call<cri::ListContainersResponse>("runtime.v1.RuntimeService/ListContainers", containers);
  ASSERT_EQ(inside->containers_size(), 1);
  EXPECT_EQ(inside->containers(0).pod_sandbox_id(), ids[1]);
  cri::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(ids[1]);
  ASSERT_TRUE(call<cri::RemovePodSandboxResponse>("runtime.v1.RuntimeService/RemovePodSandbox", remove).is_ok());
  EXPECT_EQ(call<cri::ListPodSandboxResponse>("runtime.v1.RuntimeService/ListPodSandbox", sandboxes)->items_size(), 0);
  EXPECT_EQ(
      call<cri::ListContainersResponse>("runtime.v1.RuntimeService/ListContainers", containers)->containers_size(), 0);
}

TEST_F(HollowTest, ThirtyThousandPodsAreSmall) {
  constexpr int kPods = 30'000;
  auto before = ::mallinfo2().uordblks;
  for (int i = 0; i < kPods; ++i) {
    std::string sandbox = run("web-7d9c5b6f4-" + std::to_string(i));
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(sandbox);
    create.mutable_config()->mutable_metadata()->set_name("nginx");
    create.mutable_config()->mutable_image()->set_image("docker.io/library/nginx:latest");
    auto id = call<cri::CreateContainerResponse>("runtime.v1.RuntimeService/CreateContainer", create)->container_id();
    cri::StartContainerRequest start;
    start.set_container_id(id);
    ASSERT_TRUE(call<cri::StartContainerResponse>("runtime.v1.RuntimeService/StartContainer", start).is_ok());
  }
  auto bytes = (::mallinfo2().uordblks - before) / kPods;
  EXPECT_LT(bytes, 2048u);
  RecordProperty("bytes_a_pod", static_cast<int>(bytes));
  EXPECT_EQ(runtime_.runtime_->sandbox_count(), static_cast<size_t>(kPods));
}

}  // namespace
}  // namespace orlop::testing
