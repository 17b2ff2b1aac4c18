// What belongs to something that is gone goes too.
//
// Follows k8s.io/apimachinery ownerReferences and the three propagation policies: Background (dependents go after their
// owner), Foreground (finalizer foregroundDeletion: dependents that block go first), Orphan (finalizer orphan:
// dependents are set free). Dependents are found by the store's index of owners, never by walking the graph.
#pragma once

#include "orlop/controller.hpp"
#include "plugins/controllers-cluster/any_objects.hpp"

#include <string>
#include <vector>

namespace orlop::cluster {

class GarbageCollector final : public Reconciler {
 public:
  explicit GarbageCollector(Host host) : host_(host), kinds_(stored_kinds(false)) {}

  [[nodiscard]] std::string_view name() const override { return "garbage-collector"; }
  [[nodiscard]] std::vector<std::string> kinds() const override;
  void observe(const ChangeView& change, KeyQueue& queue) override;
  // A key is one of: {"gone", uid}: its dependents; {"check/KIND/NAMESPACE", name}: has it an owner left;
  // {"end/KIND/NAMESPACE", name}: it is being deleted with a finalizer of ours.
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Result<std::vector<AnyStored>> dependents(const std::string& uid) const;
  Status collect(AnyStored dependent);
  Result<Outcome> finish(AnyStored owner);
  // Frees the dependent from an owner that is going in the foreground when another one is there. Whether it was freed.
  Result<bool> keep_for_others(AnyStored& dependent, const std::string& uid);
  // Whether the owner that the reference names exists, with that very uid.
  Result<bool> exists(const v1::OwnerReference& owner, const std::string& name_space) const;

  Host host_;
  std::vector<std::string> kinds_;
};

}  // namespace orlop::cluster
