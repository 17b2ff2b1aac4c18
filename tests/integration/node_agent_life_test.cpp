// A pod's life beyond start and end: probes, hooks, sidecars, deadlines, over a runtime in memory.
#include "tests/integration/pod_controller_fixture.hpp"

#include <chrono>
#include <string>

namespace orlop::agent {
namespace {

using namespace std::chrono_literals;
using PodLifeTest = PodControllerTest;

core::Probe exec_probe(const std::string& command, int period = 1, int failures = 1) {
  core::Probe probe;
  probe.mutable_handler()->mutable_exec()->add_command(command);
  probe.set_periodseconds(period);
  probe.set_timeoutseconds(1);
  probe.set_successthreshold(1);
  probe.set_failurethreshold(failures);
  return probe;
}

TEST_F(PodLifeTest, ReadinessFollowsItsProbeAtOnce) {
  kube::Pod probed = make_pod();
  *probed.mutable_spec()->mutable_containers(0)->mutable_readinessprobe() = exec_probe("ready");
  exec_codes_["ready"] = 1;
  add(probed);
  settle();
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_FALSE(kube::is_ready(pod()));
  EXPECT_EQ(event_message("Unhealthy"), "Readiness probe failed: words");
  exec_codes_["ready"] = 0;
  pass(1s);
  EXPECT_TRUE(kube::is_ready(pod()));
  const auto since = kube::find_condition(pod(), "Ready")->lasttransitiontime().seconds();
  pass(3s);
  EXPECT_EQ(kube::find_condition(pod(), "Ready")->lasttransitiontime().seconds(), since);
  exec_codes_["ready"] = 1;
  pass(1s);
  EXPECT_FALSE(kube::is_ready(pod()));
  EXPECT_EQ(kube::find_condition(pod(), "Ready")->reason(), "ContainersNotReady");
  EXPECT_EQ(restarts(), 0);
}

TEST_F(PodLifeTest, WhatIsNotAliveIsRestartedWithTheGraceOfItsProbe) {
  kube::Pod probed = make_pod();
  auto& probe = *probed.mutable_spec()->mutable_containers(0)->mutable_livenessprobe();
  probe = exec_probe("alive", 1, 2);
  probe.set_terminationgraceperiodseconds(7);
  add(probed);
  settle();
  pass(3s);
  EXPECT_EQ(restarts(), 0);
  exec_codes_["alive"] = 1;
  pass(3s);
  EXPECT_EQ(restarts(), 1);
  ASSERT_FALSE(stops_.empty());
  EXPECT_EQ(stops_.front().second, 7);
  EXPECT_EQ(event_message("Killing"), "Container c failed liveness probe, will be restarted");
  EXPECT_EQ(event_message("Unhealthy"), "Liveness probe failed: words");
}

TEST_F(PodLifeTest, StartupGatesLivenessAndReadiness) {
  kube::Pod probed = make_pod();
  auto& container = *probed.mutable_spec()->mutable_containers(0);
  *container.mutable_startupprobe() = exec_probe("up", 1, 30);
  *container.mutable_livenessprobe() = exec_probe("alive");
  *container.mutable_readinessprobe() = exec_probe("ready");
  exec_codes_ = {{"up", 1}, {"alive", 1}, {"ready", 0}};
  add(probed);
  settle();
  pass(5s);
  EXPECT_FALSE(pod().status().containerstatuses(0).started());
  EXPECT_EQ(std::count(commands_.begin(), commands_.end(), "alive"), 0);
  EXPECT_EQ(restarts(), 0);
  exec_codes_ = {{"up", 0}, {"alive", 0}, {"ready", 0}};
  pass(2s);
  EXPECT_TRUE(pod().status().containerstatuses(0).started());
  EXPECT_TRUE(kube::is_ready(pod()));
}

TEST_F(PodLifeTest, ARestartedAgentDoesNotFlap) {
  kube::Pod probed = make_pod();
  *probed.mutable_spec()->mutable_containers(0)->mutable_readinessprobe() = exec_probe("ready", 10);
  *probed.mutable_spec()->mutable_containers(0)->mutable_startupprobe() = exec_probe("up", 10);
  exec_codes_ = {{"ready", 0}, {"up", 0}};
  add(probed);
  settle();
  pass(1s);
  ASSERT_TRUE(kube::is_ready(pod()));
  const auto before = kernel_.host().revision();
  start_agent();
  settle();
  EXPECT_TRUE(kube::is_ready(pod()));
  EXPECT_EQ(kernel_.host().revision(), before) << "nothing had to be written";
  exec_codes_["ready"] = 1;
  pass(11s);
  EXPECT_FALSE(kube::is_ready(pod()));
}

TEST_F(PodLifeTest, APostStartHookHoldsTheContainerAndThoseBehind) {
  kube::Pod hooked = make_pod();
  hooked.mutable_spec()->mutable_containers(0)->mutable_lifecycle()->mutable_poststart()->mutable_exec()->add_command(
      "greet");
  add_container(hooked, "d");
  exec_codes_["greet"] = -1;
  add(hooked);
  settle();
  EXPECT_EQ(pod().status().phase(), "Pending");
  EXPECT_EQ(waiting_reason(), "ContainerCreating");
  EXPECT_FALSE(running("d"));
  ASSERT_EQ(held_.size(), 1u);
  held_[0](0);
  settle();
  EXPECT_EQ(pod().status().phase(), "Running");
  EXPECT_TRUE(running("d"));
  EXPECT_TRUE(kube::is_ready(pod()));
}

TEST_F(PodLifeTest, AFailedPostStartHookKillsTheContainer) {
  kube::Pod hooked = make_pod();
  hooked.mutable_spec()->mutable_containers(0)->mutable_lifecycle()->mutable_poststart()->mutable_exec()->add_command(
      "greet");
  exec_codes_["greet"] = 1;
  add(hooked);
  settle();
  EXPECT_EQ(event_message("FailedPostStartHook"), "PostStartHook failed");
  EXPECT_TRUE(event_reasons().contains("Killing"));
  EXPECT_GE(stops_.size(), 1u);
  EXPECT_FALSE(kube::is_ready(pod()));
}

TEST_F(PodLifeTest, APreStopHookTakesFromTheGrace) {
  admit_graces();
  kube::Pod hooked = make_pod();
  hooked.mutable_spec()->mutable_containers(0)->mutable_lifecycle()->mutable_prestop()->mutable_exec()->add_command(
      "bye");
  exec_codes_["bye"] = -1;
  add(hooked);
  settle();
  remove(30);
  settle();
  pass(10s);
  EXPECT_TRUE(stops_.empty());
  EXPECT_TRUE(running("c"));
  held_[0](1);
  settle();
  ASSERT_EQ(stops_.size(), 1u);
  EXPECT_EQ(stops_[0].second, 20);
  EXPECT_EQ(event_message("FailedPreStopHook"), "PreStopHook failed");
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "p").code(), Code::kNotFound);
}

TEST_F(PodLifeTest, APreStopHookThatHangsEndsWithTheGrace) {
  admit_graces();
  kube::Pod hooked = make_pod();
  hooked.mutable_spec()->mutable_containers(0)->mutable_lifecycle()->mutable_prestop()->mutable_sleep()->set_seconds(
      3600);
  add(hooked);
  settle();
  remove(5);
  pass(4s);
  EXPECT_TRUE(stops_.empty());
  pass(2s);
  ASSERT_EQ(stops_.size(), 1u);
  EXPECT_EQ(stops_[0].second, 2);  // as little as there ever is
}

TEST_F(PodLifeTest, ALaterShorterGraceShortensTheStop) {
  admit_graces();
  stubborn_ = true;
  add(make_pod());
  settle();
  remove(30);
  pass(2s);
  ASSERT_EQ(stops_.size(), 1u);
  EXPECT_EQ(stops_[0].second, 30);
  remove(5);
  settle();
  ASSERT_EQ(stops_.size(), 2u);
  EXPECT_EQ(stops_[1].second, 5);
  pass(6s);
  EXPECT_EQ(kernel_.get<kube::Pod>("pods", "default", "p").code(), Code::kNotFound);
}

TEST_F(PodLifeTest, SidecarsStartBeforeAndEndAfterInReverse) {
  admit_graces();
  kube::Pod with = make_pod();
  *add_sidecar(with, "s1").mutable_startupprobe() = exec_probe("up", 1, 30);
  add_sidecar(with, "s2");
  exec_codes_["up"] = 1;
  add(with);
  settle();
  pass(2s);
  EXPECT_TRUE(running("s1"));
  EXPECT_FALSE(running("s2"));
  EXPECT_FALSE(running("c"));
  EXPECT_EQ(pod().status().phase(), "Pending");
  exec_codes_["up"] = 0;
  pass(2s);
  EXPECT_TRUE(running("s2"));
  EXPECT_TRUE(running("c"));
  EXPECT_TRUE(kube::is_ready(pod()));
  stubborn_ = true;
  const auto runtime = client_.pod(pod().metadata().uid());
  remove(30);
  settle();
  ASSERT_EQ(stops_.size(), 1u);
  EXPECT_EQ(stops_[0].first, runtime->find("c")->id());
  stubborn_ = false;  // the signal is heard
  for (auto& stop : stubborn_stops_) stop.at_ns = 0;
  settle();
  ASSERT_EQ(stops_.size(), 3u);
  EXPECT_EQ(stops_[1].first, runtime->find("s2")->id());
  EXPECT_EQ(stops_[2].first, runtime->find("s1")->id());
}

TEST_F(PodLifeTest, SidecarsEndWithTheWork) {
  kube::Pod job = make_pod("Never");
  add_sidecar(job, "s");
  ends(job, "c", "2s", "0");
  add(job);
  settle();
  EXPECT_TRUE(running("s"));
  pass(3s);
  EXPECT_EQ(pod().status().phase(), "Succeeded");
  EXPECT_FALSE(running("s"));
}

TEST_F(PodLifeTest, ADeadlineEndsThePod) {
  kube::Pod limited = make_pod();
  limited.mutable_spec()->set_activedeadlineseconds(5);
  add(limited);
  settle();
  pass(3s);
  EXPECT_EQ(pod().status().phase(), "Running");
  pass(3s);
  EXPECT_EQ(pod().status().phase(), "Failed");
  EXPECT_EQ(pod().status().reason(), "DeadlineExceeded");
  EXPECT_EQ(pod().status().message(), "Pod was active on the node longer than the specified deadline");
  EXPECT_EQ(kube::find_condition(pod(), "DisruptionTarget"), nullptr);
  EXPECT_FALSE(running("c"));
}

TEST_F(PodLifeTest, AMissingConfigMapIsWaitedFor) {
  failures_["runtime.v1.RuntimeService/CreateContainer"] = Status(Code::kNotFound, "configmap \"settings\" not found");
  kube::Pod needy = make_pod();
  needy.mutable_spec()
      ->mutable_containers(0)
      ->add_envfrom()
      ->mutable_configmapref()
      ->mutable_localobjectreference()
      ->set_name("settings");
  add(needy);
  settle();
  EXPECT_EQ(waiting_reason(), "CreateContainerConfigError");
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  failures_.clear();
  core::ConfigMap other;
  other.mutable_metadata()->set_name("other");
  other.mutable_metadata()->set_namespace_("default");
  ASSERT_TRUE(kernel_.create("configmaps", other));
  settle();
  EXPECT_EQ(calls("/CreateContainer"), 1u);
  core::ConfigMap settings = other;
  settings.mutable_metadata()->set_name("settings");
  ASSERT_TRUE(kernel_.create("configmaps", settings));
  settle();
  EXPECT_EQ(pod().status().phase(), "Running");
}

TEST_F(PodLifeTest, WhatIsKilledFromOutsideIsRestartedInPlace) {
  add(make_pod());
  settle();
  const auto runtime = client_.pod(pod().metadata().uid());
  cri::StopContainerRequest kill;
  kill.set_container_id(runtime->find("c")->id());
  ASSERT_TRUE(client_.invoke<cri::StopContainerResponse>("RuntimeService/StopContainer", kill));
  settle();
  EXPECT_EQ(restarts(), 1);
  EXPECT_EQ(pod().status().containerstatuses(0).laststate().terminated().exitcode(), 137);
  EXPECT_EQ(calls("/RunPodSandbox"), 1u);
}

TEST_F(PodLifeTest, OldSandboxesGoOnceNothingOfTheirsIsKept) {
  add(make_pod());
  settle();
  for (int round = 0; round < 4; ++round) {
    const auto runtime = client_.pod(pod().metadata().uid());
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(runtime->sandboxes.front().id());
    ASSERT_TRUE(client_.invoke<cri::StopPodSandboxResponse>("RuntimeService/StopPodSandbox", stop));
    settle();
    pass(1s);
  }
  EXPECT_EQ(client_.pod(pod().metadata().uid())->sandboxes.front().metadata().attempt(), 4u);
  EXPECT_EQ(runtime_->sandbox_count(), 2u);
  EXPECT_EQ(pod().status().phase(), "Running");
}

TEST_F(PodLifeTest, ADeletedPodSaysHowItEnded) {
  admit_graces();
  kube::Pod kept = make_pod();
  kept.mutable_metadata()->add_finalizers("example.com/keep");
  add(kept);
  settle();
  remove(30);
  settle();
  EXPECT_EQ(pod().status().phase(), "Succeeded");
  EXPECT_FALSE(kube::is_ready(pod()));
}

}  // namespace
}  // namespace orlop::agent
