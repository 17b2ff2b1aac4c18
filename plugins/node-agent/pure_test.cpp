// The parts of the agent that need neither a runtime nor a clock: status, translation, files, variables.
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/environment.hpp"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/pod_status.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr int64_t kSecondNs = 1'000'000'000;

kube::Pod make_pod(const std::string& policy, int containers = 1, int init_containers = 0) {
  kube::Pod pod;
  pod.mutable_metadata()->set_name("p");
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_metadata()->set_uid("u");
  pod.mutable_spec()->set_restartpolicy(policy);
  for (int i = 0; i < init_containers; ++i) pod.mutable_spec()->add_initcontainers()->set_name("i" + std::to_string(i));
  for (int i = 0; i < containers; ++i) pod.mutable_spec()->add_containers()->set_name("c" + std::to_string(i));
  return pod;
}
RuntimePod ready_sandbox() {
  RuntimePod out;
  cri::PodSandbox sandbox;
  sandbox.set_id("s");
  sandbox.set_state(cri::SANDBOX_READY);
  out.sandboxes.push_back(sandbox);
  out.newest_sandbox.mutable_network()->set_ip("10.0.0.9");
  return out;
}
void put(RuntimePod& pod, const std::string& name, cri::ContainerState state, int exit_code = 0, uint32_t attempt = 0) {
  cri::ContainerStatus out;
  out.set_id(name + "-" + std::to_string(attempt));
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_attempt(attempt);
  out.set_state(state);
  out.set_exit_code(exit_code);
  out.set_started_at(5 * kSecondNs);
  if (state == cri::CONTAINER_EXITED) out.set_finished_at(7 * kSecondNs);
  pod.containers.insert(pod.containers.begin(), out);
}
PodStatus status_of(const kube::Pod& pod, const RuntimePod& runtime, std::map<std::string, WaitingReason> waiting = {},
                    std::map<std::string, RunningView> running = {}) {
  StatusInputs inputs;
  inputs.pod = &pod;
  inputs.runtime = &runtime;
  inputs.waiting = std::move(waiting);
  inputs.running = std::move(running);
  inputs.host_ip = "192.0.2.1";
  inputs.now_s = 100;
  return make_status(inputs);
}
std::string condition(const PodStatus& status, const std::string& type) {
  for (const auto& candidate : status.conditions()) {
    if (candidate.type() == type) return candidate.status() + " " + candidate.reason();
  }
  return "";
}

TEST(PodStatus, PhasesByWhatTheContainersDid) {
  struct Case {
    std::string policy;
    std::vector<int> exits;  // -1: runs; -2: not there yet
    std::string phase;
  };
  const std::vector<Case> cases{
      {"Always", {-2}, "Pending"},      {"Always", {-1}, "Running"},       {"Always", {-1, -2}, "Pending"},
      {"Always", {0}, "Running"},       {"Always", {1, -1}, "Running"},    {"Never", {0, 0}, "Succeeded"},
      {"Never", {0, 1}, "Failed"},      {"Never", {1, -1}, "Running"},     {"OnFailure", {0, 0}, "Succeeded"},
      {"OnFailure", {0, 1}, "Running"}, {"OnFailure", {0, -1}, "Running"}, {"Never", {137}, "Failed"}};
  for (const Case& c : cases) {
    const kube::Pod pod = make_pod(c.policy, static_cast<int>(c.exits.size()));
    RuntimePod runtime = ready_sandbox();
    for (size_t i = 0; i < c.exits.size(); ++i) {
      const std::string name = "c" + std::to_string(i);
      if (c.exits[i] == -1) put(runtime, name, cri::CONTAINER_RUNNING);
      if (c.exits[i] >= 0) put(runtime, name, cri::CONTAINER_EXITED, c.exits[i]);
    }
    EXPECT_EQ(status_of(pod, runtime).phase(), c.phase) << c.policy << " " << c.exits.size() << " " << c.exits[0];
  }
}

TEST(PodStatus, ARunningPodIsReadyAndHasAnAddress) {
  RuntimePod runtime = ready_sandbox();
  put(runtime, "c0", cri::CONTAINER_RUNNING);
  const PodStatus status = status_of(make_pod("Always"), runtime);
  EXPECT_EQ(condition(status, "Ready"), "True ");
  EXPECT_EQ(condition(status, "ContainersReady"), "True ");
  EXPECT_EQ(condition(status, "Initialized"), "True ");
  EXPECT_EQ(condition(status, "PodScheduled"), "True ");
  EXPECT_EQ(status.podip(), "10.0.0.9");
  EXPECT_EQ(status.hostip(), "192.0.2.1");
  EXPECT_EQ(status.starttime().seconds(), 100);
  EXPECT_EQ(status.qosclass(), "BestEffort");
  EXPECT_EQ(status.containerstatuses(0).containerid(), "containerd://c0-0");
  EXPECT_TRUE(status.containerstatuses(0).started());
}

TEST(PodStatus, ACrashedContainerShowsItsLastState) {
  RuntimePod runtime = ready_sandbox();
  put(runtime, "c0", cri::CONTAINER_EXITED, 3, 2);
  const PodStatus status = status_of(make_pod("Always"), runtime, {{"c0", {"CrashLoopBackOff", "back-off 20s"}}});
  const auto& container = status.containerstatuses(0);
  EXPECT_EQ(container.state().waiting().reason(), "CrashLoopBackOff");
  EXPECT_EQ(container.laststate().terminated().exitcode(), 3);
  EXPECT_EQ(container.laststate().terminated().reason(), "Error");
  EXPECT_EQ(container.restartcount(), 2);
  EXPECT_EQ(status.phase(), "Running");
  EXPECT_EQ(condition(status, "Ready"), "False ContainersNotReady");
}

TEST(PodStatus, InitContainersComeFirst) {
  const kube::Pod pod = make_pod("Always", 1, 2);
  RuntimePod runtime = ready_sandbox();
  put(runtime, "i0", cri::CONTAINER_EXITED);
  put(runtime, "i1", cri::CONTAINER_RUNNING);
  PodStatus status = status_of(pod, runtime);
  EXPECT_EQ(status.phase(), "Pending");
  EXPECT_EQ(condition(status, "Initialized"), "False ContainersNotInitialized");
  EXPECT_EQ(status.containerstatuses(0).state().waiting().reason(), "PodInitializing");
  EXPECT_EQ(status.initcontainerstatuses(0).state().terminated().reason(), "Completed");
  EXPECT_TRUE(status.initcontainerstatuses(0).ready());
  const kube::Pod never = make_pod("Never", 1, 1);
  RuntimePod failed = ready_sandbox();
  put(failed, "i0", cri::CONTAINER_EXITED, 1);
  status = status_of(never, failed);
  EXPECT_EQ(status.phase(), "Failed");
}

std::string message(const PodStatus& status, const std::string& type) {
  for (const auto& candidate : status.conditions()) {
    if (candidate.type() == type) return candidate.message();
  }
  return "";
}

TEST(PodStatus, ProbesAndHooksAreSeen) {
  const kube::Pod pod = make_pod("Always", 2);
  RuntimePod runtime = ready_sandbox();
  put(runtime, "c0", cri::CONTAINER_RUNNING);
  put(runtime, "c1", cri::CONTAINER_RUNNING);
  PodStatus status = status_of(pod, runtime, {}, {{"c0", {false, true, false}}});
  EXPECT_EQ(status.phase(), "Running");
  EXPECT_TRUE(status.containerstatuses(0).started());
  EXPECT_FALSE(status.containerstatuses(0).ready());
  EXPECT_EQ(message(status, "Ready"), "containers with unready status: [c0]");
  status = status_of(pod, runtime, {}, {{"c1", {true, true, true}}});
  EXPECT_EQ(status.phase(), "Pending");
  EXPECT_EQ(status.containerstatuses(1).state().waiting().reason(), "ContainerCreating");
  EXPECT_EQ(status.containerstatuses(1).containerid(), "");
}

TEST(PodStatus, ReadinessGatesCount) {
  kube::Pod pod = make_pod("Always");
  pod.mutable_spec()->add_readinessgates()->set_conditiontype("example.com/ok");
  RuntimePod runtime = ready_sandbox();
  put(runtime, "c0", cri::CONTAINER_RUNNING);
  PodStatus status = status_of(pod, runtime);
  EXPECT_EQ(condition(status, "ContainersReady"), "True ");
  EXPECT_EQ(condition(status, "Ready"), "False ReadinessGatesNotReady");
  EXPECT_EQ(message(status, "Ready"),
            "corresponding condition of pod readiness gate \"example.com/ok\" does not exist.");
  auto& gate = *pod.mutable_status()->add_conditions();
  gate.set_type("example.com/ok");
  gate.set_status("True");
  EXPECT_EQ(condition(status_of(pod, runtime), "Ready"), "True ");
}

TEST(PodStatus, SidecarsCountForReadinessAndNotForTheEnd) {
  kube::Pod pod = make_pod("Never", 1, 1);
  pod.mutable_spec()->mutable_initcontainers(0)->set_restartpolicy("Always");
  RuntimePod runtime = ready_sandbox();
  put(runtime, "i0", cri::CONTAINER_RUNNING);
  PodStatus status = status_of(pod, runtime, {}, {{"i0", {false, false, false}}});
  EXPECT_EQ(status.phase(), "Pending");
  EXPECT_EQ(condition(status, "Initialized"), "False ContainersNotInitialized");
  put(runtime, "c0", cri::CONTAINER_RUNNING);
  status = status_of(pod, runtime, {}, {{"i0", {false, true, false}}});
  EXPECT_EQ(status.phase(), "Running");
  EXPECT_EQ(message(status, "ContainersReady"), "containers with unready status: [i0]");
  runtime = ready_sandbox();
  put(runtime, "i0", cri::CONTAINER_RUNNING);
  put(runtime, "c0", cri::CONTAINER_EXITED, 0);
  EXPECT_EQ(status_of(pod, runtime).phase(), "Running");
  runtime = ready_sandbox();
  put(runtime, "i0", cri::CONTAINER_EXITED, 143);
  put(runtime, "c0", cri::CONTAINER_EXITED, 0);
  EXPECT_EQ(status_of(pod, runtime).phase(), "Succeeded");
}

TEST(PodStatus, WhatEndedWellIsCompleted) {
  RuntimePod runtime = ready_sandbox();
  put(runtime, "c0", cri::CONTAINER_EXITED, 0);
  const PodStatus status = status_of(make_pod("Never"), runtime);
  EXPECT_EQ(status.phase(), "Succeeded");
  EXPECT_EQ(condition(status, "Ready"), "False PodCompleted");
  EXPECT_EQ(condition(status, "Initialized"), "True PodCompleted");
}

TEST(PodStatus, QualityOfService) {
  const auto qos = [](const std::vector<std::pair<std::string, std::string>>& requests,
                      const std::vector<std::pair<std::string, std::string>>& limits) {
    kube::Pod pod = make_pod("Always");
    auto& resources = *pod.mutable_spec()->mutable_containers(0)->mutable_resources();
    for (const auto& [name, amount] : requests) (*resources.mutable_requests())[name].set_string(amount);
    for (const auto& [name, amount] : limits) (*resources.mutable_limits())[name].set_string(amount);
    return status_of(pod, ready_sandbox()).qosclass();
  };
  EXPECT_EQ(qos({}, {}), "BestEffort");
  EXPECT_EQ(qos({{"cpu", "1"}}, {}), "Burstable");
  EXPECT_EQ(qos({}, {{"cpu", "1"}, {"memory", "1Gi"}}), "Guaranteed");
  EXPECT_EQ(qos({{"cpu", "500m"}}, {{"cpu", "1"}, {"memory", "1Gi"}}), "Burstable");
}

TEST(Restarts, ByPolicy) {
  cri::ContainerStatus well, badly;
  badly.set_exit_code(1);
  const Container plain;
  Container sidecar;
  sidecar.set_restartpolicy("Always");
  EXPECT_TRUE(should_restart(make_pod("Always"), plain, false, well));
  EXPECT_FALSE(should_restart(make_pod("OnFailure"), plain, false, well));
  EXPECT_TRUE(should_restart(make_pod("OnFailure"), plain, false, badly));
  EXPECT_FALSE(should_restart(make_pod("Never"), plain, false, badly));
  EXPECT_FALSE(should_restart(make_pod("Always"), plain, true, well));
  EXPECT_TRUE(should_restart(make_pod("Always"), plain, true, badly));
  EXPECT_FALSE(should_restart(make_pod("Never"), plain, true, badly));
  EXPECT_TRUE(should_restart(make_pod("Never"), sidecar, true, well));
}

TEST(Expand, AsKubernetesDoes) {
  const Environment environment{{"A", "1"}, {"B", "two"}, {"A", "later"}};
  EXPECT_EQ(expand("$(B)-$(A)", environment), "two-later");
  EXPECT_EQ(expand("$$(A)", environment), "$(A)");
  EXPECT_EQ(expand("$(NONE) $A $(", environment), "$(NONE) $A $(");
  EXPECT_EQ(expand("100$", environment), "100$");
}

TEST(ContainerConfig, CarriesTheContainer) {
  kube::Pod pod = make_pod("Always");
  pod.mutable_status()->set_qosclass("Burstable");
  pod.mutable_spec()->mutable_securitycontext()->set_runasuser(7);
  pod.mutable_spec()->mutable_securitycontext()->set_fsgroup(8);
  Container& container = *pod.mutable_spec()->mutable_containers(0);
  container.add_command("sh");
  container.add_args("$(WHO)");
  auto& resources = *container.mutable_resources();
  (*resources.mutable_requests())["cpu"].set_string("250m");
  (*resources.mutable_requests())["memory"].set_string("1Gi");
  (*resources.mutable_limits())["cpu"].set_string("500m");
  (*resources.mutable_limits())["memory"].set_string("2Gi");
  const auto config =
      container_config({}, pod, container, 3, "sha256:1", {{"WHO", "me"}}, {{"/a", "/b", true, "", false}}, 4ll << 30);
  EXPECT_EQ(config.metadata().attempt(), 3u);
  EXPECT_THAT(config.args(), ElementsAre("me"));
  EXPECT_EQ(config.log_path(), "c0/3.log");
  EXPECT_EQ(config.labels().at(kContainerNameLabel), "c0");
  EXPECT_TRUE(config.mounts(0).readonly());
  const auto& linux_resources = config.linux().resources();
  EXPECT_EQ(linux_resources.cpu_shares(), 256);
  EXPECT_EQ(linux_resources.cpu_quota(), 50'000);
  EXPECT_EQ(linux_resources.cpu_period(), 100'000);
  EXPECT_EQ(linux_resources.memory_limit_in_bytes(), 2ll << 30);
  EXPECT_EQ(linux_resources.oom_score_adj(), 750);
  const auto& security = config.linux().security_context();
  EXPECT_EQ(security.run_as_user().value(), 7);
  EXPECT_THAT(security.supplemental_groups(), ElementsAre(8));
  EXPECT_TRUE(security.no_new_privs());
  EXPECT_EQ(security.seccomp().profile_type(), cri::SecurityProfile::RuntimeDefault);
  EXPECT_GT(security.masked_paths_size(), 0);

  container.mutable_securitycontext()->set_privileged(true);
  container.mutable_securitycontext()->set_runasuser(0);
  const auto trusted = container_config({}, pod, container, 0, "i", {}, {}, 0).linux().security_context();
  EXPECT_TRUE(trusted.privileged());
  EXPECT_FALSE(trusted.no_new_privs());
  EXPECT_EQ(trusted.run_as_user().value(), 0);
  EXPECT_EQ(trusted.seccomp().profile_type(), cri::SecurityProfile::Unconfined);
  EXPECT_EQ(trusted.masked_paths_size(), 0);
}

TEST(DefinitionHash, ChangesWithTheDefinition) {
  Container a, b;
  a.set_image("x");
  b.set_image("x");
  EXPECT_EQ(definition_hash(a), definition_hash(b));
  b.set_image("y");
  EXPECT_NE(definition_hash(a), definition_hash(b));
}

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    char name[] = "/tmp/orlop-agent-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~FolderTest() override { fs::remove_all(folder_); }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder_;
};

class FilesTest : public FolderTest {};

TEST_F(FilesTest, AreReplacedWhole) {
  const std::string path = folder_ + "/f";
  ASSERT_TRUE(write_file(path, "one", 0644));
  std::ifstream reader(path);
  ASSERT_TRUE(write_file(path, "two", 0600));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "one");  // who had it open keeps what it read
  EXPECT_EQ(read(path), "two");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_FALSE(fs::exists(path + ".new"));
  EXPECT_FALSE(write_file(folder_ + "/absent/f", "x", 0644));
}

TEST_F(FilesTest, RemovingFollowsNoLink) {
  fs::create_directories(folder_ + "/tree/a");
  fs::create_directories(folder_ + "/kept");
  std::ofstream(folder_ + "/kept/f") << "x";
  fs::create_directory_symlink(folder_ + "/kept", folder_ + "/tree/a/link");
  ASSERT_TRUE(remove_tree(folder_ + "/tree"));
  EXPECT_FALSE(fs::exists(folder_ + "/tree"));
  EXPECT_TRUE(fs::exists(folder_ + "/kept/f"));
  EXPECT_TRUE(remove_tree(folder_ + "/tree"));
}

class EnvironmentTest : public ::testing::Test {
 protected:
  EnvironmentTest() {
    pod_ = make_pod("Always");
    pod_.mutable_spec()->set_nodename("n1");
    pod_.mutable_spec()->set_enableservicelinks(false);
    (*pod_.mutable_metadata()->mutable_labels())["app"] = "web";
    k8s::io::api::core::v1::ConfigMap map;
    map.mutable_metadata()->set_name("settings");
    map.mutable_metadata()->set_namespace_("default");
    (*map.mutable_data())["color"] = "blue";
    EXPECT_TRUE(kernel_.create("configmaps", map));
  }
  Container& container() { return *pod_.mutable_spec()->mutable_containers(0); }
  Result<Environment> make() {
    return make_environment(kernel_.host(), {&pod_, &container(), "10.0.0.9", "192.0.2.1", 4000, 8ll << 30});
  }
  static std::string value(const Environment& environment, const std::string& name) {
    const auto found =
        std::find_if(environment.rbegin(), environment.rend(), [&](const auto& entry) { return entry.first == name; });
    return found == environment.rend() ? "(absent)" : found->second;
  }
  testing::FakeKernel kernel_;
  kube::Pod pod_;
};

TEST_F(EnvironmentTest, FromEverywhere) {
  auto add = [&](const std::string& name) -> auto& {
    auto& out = *container().add_env();
    out.set_name(name);
    return out;
  };
  add("PLAIN").set_value("x");
  add("REFERS").set_value("$(PLAIN)y");
  add("NODE").mutable_valuefrom()->mutable_fieldref()->set_fieldpath("spec.nodeName");
  add("IP").mutable_valuefrom()->mutable_fieldref()->set_fieldpath("status.podIP");
  add("APP").mutable_valuefrom()->mutable_fieldref()->set_fieldpath("metadata.labels['app']");
  auto& from_map = *add("COLOR").mutable_valuefrom()->mutable_configmapkeyref();
  from_map.mutable_localobjectreference()->set_name("settings");
  from_map.set_key("color");
  auto& everything = *container().add_envfrom();
  everything.set_prefix("S_");
  everything.mutable_configmapref()->mutable_localobjectreference()->set_name("settings");
  const auto made = make();
  ASSERT_TRUE(made) << made.message();
  EXPECT_EQ(value(*made, "REFERS"), "xy");
  EXPECT_EQ(value(*made, "NODE"), "n1");
  EXPECT_EQ(value(*made, "IP"), "10.0.0.9");
  EXPECT_EQ(value(*made, "APP"), "web");
  EXPECT_EQ(value(*made, "COLOR"), "blue");
  EXPECT_EQ(value(*made, "S_color"), "blue");
}

TEST_F(EnvironmentTest, WhatIsAbsentStopsTheContainerUnlessItIsOptional) {
  auto& entry = *container().add_env();
  entry.set_name("X");
  auto& reference = *entry.mutable_valuefrom()->mutable_configmapkeyref();
  reference.mutable_localobjectreference()->set_name("settings");
  reference.set_key("size");
  EXPECT_EQ(make().message(), "couldn't find key size in ConfigMap default/settings");
  reference.mutable_localobjectreference()->set_name("absent");
  EXPECT_EQ(make().code(), Code::kNotFound);
  EXPECT_EQ(make().message(), "configmap \"absent\" not found");
  reference.set_optional(true);
  ASSERT_TRUE(make());
  EXPECT_EQ(value(*make(), "X"), "(absent)");
}

}  // namespace
}  // namespace orlop::agent
