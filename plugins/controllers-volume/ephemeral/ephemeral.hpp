// Generic ephemeral volumes: for each such volume of a pod a claim POD-VOLUME that belongs to the pod and goes with it
// (k8s.io/kubernetes/pkg/controller/volume/ephemeral). Threads: see Reconciler.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/objects.hpp"
#include "orlop/storage.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::volumes {

class EphemeralController final : public Reconciler {
 public:
  explicit EphemeralController(Host host) : events_(host, "ephemeral_volume"), pods_(host), claims_(host) {}

  [[nodiscard]] std::string_view name() const override { return "ephemeral-volume-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"pods", "persistentvolumeclaims"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  // The key is a pod's.
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Status ensure(const kube::Pod& pod, const storage::PodVolume& volume);

  EventRecorder events_;
  Objects<kube::Pod> pods_;
  Objects<storage::Claim> claims_;
};

}  // namespace orlop::volumes
