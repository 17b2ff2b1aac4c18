// The server in this process, over a kernel in memory, driven by a real kubectl over TLS.
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/policy_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/node.pb.h"
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
  // From a revision before the changes: it does not matter who of the two is quicker.
  const std::string list = kubectl({"get", "--raw", "/api/v1/namespaces/default/configmaps?limit=1"}).out;
  const std::string label = R"("resourceVersion":")";
  const size_t at = list.find(label) + label.size();
  const std::string revision = list.substr(at, list.find('"', at) - at);
  std::thread later([this] {
    // The watch below ends by its own timeout: whatever is made meanwhile must be in it.
    kubectl({"create", "configmap", "seen", "--from-literal", "a=1"});
    kubectl({"delete", "configmap", "seen"});
  });
  Outcome outcome =
      kubectl({"get", "--raw",
               "/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=6&resourceVersion=" + revision});
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

// Half a core and 1 GiB of a machine; 100 thousandths and 64 MiB for each pod that it is asked about.
class BusyNode final : public v1::Node {
 public:
  void Stats(google::protobuf::RpcController*, const v1::StatsRequest* request, v1::StatsResponse* response,
             google::protobuf::Closure* done) override {
    fill(*response->mutable_usage(), 500'000'000, 1 << 30);
    for (const auto& pod : request->pods()) {
      auto& stats = *response->add_pods();
      *stats.mutable_pod() = pod;
      for (const char* name : {"app", "side"}) {
        auto& container = *stats.add_containers();
        container.set_name(name);
        fill(*container.mutable_usage(), pod.name() == "busy" ? 75'000'000 : 25'000'000, 32 << 20);
      }
    }
    done->Run();
  }

 private:
  static void fill(v1::Usage& usage, uint64_t nano_cores, uint64_t memory) {
    usage.set_at_unix_ns(1'700'000'000'000'000'000);
    usage.set_window_ns(10'000'000'000);
    usage.set_cpu_nano_cores(nano_cores);
    usage.set_memory_working_set_bytes(memory);
  }
};

namespace core = k8s::io::api::core::v1;

core::Pod pod_on(const std::string& name, const std::string& node) {
  core::Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_("default");
  (*pod.mutable_metadata()->mutable_labels())["app"] = name;
  pod.mutable_spec()->set_nodename(node);
  pod.mutable_spec()->set_terminationgraceperiodseconds(30);
  for (const char* container : {"app", "side"}) {
    pod.mutable_spec()->add_containers()->set_name(container);
    auto& status = *pod.mutable_status()->add_containerstatuses();
    status.set_name(container);
    status.mutable_state()->mutable_running();
  }
  pod.mutable_status()->set_phase("Running");
  auto& ready = *pod.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("True");
  return pod;
}

class KubectlScalingTest : public KubectlTest {
 protected:
  void SetUp() override {
    KubectlTest::SetUp();
    if (IsSkipped()) return;
    kernel_.provide("node", busy_, "n1");
    for (const char* name : {"n1", "n2"}) {
      core::Node node;
      node.mutable_metadata()->set_name(name);
      (*node.mutable_status()->mutable_allocatable())["cpu"].set_string("2");
      (*node.mutable_status()->mutable_allocatable())["memory"].set_string("4Gi");
      ASSERT_TRUE(kernel_.create("nodes", node));
    }
    for (const char* name : {"busy", "idle"}) ASSERT_TRUE(put(pod_on(name, "n1")));
    ASSERT_TRUE(put(pod_on("far", "n2")));
  }
  Status put(const core::Pod& pod) {
    ORLOP_TRY(kernel_.create("pods", pod).status());
    return kernel_.update("pods", pod, "status").status();
  }

  BusyNode busy_;
};

TEST_P(KubectlScalingTest, TopTellsWhatIsUsed) {
  Outcome outcome = kubectl({"top", "node"});
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex("n1 +500m +25% +1024Mi +25%"));
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex("n2 +<unknown> +<unknown>"));
  outcome = kubectl({"top", "pod", "--sort-by", "cpu"});
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex("busy +150m +64Mi *\nidle +50m +64Mi"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("far")));
  outcome = kubectl({"top", "pod", "idle", "--containers", "--no-headers"});
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex("idle +app +25m +32Mi *\nidle +side +25m +32Mi"));
  EXPECT_THAT(kubectl({"top", "pod", "-A"}).out, ::testing::ContainsRegex("default +busy +150m"));
  EXPECT_THAT(kubectl({"top", "pod", "-l", "app=idle"}).out, Not(HasSubstr("busy")));
  EXPECT_THAT(kubectl({"top", "pod", "--field-selector", "metadata.name=busy"}).out, Not(HasSubstr("idle")));
  EXPECT_EQ(kubectl({"top", "pod", "far"}).out,
            "Error from server (NotFound): podmetrics.metrics.k8s.io \"default/far\" not found\n");
  EXPECT_EQ(kubectl({"top", "pod", "none"}).out, "Error from server (NotFound): pods \"none\" not found\n");
  EXPECT_EQ(kubectl({"top", "node", "n2"}).out,
            "Error from server (NotFound): nodemetrics.metrics.k8s.io \"n2\" not found\n");
  EXPECT_THAT(kubectl({"get", "pods.metrics.k8s.io"}).out, HasSubstr("busy"));
  EXPECT_THAT(kubectl({"get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/busy"}).out,
              HasSubstr(R"("usage":{"cpu":"75000000n","memory":"32Mi"})"));
  EXPECT_THAT(kubectl({"api-resources", "--api-group", "metrics.k8s.io"}).out, HasSubstr("PodMetrics"));
  EXPECT_THAT(kubectl({"get", "pods"}).out, HasSubstr("READY"));
  EXPECT_THAT(
      kubectl({"top", "pod", "--as", "somebody"}).out,
      HasSubstr("pods.metrics.k8s.io is forbidden: User \"somebody\" cannot list resource \"pods\" in API group "
                "\"metrics.k8s.io\" in the namespace \"default\""));
  EXPECT_EQ(kubectl({"create", "rolebinding", "seer", "--clusterrole", "view", "--user", "somebody"}).code, 0);
  EXPECT_THAT(kubectl({"top", "pod", "--as", "somebody"}).out, HasSubstr("busy"));
}

TEST_P(KubectlScalingTest, AutoscaleAndScaleOfEachKind) {
  const char* manifest = R"(apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: rs}
spec:
  selector: {matchLabels: {app: rs}}
  template: {metadata: {labels: {app: rs}}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: sts}
spec:
  serviceName: sts
  selector: {matchExpressions: [{key: app, operator: In, values: [b, a]}]}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  selector: {app: rc}
  template: {metadata: {labels: {app: rc}}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web, tier: front}}
  template: {metadata: {labels: {app: web, tier: front}}, spec: {containers: [{name: c, image: x}]}}
)";
  ASSERT_EQ(kubectl({"apply", "-f", "-"}, manifest).code, 0);
  EXPECT_EQ(kubectl({"scale", "rs/rs", "--replicas", "3"}).out, "replicaset.apps/rs scaled\n");
  EXPECT_EQ(kubectl({"scale", "sts/sts", "--replicas", "3"}).out, "statefulset.apps/sts scaled\n");
  EXPECT_EQ(kubectl({"scale", "rc/rc", "--replicas", "3"}).out, "replicationcontroller/rc scaled\n");
  EXPECT_THAT(kubectl({"scale", "deploy/web", "--replicas", "2", "--current-replicas", "5"}).out,
              HasSubstr("Expected replicas to be 5, was 1"));
  auto scale = [&](const std::string& path) { return kubectl({"get", "--raw", path + "/scale"}).out; };
  EXPECT_THAT(scale("/apis/apps/v1/namespaces/default/statefulsets/sts"), HasSubstr(R"x("selector":"app in (a,b)")x"));
  EXPECT_THAT(scale("/api/v1/namespaces/default/replicationcontrollers/rc"), HasSubstr(R"("selector":"app=rc")"));
  EXPECT_THAT(scale("/apis/apps/v1/namespaces/default/deployments/web"),
              HasSubstr(R"("selector":"app=web,tier=front")"));
  Outcome outcome = kubectl(
      {"patch", "deploy", "web", "--subresource", "scale", "--type", "merge", "-p", R"({"spec":{"replicas":-1}})"});
  EXPECT_THAT(outcome.out, HasSubstr("spec.replicas: Invalid value: -1: must be greater than or equal to 0"));

  EXPECT_EQ(kubectl({"autoscale", "deployment", "web", "--min", "2", "--max", "5", "--cpu-percent", "70"}).out,
            "horizontalpodautoscaler.autoscaling/web autoscaled\n");
  EXPECT_THAT(kubectl({"get", "hpa", "web"}).out,
              ::testing::ContainsRegex("web +Deployment/web +cpu: <unknown>/70% +2 +5 +0"));
  EXPECT_THAT(kubectl({"get", "horizontalpodautoscalers.v1.autoscaling", "web", "-o",
                       "jsonpath={.spec.targetCPUUtilizationPercentage}"})
                  .out,
              HasSubstr("70"));
  EXPECT_THAT(kubectl({"autoscale", "rc", "rc", "--min", "9", "--max", "5"}).out, HasSubstr("--max=MAXPODS must be"));
}

TEST_P(KubectlScalingTest, EvictionsTakeFromTheBudget) {
  ASSERT_EQ(kubectl({"create", "pdb", "guard", "--selector", "app=busy", "--min-available", "1"}).code, 0);
  EXPECT_THAT(kubectl({"get", "pdb"}).out, ::testing::ContainsRegex("guard +1 +N/A +0"));
  const std::string body =
      R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"busy","namespace":"default"}})";
  auto evict = [&] {
    return kubectl({"create", "--raw", "/api/v1/namespaces/default/pods/busy/eviction", "-f", "-"}, body);
  };
  auto budget = [&] {
    return *kernel_.get<k8s::io::api::policy::v1::PodDisruptionBudget>("poddisruptionbudgets.policy", "default",
                                                                       "guard");
  };
  auto tell = [&](int32_t allowed) {
    auto told = budget();
    told.mutable_status()->set_observedgeneration(told.metadata().generation());
    told.mutable_status()->set_disruptionsallowed(allowed);
    told.mutable_status()->set_currenthealthy(1 + allowed);
    told.mutable_status()->set_desiredhealthy(1);
    return kernel_.update("poddisruptionbudgets.policy", told, "status").status();
  };
  ASSERT_TRUE(tell(0));
  EXPECT_THAT(evict().out, HasSubstr("Cannot evict pod as it would violate the pod's disruption budget."));
  EXPECT_TRUE(budget().status().disruptedpods().empty());
  ASSERT_TRUE(tell(1));
  Outcome outcome = evict();
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_EQ(budget().status().disruptionsallowed(), 0);
  EXPECT_TRUE(budget().status().disruptedpods().contains("busy"));
  const auto pod = *kernel_.get<core::Pod>("pods", "default", "busy");
  EXPECT_TRUE(pod.metadata().has_deletiontimestamp());
  EXPECT_EQ(pod.status().conditions(pod.status().conditions_size() - 1).reason(), "EvictionByEvictionAPI");
  EXPECT_EQ(evict().code, 0);  // it is on its way already
}

std::vector<std::string> parameters() {
  std::vector<std::string> found = kubectls();
  if (found.empty()) found.emplace_back();
  return found;
}

INSTANTIATE_TEST_SUITE_P(Versions, KubectlTest, ::testing::ValuesIn(parameters()),
                         [](const auto& info) { return "kubectl" + std::to_string(info.index); });
INSTANTIATE_TEST_SUITE_P(Versions, KubectlScalingTest, ::testing::ValuesIn(parameters()),
                         [](const auto& info) { return "kubectl" + std::to_string(info.index); });

}  // namespace
}  // namespace orlop::apikube
