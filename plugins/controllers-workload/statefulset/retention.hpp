// To whom the claims of a StatefulSet belong, by its persistentVolumeClaimRetentionPolicy: the garbage collector
// deletes a claim with its owner. Pure.
//
// whenDeleted Delete: a claim belongs to the set. whenScaled Delete: the claim of a pod that is scaled away belongs to
// that pod. Retain: to nobody. A claim that somebody else controls, or that belongs to a set or pod of the same name
// that is gone, is left alone (k8s.io/kubernetes pkg/controller/statefulset).
#pragma once

#include "plugins/controllers-workload/statefulset/identity.hpp"

namespace orlop::workload {

// Whether the claim's owners are what the policy says. `pod` is the one that mounts it; without a uid: not made yet.
bool has_right_owners(const Claim& claim, const StatefulSet& set, const kube::Pod& pod);
void give_owners(Claim& claim, const StatefulSet& set, const kube::Pod& pod);

// The claim still belongs to a former pod of that name and will go with it: a new pod must wait for that.
bool is_stale(const Claim& claim, const StatefulSet& set, const kube::Pod& pod);

}  // namespace orlop::workload
