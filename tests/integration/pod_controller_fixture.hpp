// The pod controller over a runtime in memory, on the test's clock: what tests of a pod's life share.
#pragma once

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/pod_controller.hpp"
#include "plugins/runtime-hollow/hollow_runtime.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
using namespace std::chrono_literals;

class PodControllerTest : public ::testing::Test {
 protected:
  using Event = k8s::io::api::core::v1::Event;

  PodControllerTest() {
    config_.node_names = {"n1"};
    config_.hollow = true;
    machine_.ip = "192.0.2.1";
    hollow::Settings settings;
    settings.images = {"web"};
    runtime_ = *hollow::HollowRuntime::make(
        settings, {[this] { return kernel_.monotonic_now_ns(); }, [this] { return kernel_.wall_now_ns(); }}, 1);
    kernel_.provide("runtime",
                    [this](const v1::CallTarget& target, const std::string& payload, testing::FakeKernel::Reply reply) {
                      if (const auto failing = failures_.find(target.method()); failing != failures_.end()) {
                        reply(failing->second);
                        return;
                      }
                      if (target.method().ends_with("/ExecSync") && answer_exec(payload, reply)) return;
                      if (target.method().ends_with("/StopContainer") && hold_stop(payload, reply)) return;
                      runtime_->call(target.method(), payload, kernel_.monotonic_now_ns() + 3'600'000'000'000,
                                     [reply = std::move(reply)](const Status& status, std::string_view bytes) {
                                       if (status.is_ok()) {
                                         reply(std::string(bytes));
                                       } else {
                                         reply(status);
                                       }
                                     });
                    });
    start_agent();
  }
  // Whoever still waits for an answer is not to get it when the agent is gone.
  ~PodControllerTest() override {
    for (const auto& stop : std::exchange(stubborn_stops_, {}))
      stop.reply(Status(Code::kCancelled, "the test is over"));
  }
  void start_agent() {
    controllers_ = std::make_unique<ControllerSet>(kernel_.host());
    auto controller = std::make_unique<PodController>(kernel_.host(), config_, client_, machine_);
    agent_ = controller.get();
    controllers_->add(std::move(controller));
  }
  static kube::Pod make_pod(const std::string& policy = "Always") {
    kube::Pod pod;
    pod.mutable_metadata()->set_name("p");
    pod.mutable_metadata()->set_namespace_("default");
    pod.mutable_spec()->set_nodename("n1");
    pod.mutable_spec()->set_restartpolicy(policy);
    pod.mutable_spec()->set_terminationgraceperiodseconds(30);
    auto& container = *pod.mutable_spec()->add_containers();
    container.set_name("c");
    container.set_image("web");
    container.set_imagepullpolicy("IfNotPresent");
    return pod;
  }
  static void ends(kube::Pod& pod, const std::string& container, const std::string& after, const std::string& code) {
    auto& annotations = *pod.mutable_metadata()->mutable_annotations();
    annotations[container + ".hollow.orlop.dev/exit-after"] = after;
    annotations[container + ".hollow.orlop.dev/exit-code"] = code;
  }
  void add(const kube::Pod& pod) { ASSERT_TRUE(kernel_.create("pods", pod)); }
  // Whether a test says what commands of this container (named by its first word) end with.
  bool answer_exec(const std::string& payload, const testing::FakeKernel::Reply& reply) {
    cri::ExecSyncRequest request;
    request.ParseFromString(payload);
    std::string command;
    for (const std::string& word : request.cmd()) command += (command.empty() ? "" : " ") + word;
    commands_.push_back(command);
    const auto found = exec_codes_.find(command);
    if (found == exec_codes_.end()) return false;
    if (found->second < 0) {  // goes on until the test ends it
      held_.push_back([reply](int code) {
        cri::ExecSyncResponse response;
        response.set_exit_code(code);
        reply(response.SerializeAsString());
      });
      return true;
    }
    cri::ExecSyncResponse response;
    response.set_exit_code(found->second);
    response.set_stdout("words");
    reply(response.SerializeAsString());
    return true;
  }
  // Whether the test's containers take their whole grace to end.
  bool hold_stop(const std::string& payload, const testing::FakeKernel::Reply& reply) {
    cri::StopContainerRequest request;
    request.ParseFromString(payload);
    stops_.push_back({request.container_id(), request.timeout()});
    if (!stubborn_) return false;
    const int64_t at_ns = kernel_.monotonic_now_ns() + request.timeout() * 1'000'000'000;
    stubborn_stops_.push_back({at_ns, payload, reply});
    return true;
  }
  void end_stubborn_ones() {
    for (auto& stop : std::exchange(stubborn_stops_, {})) {
      if (stop.at_ns > kernel_.monotonic_now_ns()) {
        stubborn_stops_.push_back(stop);
        continue;
      }
      runtime_->call("runtime.v1.RuntimeService/StopContainer", stop.payload,
                     kernel_.monotonic_now_ns() + 3'600'000'000'000,
                     [reply = stop.reply](const Status& status, std::string_view bytes) {
                       if (status.is_ok()) {
                         reply(std::string(bytes));
                       } else {
                         reply(status);
                       }
                     });
    }
  }
  void tick() {
    end_stubborn_ones();
    runtime_->tick();
    agent_->tick();
  }
  // The runtime does what is due, the agent hears of it.
  void settle() {
    for (int i = 0; i < 12; ++i) {
      kernel_.advance(1ms);
      tick();
      agent_->runtime_changed("");
      controllers_->run_until_idle(500);
    }
  }
  void pass(std::chrono::milliseconds time) {
    for (auto left = time; left > 0ms; left -= 250ms) {
      kernel_.advance(250ms);
      tick();
      agent_->runtime_changed("");
      controllers_->run_until_idle(500);
    }
    settle();
  }
  kube::Pod pod() {
    auto stored = kernel_.get<kube::Pod>("pods", "default", "p");
    return stored ? *stored : kube::Pod();
  }
  std::string waiting_reason() { return pod().status().containerstatuses(0).state().waiting().reason(); }
  int restarts() { return pod().status().containerstatuses(0).restartcount(); }
  size_t calls(const std::string& method) {
    const auto all = kernel_.calls();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(),
                                             [&](const auto& call) { return call.target.method().ends_with(method); }));
  }
  std::set<std::string> event_reasons() {
    std::set<std::string> out;
    for (const Event& event : kernel_.list<Event>("events", "default")) out.insert(event.reason());
    return out;
  }

  std::string event_message(const std::string& reason) {
    for (const Event& event : kernel_.list<Event>("events", "default")) {
      if (event.reason() == reason) return event.message();
    }
    return "";
  }
  bool running(const std::string& container) {
    const auto found = client_.pod(pod().metadata().uid());
    const auto* newest = found ? found->find(container) : nullptr;
    return newest != nullptr && newest->state() == cri::CONTAINER_RUNNING;
  }
  static Container& add_container(kube::Pod& pod, const std::string& name) {
    auto& container = *pod.mutable_spec()->add_containers();
    container.set_name(name);
    container.set_image("web");
    container.set_imagepullpolicy("IfNotPresent");
    return container;
  }
  static Container& add_sidecar(kube::Pod& pod, const std::string& name) {
    auto& container = *pod.mutable_spec()->add_initcontainers();
    container.set_name(name);
    container.set_image("web");
    container.set_imagepullpolicy("IfNotPresent");
    container.set_restartpolicy("Always");
    return container;
  }
  // Deletes are graceful as api-kubernetes makes them.
  void admit_graces() {
    kernel_.on_admit([](const v1::Review& review) {
      v1::Verdict verdict;
      const auto& write = review.write();
      if (write.verb() == v1::DELETE && write.key().kind() == "pods") {
        verdict.set_grace_seconds(
            write.delete_options().has_grace_period_seconds() ? write.delete_options().grace_period_seconds() : 30);
      }
      return verdict;
    });
  }
  void remove(int64_t grace_s) {
    v1::DeleteOptions options;
    options.set_grace_period_seconds(grace_s);
    ASSERT_TRUE(kernel_.remove("pods", "default", "p", options));
  }

  struct Stubborn {
    int64_t at_ns;
    std::string payload;
    testing::FakeKernel::Reply reply;
  };
  testing::FakeKernel kernel_;
  std::map<std::string, int> exec_codes_;               // by command; negative: it goes on
  std::vector<std::string> commands_;                   // that were run
  std::vector<std::function<void(int)>> held_;          // ends a command that goes on
  std::vector<std::pair<std::string, int64_t>> stops_;  // container id and timeout
  std::vector<Stubborn> stubborn_stops_;
  bool stubborn_ = false;
  AgentConfig config_;
  Machine machine_;
  std::unique_ptr<hollow::HollowRuntime> runtime_;
  std::map<std::string, Status> failures_;  // by method
  RuntimeClient client_{kernel_.host(), ""};
  std::unique_ptr<ControllerSet> controllers_;
  PodController* agent_ = nullptr;
};

}  // namespace orlop::agent
