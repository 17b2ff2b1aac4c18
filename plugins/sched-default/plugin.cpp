// ABI glue alone.
#include "orlop/plugin.hpp"

#include "plugins/sched-default/scheduler.hpp"

#include <memory>

namespace orlop::sched {

class SchedulerPlugin final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    SchedulerSettings settings;
    settings.scheduler_name = config.text("scheduler_name", "default-scheduler");
    settings.nodes_to_score_min = static_cast<size_t>(config.integer("nodes_to_score_min", 100));
    settings.binds_per_commit = static_cast<size_t>(config.integer("binds_per_commit", 64));
    scheduler_ = std::make_unique<Scheduler>(host(), std::move(settings));
    return Status::ok();
  }
  Status start() override { return scheduler_->start(); }
  void stop() override { scheduler_->stop(); }
  void wake(uint32_t) override { scheduler_->wake(); }

 private:
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace orlop::sched

ORLOP_PLUGIN(orlop::sched::SchedulerPlugin)
