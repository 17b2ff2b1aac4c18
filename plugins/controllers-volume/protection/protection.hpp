// What is in use stays: a claim until no pod that has a node names it, a volume until it is not bound any more
// (k8s.io/kubernetes/pkg/controller/volume/pvcprotection and pvprotection).
//
// A key with a namespace is a claim's, one without a volume's. Threads: see Reconciler.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "orlop/storage.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::volumes {

class ProtectionController final : public Reconciler {
 public:
  explicit ProtectionController(Host host) : host_(host), claims_(host), volumes_(host) {}

  [[nodiscard]] std::string_view name() const override { return "pvc-protection-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"persistentvolumes", "persistentvolumeclaims", "pods"};
  }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Result<Outcome> protect_claim(const ObjectKey& key);
  Result<Outcome> protect_volume(const std::string& name);
  Result<bool> has_pods(const ObjectKey& claim) const;
  Result<bool> has_claim(const storage::PersistentVolume& volume) const;

  Host host_;
  Objects<storage::Claim> claims_;
  Objects<storage::PersistentVolume> volumes_;
};

}  // namespace orlop::volumes
