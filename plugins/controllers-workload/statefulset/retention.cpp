#include "plugins/controllers-workload/statefulset/retention.hpp"

#include <algorithm>

namespace orlop::workload {
namespace {

bool names(const kube::OwnerReference& reference, const StatefulSet& set) {
  return reference.apiversion() == "apps/v1" && reference.kind() == "StatefulSet" &&
         reference.name() == set.metadata().name();
}
bool names(const kube::OwnerReference& reference, const kube::Pod& pod) {
  return reference.apiversion() == "v1" && reference.kind() == "Pod" && reference.name() == pod.metadata().name();
}

template <typename Object>
bool belongs_to(const Claim& claim, const Object& owner) {
  const auto& references = claim.metadata().ownerreferences();
  return std::any_of(references.begin(), references.end(),
                     [&](const auto& reference) { return reference.uid() == owner.metadata().uid(); });
}

template <typename Object>
bool belongs_to_former(const Claim& claim, const Object& owner) {
  const auto& references = claim.metadata().ownerreferences();
  return std::any_of(references.begin(), references.end(), [&](const auto& reference) {
    return names(reference, owner) && reference.uid() != owner.metadata().uid();
  });
}

struct Policy {
  bool delete_with_set = false;
  bool delete_with_scaling = false;
};
Policy policy_of(const StatefulSet& set) {
  const auto& policy = set.spec().persistentvolumeclaimretentionpolicy();
  return {policy.whendeleted() == "Delete", policy.whenscaled() == "Delete"};
}

// Who should own the claim: neither, the set, or the pod.
struct Owners {
  bool set = false;
  bool pod = false;
};
Owners wanted(const StatefulSet& set, const kube::Pod& pod) {
  const Policy policy = policy_of(set);
  const bool scaled_away = !in_range(set, ordinal_of(pod.metadata().name(), set.metadata().name()));
  Owners owners;
  owners.pod = policy.delete_with_scaling && scaled_away;
  owners.set = policy.delete_with_set && !owners.pod;
  return owners;
}

bool controlled_by_other(const Claim& claim, const StatefulSet& set, const kube::Pod& pod) {
  const Policy policy = policy_of(set);
  if (!policy.delete_with_set && !policy.delete_with_scaling) return false;
  const auto& references = claim.metadata().ownerreferences();
  return std::any_of(references.begin(), references.end(), [&](const auto& reference) {
    return reference.controller() && !names(reference, set) && !names(reference, pod);
  });
}

bool owned_without_control(const Claim& claim, const StatefulSet& set, const kube::Pod& pod) {
  const auto& references = claim.metadata().ownerreferences();
  return std::any_of(references.begin(), references.end(), [&](const auto& reference) {
    const bool ours = reference.uid() == set.metadata().uid() || reference.uid() == pod.metadata().uid();
    return ours && !reference.controller();
  });
}

}  // namespace

bool has_right_owners(const Claim& claim, const StatefulSet& set, const kube::Pod& pod) {
  if (belongs_to_former(claim, set) || belongs_to_former(claim, pod)) return true;
  const bool set_owns = belongs_to(claim, set);
  const bool pod_owns = belongs_to(claim, pod);
  if (controlled_by_other(claim, set, pod)) return !set_owns && !pod_owns;
  if (owned_without_control(claim, set, pod)) return false;
  const Owners owners = wanted(set, pod);
  return set_owns == owners.set && pod_owns == owners.pod;
}

void give_owners(Claim& claim, const StatefulSet& set, const kube::Pod& pod) {
  const bool foreign = controlled_by_other(claim, set, pod);
  auto* references = claim.mutable_metadata()->mutable_ownerreferences();
  for (int i = references->size() - 1; i >= 0; --i) {
    if (names(references->Get(i), set) || names(references->Get(i), pod)) references->DeleteSubrange(i, 1);
  }
  if (foreign) return;
  const Owners owners = wanted(set, pod);
  if (owners.set) *references->Add() = controller_reference(set);
  if (owners.pod) *references->Add() = controller_reference(pod);
}

bool is_stale(const Claim& claim, const StatefulSet& set, const kube::Pod& pod) {
  return policy_of(set).delete_with_scaling && belongs_to_former(claim, pod);
}

}  // namespace orlop::workload
