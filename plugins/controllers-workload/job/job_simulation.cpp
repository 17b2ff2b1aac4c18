// Jobs in a storm: pods that end, fail and are deleted, users who suspend and resume, faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/job/job.hpp"
#include "plugins/controllers-workload/job/orphans.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

class World final : public testing::SimulatedWorld<Job> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, options(seed % 3 != 0)), deleted_(seed % 10 == 0) {
    controller<JobController>("job", 1U);
    controller<JobOrphanController>("orphans");
    begin(first());
    users();
    checks();
    sim_.show([this] { return state(); });
  }

 private:
  static testing::SimulatedWorldOptions options(bool accidents) {
    testing::SimulatedWorldOptions out{.name = "work", .steps = 200};
    out.cluster.pods_complete = 1;
    if (accidents) {
      out.cluster.pods_deleted = 0.3;
      out.cluster.pods_fail = 0.4;
      out.cluster.pods_unready = 0.2;
      out.cluster.nodes_lost = 0.1;
    }
    return out;
  }

  Job first() {
    Job job = with_template();
    auto& spec = *job.mutable_spec();
    const bool indexed = sim_.chance(0.5);
    spec.set_completionmode(indexed ? "Indexed" : "NonIndexed");
    if (indexed || sim_.chance(0.8)) spec.set_completions(static_cast<int32_t>(1 + sim_.below(7)));
    spec.set_parallelism(static_cast<int32_t>(1 + sim_.below(4)));
    spec.set_backofflimit(sim_.chance(0.3) ? static_cast<int32_t>(sim_.below(3)) : 1000);
    if (indexed && sim_.chance(0.5)) {
      spec.set_backofflimit(2147483647);
      spec.set_backofflimitperindex(static_cast<int32_t>(sim_.below(3)));
      if (sim_.chance(0.3)) spec.set_maxfailedindexes(static_cast<int32_t>(sim_.below(3)));
    }
    if (indexed && sim_.chance(0.2)) spec.mutable_successpolicy()->add_rules()->set_succeededcount(1);
    spec.set_podreplacementpolicy(sim_.chance(0.4) ? "Failed" : "TerminatingOrFailed");
    if (sim_.chance(0.2)) spec.set_activedeadlineseconds(static_cast<int64_t>(30 + sim_.below(300)));
    spec.set_suspend(sim_.chance(0.2));
    spec.mutable_template_()->mutable_spec()->set_restartpolicy("Never");
    return job;
  }

  std::string state() {
    const auto object = find();
    if (!object) return "no job";
    const auto& spec = object->spec();
    const auto& status = object->status();
    std::string out = spec.completionmode() + " " + std::to_string(spec.completions()) + " by " +
                      std::to_string(spec.parallelism()) + (spec.suspend() ? " suspended" : "") + ", active " +
                      std::to_string(status.active()) + " ending " + std::to_string(status.terminating()) +
                      " succeeded " + std::to_string(status.succeeded()) + " [" + status.completedindexes() +
                      "] failed " + std::to_string(status.failed()) + " [" + status.failedindexes() + "] truly " +
                      std::to_string(succeeded_.size());
    for (const kube::Pod& pod : cluster_.pods()) {
      out += " " + pod.metadata().name().substr(5) + ":" + pod.status().phase().substr(0, 1) +
             (kube::is_terminating(pod) ? "d" : "") + (has_tracking_finalizer(pod) ? "+" : "");
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what happens

  void set_suspended(bool suspended) {
    const auto object = find();
    if (!object || object->spec().suspend() == suspended) return;
    edit(suspended ? "suspend" : "resume", [&](Job& job) { job.mutable_spec()->set_suspend(suspended); });
  }
  // A kubelet that ends a pod under deletion says how it ended before it lets it go.
  void end_terminating(bool all) {
    for (kube::Pod& pod : cluster_.pods()) {
      if (!kube::is_terminating(pod) || kube::is_terminal(pod) || (!all && sim_.chance(0.5))) continue;
      cluster_.end(std::move(pod), sim_.chance(0.2) ? "Succeeded" : "Failed");
      if (!all) return;
    }
  }
  void users() {
    sim_.actor("suspend", 0.2, [this] { set_suspended(true); });
    sim_.actor("resume", 0.4, [this] { set_suspended(false); });
    sim_.actor("kubelet ends", 2, [this] { end_terminating(false); });
    if (deleted_) {
      sim_.actor("delete the job", 0.1, [this] {
        sim_.note("user: delete the job");
        (void)sim_.kernel().remove(kKind, "default", "work");
      });
    }
    sim_.world("kubelets end", [this] { end_terminating(true); });
    // The back-off of a job is longer than what counts as rest.
    sim_.world("patience", [this] {
      const auto object = find();
      if (!object || finished_condition(*object) != nullptr || !cluster_.active_pods().empty()) return;
      sim_.kernel().advance(std::chrono::seconds(60));
      k8s::io::api::core::v1::ConfigMap tick;
      tick.mutable_metadata()->set_name("tick-" + std::to_string(++ticks_));
      tick.mutable_metadata()->set_namespace_("default");
      (void)sim_.kernel().create("configmaps", tick);
    });
    sim_.before_calm([this] { set_suspended(false); });
  }

  // ------------------------------------------------------------------------------------------ what must hold

  void checks() {
    sim_.invariant("successes are seen", [this] { return note_successes(); });
    sim_.invariant("no more than parallelism", [this] { return check_active(); });
    sim_.invariant("nothing is counted twice", [this] { return check_counts(); });
    sim_.at_rest("finished", [this] { return check_at_rest(); });
  }

  // What a user sees succeed, and what the job therefore has to count: pods with the finalizer that are not taken for
  // failed already.
  std::string note_successes() {
    const auto object = find();
    if (!object) return "";
    const auto& failed = object->status().uncountedterminatedpods().failed();
    for (const kube::Pod& pod : cluster_.pods()) {
      created_.insert(pod.metadata().uid());
      if (pod.status().phase() != "Succeeded" || !has_tracking_finalizer(pod)) continue;
      if (is_indexed(*object)) {
        succeeded_.insert(std::to_string(completion_index(pod)));
      } else if (std::find(failed.begin(), failed.end(), pod.metadata().uid()) == failed.end()) {
        succeeded_.insert(pod.metadata().uid());
      }
    }
    return "";
  }
  std::string check_active() {
    const auto object = find();
    if (!object) return "";
    std::set<int32_t> indexes;
    int32_t active = 0;
    for (const kube::Pod& pod : cluster_.active_pods()) {
      ++active;
      if (is_indexed(*object) && !indexes.insert(completion_index(pod)).second) {
        return "two pods of index " + std::to_string(completion_index(pod));
      }
    }
    if (active > object->spec().parallelism()) return std::to_string(active) + " active pods";
    return "";
  }
  std::string check_counts() {
    const auto object = find();
    if (!object) return "";
    const auto& status = object->status();
    const auto counted = static_cast<size_t>(status.succeeded() + status.uncountedterminatedpods().succeeded_size());
    if (counted > succeeded_.size()) {
      return std::to_string(counted) + " counted where " + std::to_string(succeeded_.size()) + " succeeded";
    }
    if (status.succeeded() < before_succeeded_ || status.failed() < before_failed_) return "a number went down";
    before_succeeded_ = status.succeeded();
    before_failed_ = status.failed();
    if (static_cast<size_t>(status.succeeded() + status.failed()) > created_.size()) {
      return "more counted than " + std::to_string(created_.size()) + " pods";
    }
    if (object->spec().has_completions() && status.succeeded() > object->spec().completions()) {
      return std::to_string(status.succeeded()) + " completions";
    }
    if (has_condition(*object, kJobComplete) && has_condition(*object, kJobFailed)) return "complete and failed";
    return "";
  }
  std::string check_at_rest() {
    for (const kube::Pod& pod : cluster_.pods()) {
      if (has_tracking_finalizer(pod)) return pod.metadata().name() + " still has the finalizer";
      if (kube::is_active(pod)) return pod.metadata().name() + " still runs";
    }
    const auto object = find();
    if (!object) return "";
    const auto& status = object->status();
    if (finished_condition(*object) == nullptr) return "not finished: " + state();
    if (static_cast<size_t>(status.succeeded()) != succeeded_.size()) {
      return std::to_string(status.succeeded()) + " counted of " + std::to_string(succeeded_.size());
    }
    const auto& uncounted = status.uncountedterminatedpods();
    if (uncounted.succeeded_size() + uncounted.failed_size() + status.active() + status.terminating() > 0) {
      return "left over: " + state();
    }
    if (!has_condition(*object, kJobComplete)) return "";
    const auto& spec = object->spec();
    const int32_t wanted = spec.has_successpolicy() || !spec.has_completions() ? 1 : spec.completions();
    return status.succeeded() >= wanted ? "" : "complete with " + std::to_string(status.succeeded());
  }

  bool deleted_;
  std::set<std::string> succeeded_;  // uids of pods, or indexes
  std::set<std::string> created_;    // uids of pods
  int32_t before_succeeded_ = 0;
  int32_t before_failed_ = 0;
  int ticks_ = 0;
};

ORLOP_SIMULATION(JobSimulation, World, "jobs")

}  // namespace
}  // namespace orlop::workload
