// ABI glue alone.
#include "orlop/plugin.hpp"

#include "orlop/controller.hpp"
#include "plugins/controllers-cluster/endpoints/endpoints.hpp"
#include "plugins/controllers-cluster/garbage/garbage.hpp"
#include "plugins/controllers-cluster/namespaces/namespaces.hpp"
#include "plugins/controllers-cluster/nodes/nodes.hpp"
#include "plugins/controllers-cluster/pod-garbage/pod_garbage.hpp"
#include "plugins/controllers-cluster/service-accounts/service_accounts.hpp"

#include <memory>

namespace orlop::cluster {

class ClusterControllers final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    NodeSettings nodes;
    nodes.pod_cidr = config.text("pod_cidr", "10.244.0.0/16");
    nodes.node_mask_bits = static_cast<int>(config.integer("node_mask_bits", 24));
    nodes.lost_after_s = config.integer("node_lost_seconds", 40);
    ORLOP_TRY(check(nodes));
    controllers_.add(std::make_unique<EndpointsController>(host()));
    controllers_.add(std::make_unique<ServiceAccountController>(host(), config.folder("config") + "/pki/ca.crt"));
    controllers_.add(std::make_unique<NodeController>(host(), nodes));
    controllers_.add(std::make_unique<NamespaceController>(host()));
    controllers_.add(std::make_unique<GarbageCollector>(host()));
    controllers_.add(std::make_unique<PodGarbageCollector>(host(), config.integer("terminated_pods_kept", 12'500)));
    return Status::ok();
  }
  Status start() override { return controllers_.start(); }
  void stop() override { controllers_.stop(); }
  void wake(uint32_t) override { controllers_.wake(); }

 private:
  ControllerSet controllers_{host()};
};

}  // namespace orlop::cluster

ORLOP_PLUGIN(orlop::cluster::ClusterControllers)
