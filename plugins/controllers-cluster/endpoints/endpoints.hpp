// Keeps Endpoints and EndpointSlices of every Service with a selector at what its pods are.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-cluster/endpoints/slices.hpp"

#include <map>
#include <string>
#include <vector>

namespace orlop::cluster {

class EndpointsController final : public Reconciler {
 public:
  explicit EndpointsController(Host host)
      : host_(host), services_(host), pods_(host), endpoints_(host), slices_(host) {}

  [[nodiscard]] std::string_view name() const override { return "endpoints-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"services", "pods", "endpoints", "endpointslices.discovery.k8s.io"};
  }
  [[nodiscard]] bool wants_previous() const override { return true; }
  [[nodiscard]] unsigned workers() const override { return 2; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override { selectors_.clear(); }
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using Selector = std::map<std::string, std::string>;

  Status write_endpoints(const Service& service, const std::vector<Stored<kube::Pod>>& pods);
  Status write_slices(const Service& service, const std::vector<Stored<kube::Pod>>& pods);
  Status remove_endpoints(const ObjectKey& key);

  Host host_;
  Objects<Service> services_;
  Objects<kube::Pod> pods_;
  Objects<Endpoints> endpoints_;
  Objects<EndpointSlice> slices_;
  std::map<std::string, std::map<std::string, Selector>>
      selectors_;  // namespace → Service → selector; watch thread only
};

}  // namespace orlop::cluster
