// A CronJob in a storm: time that jumps, jobs that end and are deleted, users who suspend it and change its policy,
// faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/cronjob/cronjob.hpp"
#include "plugins/controllers-workload/job/conditions.hpp"

#include <ctime>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::workload {
namespace {

constexpr char kJobs[] = "jobs.batch";
constexpr int64_t kMinute = 60;

class World final : public testing::SimulatedWorld<CronJob> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.name = "report", .steps = 200}) {
    controller<CronJobController>("cronjob", 1U);
    begin(first());
    users();
    sim_.invariant("no time twice, no more at once than allowed", [this] { return check_step(); });
    sim_.at_rest("the last time has run", [this] { return check_at_rest(); });
    sim_.show([this] { return state(); });
  }

 private:
  CronJob first() {
    CronJob out = named();
    auto& spec = *out.mutable_spec();
    spec.set_schedule(sim_.chance(0.7) ? "* * * * *" : "*/3 * * * *");
    spec.set_suspend(false);
    spec.set_successfuljobshistorylimit(static_cast<int32_t>(sim_.below(3)));
    spec.set_failedjobshistorylimit(static_cast<int32_t>(sim_.below(2)));
    if (sim_.chance(0.3)) spec.set_startingdeadlineseconds(static_cast<int64_t>(60 + sim_.below(200)));
    set_policy(spec);
    spec.mutable_jobtemplate()->mutable_spec()->mutable_template_()->mutable_spec()->add_containers()->set_name("c");
    return out;
  }
  void set_policy(k8s::io::api::batch::v1::CronJobSpec& spec) {
    static const std::vector<std::string> kPolicies{"Allow", "Forbid", "Forbid", "Replace"};
    spec.set_concurrencypolicy(sim_.pick(kPolicies));
  }
  static bool runs(const Job& job) {
    return finished_condition(job) == nullptr && !job.metadata().has_deletiontimestamp();
  }
  std::string state() {
    const CronJob cron = stored();
    std::string out = cron.spec().schedule() + " " + cron.spec().concurrencypolicy() + " last " +
                      std::to_string(cron.status().lastscheduletime().seconds() / kMinute) + " active";
    for (const auto& reference : cron.status().active()) out += " " + reference.name();
    out += " |";
    for (const Job& job : all<Job>()) out += " " + job.metadata().name() + (runs(job) ? "" : "!");
    return out;
  }

  // ------------------------------------------------------------------------------------------ what happens

  void finish(Job job, bool well) {
    auto& condition = *job.mutable_status()->add_conditions();
    condition.set_type(well ? "Complete" : "Failed");
    condition.set_status("True");
    if (well) job.mutable_status()->mutable_completiontime()->set_seconds(sim_.now_s());
    sim_.note("ends: " + job.metadata().name());
    (void)sim_.kernel().update(kJobs, job, "status");
  }
  void users() {
    sim_.actor("a job ends", 1.5, [this] {
      auto jobs = all<Job>();
      std::erase_if(jobs, [](const Job& job) { return !runs(job); });
      if (!jobs.empty()) finish(sim_.pick(jobs), sim_.chance(0.7));
    });
    sim_.actor("delete a job", 0.1, [this] {
      // Only one that its CronJob knows of: of another nothing would be left that says that its time has run.
      auto jobs = all<Job>();
      const int64_t last_s = stored().status().lastscheduletime().seconds();
      std::erase_if(jobs, [&](const Job& job) { return time_of(job) > last_s; });
      if (jobs.empty()) return;
      sim_.note("user: deletes a job");
      (void)sim_.kernel().remove(kJobs, "default", sim_.pick(jobs).metadata().name());
    });
    sim_.actor("suspend or resume", 0.2,
               [this] { edit_spec("suspend or resume", [](auto& spec) { spec.set_suspend(!spec.suspend()); }); });
    sim_.actor("policy", 0.2, [this] { edit_spec("policy", [this](auto& spec) { set_policy(spec); }); });
    sim_.world("jobs end", [this] {
      for (Job& job : all<Job>()) {
        if (runs(job)) finish(std::move(job), true);
      }
    });
    sim_.before_calm([this] {
      due_s_ = (sim_.now_s() / kMinute + 1) * kMinute;
      const time_t due = due_s_;
      tm at{};
      gmtime_r(&due, &at);
      const std::string schedule = std::to_string(at.tm_min) + " " + std::to_string(at.tm_hour) + " " +
                                   std::to_string(at.tm_mday) + " " + std::to_string(at.tm_mon + 1) + " *";
      edit_spec("once, " + schedule, [&](auto& spec) {
        spec.set_schedule(schedule);
        spec.set_suspend(false);
        spec.set_successfuljobshistorylimit(3);
        spec.clear_startingdeadlineseconds();
      });
    });
  }
  // The minute is what its name says.
  static int64_t time_of(const Job& job) {
    return std::stoll(job.metadata().name().substr(std::string("report-").size())) * kMinute;
  }

  // ------------------------------------------------------------------------------------------ what must hold

  void edited() override { edited_ = true; }
  std::string check_step() {
    const std::string policy = stored().spec().concurrencypolicy();
    const bool is_strict = policy != "Allow" && !edited_;
    edited_ = false;
    std::set<std::string> running;
    int ran_before = 0, started = 0;
    for (const Job& job : all<Job>()) {
      const std::string& uid = job.metadata().uid();
      const auto [time, is_first] = uid_of_time_.try_emplace(time_of(job), uid);
      if (!is_first && time->second != uid) return job.metadata().name() + " was made twice";
      if (!runs(job)) continue;
      running.insert(uid);
      (running_before_.contains(uid) ? ran_before : started) += 1;
    }
    running_before_ = std::move(running);
    if (is_strict && started > 0 && ran_before + started > 1) {
      return std::to_string(ran_before + started) + " run at once with policy " + policy;
    }
    const int64_t last_s = stored().status().lastscheduletime().seconds();
    if (last_s < last_before_s_) return "the last time went back";
    last_before_s_ = last_s;
    return "";
  }
  std::string check_at_rest() {
    const CronJob cron = stored();
    if (!uid_of_time_.contains(due_s_)) return "the last due time has not run";
    if (cron.status().lastscheduletime().seconds() != due_s_) return "the status does not tell of the last time";
    if (cron.status().active_size() != 0) return std::to_string(cron.status().active_size()) + " active at rest";
    int32_t complete = 0, failed = 0;
    for (const Job& job : all<Job>()) ++(has_condition(job, kJobComplete) ? complete : failed);
    if (complete > cron.spec().successfuljobshistorylimit() || failed > cron.spec().failedjobshistorylimit()) {
      return std::to_string(complete) + " complete and " + std::to_string(failed) + " failed jobs are kept";
    }
    return "";
  }

  bool edited_ = false;
  std::map<int64_t, std::string> uid_of_time_;
  std::set<std::string> running_before_;
  int64_t last_before_s_ = 0;
  int64_t due_s_ = 0;
};

ORLOP_SIMULATION(CronJobSimulation, World, "cronjobs")

}  // namespace
}  // namespace orlop::workload
