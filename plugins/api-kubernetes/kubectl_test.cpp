// The server in this process, over a kernel in memory, driven by a real kubectl over TLS.
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/api-kubernetes/api_server.hpp"
#include "plugins/api-kubernetes/kind_service.hpp"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace orlop::apikube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kPatience = std::chrono::seconds(60);

struct Outcome {
  int code = -1;
  std::string out;
};

class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/orlop-api-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Outcome run(const std::vector<std::string>& arguments, const std::string& input = {}) {
  int out[2];
  int in[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(in, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, out[1], 2);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int failed = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(in[0]);
  std::thread writer([&] {
    if (::write(in[1], input.data(), input.size()) < 0) return;
  });
  writer.join();
  ::close(in[1]);
  Outcome outcome;
  char buffer[4096];
  ssize_t count = 0;
  while (failed == 0 && (count = ::read(out[0], buffer, sizeof buffer)) > 0) {
    outcome.out.append(buffer, static_cast<size_t>(count));
  }
  ::close(out[0]);
  int status = 0;
  if (failed == 0) ::waitpid(pid, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

std::vector<std::string> kubectls() {
  std::vector<std::string> found;
  for (const char* path : {"/usr/bin/kubectl", "/usr/lib/google-cloud-sdk/bin/kubectl.1.27"}) {
    if (::access(path, X_OK) == 0) found.emplace_back(path);
  }
  return found;
}

class KubectlTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam().empty()) GTEST_SKIP() << "no kubectl on this machine";
    const v1::DescribeResponse described = kind_infos();
    for (const v1::KindInfo& kind : described.kinds()) kernel_.describe_kind(kind);
    Settings settings;
    settings.address = "127.0.0.1";
    settings.port = 0;
    settings.service_address = "10.96.0.1";
    settings.config_folder = folder_.path();
    server_ = std::make_unique<ApiServer>(kernel_.host(), settings);
    kernel_.on_wake([this](uint32_t) { server_->wake(); });
    Status started = server_->start();
    ASSERT_TRUE(started) << started.message();
    auto give_up = std::chrono::steady_clock::now() + kPatience;
    while (!kernel_.readiness() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    ASSERT_TRUE(kernel_.readiness());
    ASSERT_TRUE(kernel_.readiness()->first) << kernel_.readiness()->second;
  }
  void TearDown() override {
    if (server_) server_->stop();
    kernel_.on_wake({});
  }

  Outcome kubectl(std::vector<std::string> arguments, const std::string& input = {}) {
    std::vector<std::string> all = {GetParam(),
                                    "--kubeconfig",
                                    folder_.path() + "/admin.kubeconfig",
                                    "--cache-dir",
                                    folder_.path() + "/cache",
                                    "--request-timeout",
                                    "30s"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run(all, input);
  }

  TempFolder folder_;
  testing::FakeKernel kernel_;
  std::unique_ptr<ApiServer> server_;
};

TEST_P(KubectlTest, ConfigMapFromCreationToDeletion) {
  Outcome outcome = kubectl({"create", "configmap", "first", "--from-literal", "a=1"});
  EXPECT_EQ(outcome.out, "configmap/first created\n");
  outcome = kubectl({"get", "configmap", "first", "-o", "jsonpath={.data.a}"});
  EXPECT_EQ(outcome.out, "1");
  outcome = kubectl({"get", "configmaps"});
  EXPECT_THAT(outcome.out, HasSubstr("NAME"));
  EXPECT_THAT(outcome.out, HasSubstr("first"));
  outcome = kubectl({"patch", "configmap", "first", "--type", "merge", "-p", R"({"data":{"b":"2"}})"});
  EXPECT_EQ(outcome.out, "configmap/first patched\n");
  outcome = kubectl({"label", "configmap", "first", "tier=front"});
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(kubectl({"get", "cm", "-l", "tier=front", "-o", "name"}).out, HasSubstr("configmap/first"));
  EXPECT_THAT(kubectl({"get", "cm", "-l", "tier=back", "-o", "name"}).out, Not(HasSubstr("first")));
  outcome = kubectl({"delete", "configmap", "first"});
  EXPECT_THAT(outcome.out, HasSubstr("configmap \"first\" deleted"));
  outcome = kubectl({"get", "configmap", "first"});
  EXPECT_EQ(outcome.out, "Error from server (NotFound): configmaps \"first\" not found\n");
  EXPECT_EQ(outcome.code, 1);
}

TEST_P(KubectlTest, AppliesAndWaits) {
  const char* manifest = R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
)";
  Outcome outcome = kubectl({"apply", "-f", "-"}, manifest);
  EXPECT_EQ(outcome.out, "deployment.apps/web created\nservice/web created\n");
  outcome = kubectl({"apply", "-f", "-"}, manifest);
  EXPECT_EQ(outcome.out, "deployment.apps/web unchanged\nservice/web unchanged\n");
  outcome = kubectl({"scale", "deployment", "web", "--replicas", "3"});
  EXPECT_EQ(outcome.out, "deployment.apps/web scaled\n");
  EXPECT_THAT(kubectl({"get", "deployment", "web"}).out, HasSubstr("0/3"));
  EXPECT_THAT(kubectl({"get", "all"}).out, HasSubstr("service/kubernetes"));
}

TEST_P(KubectlTest, WatchSeesWhatChanges) {
  std::thread later([this] {
    // The watch below ends by its own timeout: whatever is made meanwhile must be in it.
    kubectl({"create", "configmap", "seen", "--from-literal", "a=1"});
    kubectl({"delete", "configmap", "seen"});
  });
  Outcome outcome = kubectl({"get", "--raw", "/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=6"});
  later.join();
  EXPECT_THAT(outcome.out, HasSubstr(R"("type":"ADDED")"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("type":"DELETED")"));
}

TEST_P(KubectlTest, TellsWhatIsWrong) {
  EXPECT_THAT(kubectl({"get", "nonsense"}).out, HasSubstr("the server doesn't have a resource type \"nonsense\""));
  Outcome outcome = kubectl({"create", "namespace", "Not_A_Name"});
  EXPECT_THAT(outcome.out, HasSubstr("is invalid"));
  EXPECT_EQ(outcome.code, 1);
  outcome = kubectl({"auth", "can-i", "create", "pods", "--as", "nobody"});
  EXPECT_THAT(outcome.out, HasSubstr("no"));
  outcome = kubectl({"get", "pods", "--as", "nobody"});
  EXPECT_THAT(outcome.out,
              HasSubstr("pods is forbidden: User \"nobody\" cannot list resource \"pods\" in API group \"\" in "
                        "the namespace \"default\""));
}

TEST_P(KubectlTest, TokensOpenTheDoor) {
  EXPECT_EQ(kubectl({"create", "serviceaccount", "robot"}).code, 0);
  Outcome token = kubectl({"create", "token", "robot"});
  ASSERT_EQ(token.code, 0) << token.out;
  std::vector<std::string> as_robot = {GetParam(),
                                       "--server",
                                       "https://127.0.0.1:" + std::to_string(server_->port()),
                                       "--certificate-authority",
                                       folder_.path() + "/pki/ca.crt",
                                       "--token",
                                       token.out,
                                       "--kubeconfig",
                                       "/dev/null",
                                       "--cache-dir",
                                       folder_.path() + "/cache2"};
  std::vector<std::string> get_pods = as_robot;
  get_pods.insert(get_pods.end(), {"get", "pods"});
  EXPECT_THAT(run(get_pods).out, HasSubstr("User \"system:serviceaccount:default:robot\" cannot list resource"));
  Outcome bound = kubectl(
      {"create", "clusterrolebinding", "robot", "--clusterrole", "cluster-admin", "--serviceaccount", "default:robot"});
  EXPECT_EQ(bound.code, 0) << bound.out;
  EXPECT_THAT(run(get_pods).out, HasSubstr("No resources found"));
}

std::vector<std::string> parameters() {
  std::vector<std::string> found = kubectls();
  if (found.empty()) found.emplace_back();
  return found;
}

INSTANTIATE_TEST_SUITE_P(Versions, KubectlTest, ::testing::ValuesIn(parameters()),
                         [](const auto& info) { return "kubectl" + std::to_string(info.index); });

}  // namespace
}  // namespace orlop::apikube
