// A kernel in memory with the controllers of Jobs, and the words of their tests.
#pragma once

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-workload/job/job.hpp"
#include "plugins/controllers-workload/job/orphans.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {

class JobFixture : public ::testing::Test {
 protected:
  JobFixture() { add_controllers(); }

  void add_controllers() {
    controllers_ = std::make_unique<ControllerSet>(kernel_.host());
    controllers_->add(std::make_unique<JobController>(kernel_.host(), 1));
    controllers_->add(std::make_unique<JobOrphanController>(kernel_.host()));
  }

  // As the API would have filled it in.
  static Job job_like(int32_t completions, int32_t parallelism) {
    Job job;
    job.mutable_metadata()->set_name("work");
    job.mutable_metadata()->set_namespace_("default");
    auto& spec = *job.mutable_spec();
    if (completions > 0) spec.set_completions(completions);
    spec.set_parallelism(parallelism);
    spec.set_backofflimit(6);
    spec.set_completionmode("NonIndexed");
    spec.set_podreplacementpolicy("TerminatingOrFailed");
    (*spec.mutable_selector()->mutable_matchlabels())["job"] = "work";
    (*spec.mutable_template_()->mutable_metadata()->mutable_labels())["job"] = "work";
    spec.mutable_template_()->mutable_spec()->set_restartpolicy("Never");
    spec.mutable_template_()->mutable_spec()->add_containers()->set_name("c");
    return job;
  }
  static Job indexed_like(int32_t completions, int32_t parallelism) {
    Job job = job_like(completions, parallelism);
    job.mutable_spec()->set_completionmode("Indexed");
    return job;
  }
  Job make(const Job& job) {
    Job made = *kernel_.create("jobs.batch", job);
    settle();
    return made;
  }
  Job stored() { return *kernel_.get<Job>("jobs.batch", "default", "work"); }
  std::vector<kube::Pod> pods() { return kernel_.list<kube::Pod>("pods", "default"); }
  std::vector<kube::Pod> active() {
    auto out = pods();
    std::erase_if(out, [](const kube::Pod& pod) { return !kube::is_active(pod); });
    return out;
  }
  kube::Pod pod_of_index(int32_t index) {
    for (const kube::Pod& pod : active()) {
      if (completion_index(pod) == index) return pod;
    }
    ADD_FAILURE() << "no active pod of index " << index;
    return {};
  }
  void end(kube::Pod pod, const std::string& phase, int32_t exit_code = 0) {
    pod.mutable_status()->set_phase(phase);
    auto& container = *pod.mutable_status()->add_containerstatuses();
    container.set_name("c");
    auto& terminated = *container.mutable_state()->mutable_terminated();
    terminated.set_exitcode(exit_code);
    terminated.mutable_finishedat()->set_seconds(kernel_.wall_now_ns() / 1'000'000'000);
    ASSERT_TRUE(kernel_.update("pods", pod, "status"));
  }
  void end_one(const std::string& phase, int32_t exit_code = 0) {
    const auto running = active();
    ASSERT_FALSE(running.empty());
    end(running.front(), phase, exit_code);
    settle();
  }
  void set_suspended(bool suspended) {
    Job job = stored();
    job.mutable_spec()->set_suspend(suspended);
    ASSERT_TRUE(kernel_.update("jobs.batch", job));
    settle();
  }
  void settle() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_->run_until_idle() == 0 && i > 3) return;
      kernel_.advance(std::chrono::milliseconds(10));
    }
  }
  void pass(std::chrono::seconds by) {
    kernel_.advance(by);
    settle();
  }
  bool told(const std::string& reason, const std::string& message = {}) {
    const auto events = kernel_.list<k8s::io::api::core::v1::Event>("events", "default");
    return std::any_of(events.begin(), events.end(), [&](const auto& event) {
      return event.reason() == reason && event.message().find(message) != std::string::npos &&
             event.source().component() == "job-controller";
    });
  }
  std::string condition_reason(std::string_view type) {
    const Job job = stored();
    return has_condition(job, type) ? find_condition(job, type)->reason() : "absent";
  }

  testing::FakeKernel kernel_;
  std::unique_ptr<ControllerSet> controllers_;
};

}  // namespace orlop::workload
