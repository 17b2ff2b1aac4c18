// In every namespace: the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`, by which a pod knows the API
// server.
#pragma once

#include "orlop/controller.hpp"

#include <string>
#include <vector>

namespace orlop::cluster {

class ServiceAccountController final : public Reconciler {
 public:
  // ca_file: the cluster's certificate authority, PEM.
  ServiceAccountController(Host host, std::string ca_file) : host_(host), ca_file_(std::move(ca_file)) {}

  [[nodiscard]] std::string_view name() const override { return "serviceaccount-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"namespaces", "serviceaccounts", "configmaps"};
  }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  // The key's name is a namespace's.
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Host host_;
  std::string ca_file_;
};

}  // namespace orlop::cluster
