// ABI glue alone.
#include "orlop/plugin.hpp"

#include "orlop/controller.hpp"
#include "plugins/controllers-workload/autoscaling/autoscaler.hpp"
#include "plugins/controllers-workload/config-restart/config_restart.hpp"
#include "plugins/controllers-workload/cronjob/cronjob.hpp"
#include "plugins/controllers-workload/daemonset/daemonset.hpp"
#include "plugins/controllers-workload/deployment/deployment.hpp"
#include "plugins/controllers-workload/disruption/disruption.hpp"
#include "plugins/controllers-workload/disruption/stale_targets.hpp"
#include "plugins/controllers-workload/job/job.hpp"
#include "plugins/controllers-workload/job/orphans.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"
#include "plugins/controllers-workload/replicationcontroller/replicationcontroller.hpp"
#include "plugins/controllers-workload/statefulset/statefulset.hpp"
#include "plugins/controllers-workload/ttl/ttl.hpp"

#include <memory>

namespace orlop::workload {

class WorkloadControllers final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    controllers_.add(
        std::make_unique<DeploymentController>(host(), static_cast<unsigned>(config.integer("deployment_workers", 4))));
    controllers_.add(
        std::make_unique<ReplicaSetController>(host(), static_cast<unsigned>(config.integer("replicaset_workers", 4))));
    controllers_.add(std::make_unique<ConfigRestartController<Deployment>>(host()));
    controllers_.add(std::make_unique<ConfigRestartController<StatefulSet>>(host()));
    controllers_.add(std::make_unique<ConfigRestartController<DaemonSet>>(host()));
    controllers_.add(std::make_unique<ReplicationControllerController>(
        host(), static_cast<unsigned>(config.integer("replicationcontroller_workers", 1))));
    controllers_.add(std::make_unique<StatefulSetController>(
        host(), static_cast<unsigned>(config.integer("statefulset_workers", 2))));
    AutoscalerOptions autoscaling;
    autoscaling.workers = static_cast<unsigned>(config.integer("autoscaler_workers", 2));
    autoscaling.period_seconds = config.integer("autoscaler_period_seconds", 15);
    controllers_.add(std::make_unique<AutoscalerController>(host(), autoscaling));
    controllers_.add(std::make_unique<DisruptionController>(host()));
    controllers_.add(std::make_unique<StaleTargets>(host()));
    controllers_.add(
        std::make_unique<DaemonSetController>(host(), static_cast<unsigned>(config.integer("daemonset_workers", 2))));
    controllers_.add(std::make_unique<JobController>(host(), static_cast<unsigned>(config.integer("job_workers", 4))));
    controllers_.add(std::make_unique<JobOrphanController>(host()));
    controllers_.add(
        std::make_unique<CronJobController>(host(), static_cast<unsigned>(config.integer("cronjob_workers", 1))));
    controllers_.add(std::make_unique<TtlAfterFinishedController>(host()));
    return Status::ok();
  }
  Status start() override { return controllers_.start(); }
  void stop() override { controllers_.stop(); }
  void wake(uint32_t) override { controllers_.wake(); }

 private:
  ControllerSet controllers_{host()};
};

}  // namespace orlop::workload

ORLOP_PLUGIN(orlop::workload::WorkloadControllers)
