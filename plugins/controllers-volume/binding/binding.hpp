// Claims and volumes into pairs, and volumes through their lives, as Kubernetes' persistentvolume-controller does it
// (k8s.io/kubernetes/pkg/controller/volume/persistentvolume).
//
// Both ends of a binding are written in one transaction, their phases in a second one. Each reconcile looks at what
// stands in the store and takes the next step from there, so it may be stopped between any two writes.
//
// A key with a namespace is a claim's, one without a volume's. Threads: see Reconciler.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/events.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/v1/storage.pb.h"
#include "plugins/controllers-volume/binding/pool.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::volumes {

using StorageClass = k8s::io::api::storage::v1::StorageClass;

// Holds a claim whose volume may have been made without there being a PersistentVolume yet.
inline constexpr char kProvisioning[] = "orlop.io/provisioning";
// Holds a PersistentVolume whose volume is to be deleted first.
inline constexpr char kDeletesVolume[] = "external-provisioner.volume.kubernetes.io/finalizer";

struct BindingSettings {
  unsigned workers = 4;
  uint32_t call_ms = 60'000;  // how long a storage provider may take for one call
};

class BindingController final : public Reconciler {
 public:
  BindingController(Host host, BindingSettings settings);

  [[nodiscard]] std::string_view name() const override { return "persistentvolume-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override {
    return {"persistentvolumes", "persistentvolumeclaims", "storageclasses.storage.k8s.io"};
  }
  [[nodiscard]] unsigned workers() const override { return settings_.workers; }
  void attach(KeyQueue& queue) override { queue_ = &queue; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  void reset() override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  using StoredClaim = Stored<Claim>;
  using StoredVolume = Stored<PersistentVolume>;

  // claims.cpp
  Result<Outcome> sync_claim(StoredClaim claim);
  Result<Outcome> sync_new_claim(StoredClaim claim);
  Result<Outcome> sync_claim_of(StoredClaim claim);  // one that names its volume and is not bound yet
  Result<Outcome> sync_bound_claim(StoredClaim claim);
  Result<Outcome> lose(StoredClaim claim, std::string_view reason, std::string_view message);
  Result<Outcome> leave_pending(StoredClaim claim);
  Status take_default_class(StoredClaim& claim);
  Status tell_waiting(const Claim& claim);
  Result<std::optional<NodeLook>> node_of(const Claim& claim) const;
  // Nothing when it does not exist.
  Result<std::optional<StorageClass>> find_class(const std::string& name) const;
  Result<Outcome> bind(StoredVolume volume, StoredClaim claim);
  Status write_bound(const StoredVolume& volume, const StoredClaim& claim);

  // provision.cpp
  Result<Outcome> provision(StoredClaim claim, const std::optional<StorageClass>& found);
  Status begin_provisioning(StoredClaim& claim, const StorageClass& storage_class, bool known);
  Result<v1::CreateVolumeResponse> create_volume(const Claim& claim, const StorageClass& storage_class) const;
  Result<StoredVolume> write_volume(const Claim& claim, const StorageClass& storage_class, const v1::Volume& made);
  // One that is deleted while its volume is being made: what may have been made goes, then the claim.
  Result<Outcome> end_provisioning(StoredClaim claim);

  // volumes.cpp
  Result<Outcome> sync_volume(StoredVolume volume);
  Result<Outcome> release(StoredVolume volume);
  Result<Outcome> reclaim(StoredVolume volume);
  Result<Outcome> delete_volume(StoredVolume volume);
  Result<Outcome> drop(StoredVolume volume);
  Result<Outcome> recycle(StoredVolume volume);
  Result<Outcome> unbind(StoredVolume volume);
  Status set_phase(StoredVolume& volume, std::string_view phase, std::string_view message = {});
  Result<Outcome> fail(StoredVolume volume, std::string_view reason, const Status& why);

  // The claim is looked at again once something changes about a volume of this class, or about this volume.
  void wait_for(const Claim& claim, std::string_view what, std::string_view name);
  void forget(const ObjectKey& claim);
  void wake(const std::string& what, KeyQueue& queue);

  Host host_;
  BindingSettings settings_;
  EventRecorder events_;
  Objects<Claim> claims_;
  Objects<PersistentVolume> volumes_;
  Objects<StorageClass> classes_;
  VolumePool pool_;
  KeyQueue* queue_ = nullptr;

  std::mutex mutex_;
  std::map<std::string, std::set<ObjectKey>> waiting_;  // guarded by mutex_: "class/NAME", "volume/NAME" to claims
  std::map<ObjectKey, std::set<std::string>> waits_;    // guarded by mutex_: the same the other way round
};

}  // namespace orlop::volumes
