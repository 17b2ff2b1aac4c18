// Volumes as the scheduler, the volume controllers and the node's agent see them alike: the names that they leave notes
// for each other under, and small questions about claims and volumes. Pure functions. Definitions are Kubernetes' own
// (k8s.io/component-helpers/storage/volume, k8s.io/api/core/v1/annotation_key_constants).
//
// The contract of capability `storage` (orlop/v1/storage.proto) tells failures by CSI's codes, each as the Code below:
//
//   INVALID_ARGUMENT     kBadRequest        NOT_FOUND            kNotFound
//   ALREADY_EXISTS       kAlreadyExists     FAILED_PRECONDITION  kConflict (in use)
//   RESOURCE_EXHAUSTED   kTooLarge          ABORTED              kTooManyRequests (one such call is under way)
//   UNIMPLEMENTED        kMethodNotAllowed  PERMISSION_DENIED    kForbidden
//   UNAVAILABLE          kUnavailable       DEADLINE_EXCEEDED    kTimeout
//   INTERNAL             kInternal          UNAUTHENTICATED      kUnauthorized
//   OUT_OF_RANGE         kInvalid           CANCELLED            kCancelled
//
// Threads: any.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/quantity.hpp"
#include "orlop/placement.hpp"
#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::storage {

using Claim = k8s::io::api::core::v1::PersistentVolumeClaim;
using PersistentVolume = k8s::io::api::core::v1::PersistentVolume;
using PodVolume = k8s::io::api::core::v1::Volume;

// Annotations of a claim.
inline constexpr std::string_view kBindCompleted = "pv.kubernetes.io/bind-completed";
inline constexpr std::string_view kSelectedNode = "volume.kubernetes.io/selected-node";
inline constexpr std::string_view kProvisioner = "volume.kubernetes.io/storage-provisioner";
inline constexpr std::string_view kProvisionerBeta = "volume.beta.kubernetes.io/storage-provisioner";
// Of a claim or a volume: the controllers made this end of the binding, not a person.
inline constexpr std::string_view kBoundByController = "pv.kubernetes.io/bound-by-controller";
// Of a volume: the driver that made it.
inline constexpr std::string_view kProvisionedBy = "pv.kubernetes.io/provisioned-by";
// Of a StorageClass: "true" for claims that name no class.
inline constexpr std::string_view kDefaultClass = "storageclass.kubernetes.io/is-default-class";
// Of either: the class, before there was a field for it. It still comes first.
inline constexpr std::string_view kClassBeta = "volume.beta.kubernetes.io/storage-class";
inline constexpr std::string_view kMountOptionsBeta = "volume.beta.kubernetes.io/mount-options";

template <typename Object>
bool has_annotation(const Object& object, std::string_view name) {
  return object.metadata().annotations().contains(std::string(name));
}
// Empty when it is not there.
template <typename Object>
std::string annotation(const Object& object, std::string_view name) {
  const auto& all = object.metadata().annotations();
  const auto found = all.find(std::string(name));
  return found == all.end() ? std::string() : found->second;
}
template <typename Object>
void annotate(Object& object, std::string_view name, std::string_view value) {
  (*object.mutable_metadata()->mutable_annotations())[std::string(name)] = std::string(value);
}

// Of a claim or a volume; empty: none.
template <typename Object>
std::string class_of(const Object& object) {
  return has_annotation(object, kClassBeta) ? annotation(object, kClassBeta) : object.spec().storageclassname();
}

// "Filesystem" where nothing is said.
template <typename Object>
std::string volume_mode_of(const Object& object) {
  const std::string& mode = object.spec().volumemode();
  return mode.empty() ? "Filesystem" : mode;
}

template <typename Object>
bool has_access_mode(const Object& object, std::string_view mode) {
  const auto& modes = object.spec().accessmodes();
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

// Bytes; 0 where nothing is said.
inline int64_t capacity_of(const PersistentVolume& volume) {
  const auto found = volume.spec().capacity().find("storage");
  return found == volume.spec().capacity().end() ? 0 : kube::quantity_value(found->second.string());
}
inline int64_t request_of(const Claim& claim) {
  const auto& requests = claim.spec().resources().requests();
  const auto found = requests.find("storage");
  return found == requests.end() ? 0 : kube::quantity_value(found->second.string());
}

// Whether the volume has every access mode that the claim asks for.
inline bool has_access_modes(const PersistentVolume& volume, const Claim& claim) {
  const auto& wanted = claim.spec().accessmodes();
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& mode) { return has_access_mode(volume, mode); });
}

// Why a volume cannot be the claim's, in Kubernetes' words ("requested PV is too small"); empty: it can.
inline std::string_view why_unfit(const PersistentVolume& volume, const Claim& claim) {
  if (capacity_of(volume) < request_of(claim)) return "requested PV is too small";
  if (class_of(volume) != class_of(claim)) return "storageClassName does not match";
  if (volume_mode_of(volume) != volume_mode_of(claim)) return "incompatible volumeMode";
  if (!has_access_modes(volume, claim)) return "incompatible accessMode";
  return "";
}

// Both ends of the binding stand.
inline bool is_bound(const Claim& claim) {
  return !claim.spec().volumename().empty() && has_annotation(claim, kBindCompleted);
}

// Whether the volume's claimRef means this claim; one without a uid means any claim of that name.
inline bool is_for(const PersistentVolume& volume, const Claim& claim) {
  if (!volume.spec().has_claimref()) return false;
  const auto& ref = volume.spec().claimref();
  return ref.name() == claim.metadata().name() && ref.namespace_() == claim.metadata().namespace_() &&
         (ref.uid().empty() || ref.uid() == claim.metadata().uid());
}

// Whether the volume can be had on that node. Labels: any map-like of strings.
template <typename Labels>
bool is_reachable_from(const PersistentVolume& volume, std::string_view node, const Labels& labels) {
  if (!volume.spec().nodeaffinity().has_required()) return true;
  const auto& terms = volume.spec().nodeaffinity().required().nodeselectorterms();
  return std::any_of(terms.begin(), terms.end(),
                     [&](const auto& term) { return kube::matches_node(term, node, labels); });
}

// The claim that a pod's volume stands on: the one that it names, or its own, POD-VOLUME. Nothing: not such a volume.
inline std::optional<std::string> claim_name(const kube::Pod& pod, const PodVolume& volume) {
  if (volume.volumesource().has_persistentvolumeclaim()) {
    return volume.volumesource().persistentvolumeclaim().claimname();
  }
  if (volume.volumesource().has_ephemeral()) return pod.metadata().name() + "-" + volume.name();
  return std::nullopt;
}

inline bool uses_claim(const kube::Pod& pod, std::string_view claim) {
  const auto& volumes = pod.spec().volumes();
  return std::any_of(volumes.begin(), volumes.end(), [&](const PodVolume& volume) {
    const auto name = claim_name(pod, volume);
    return name && *name == claim;
  });
}

// Whether a claim of that name is the pod's own (a generic ephemeral volume's): another's must not be used for it.
inline Status check_ephemeral(const kube::Pod& pod, const Claim& claim) {
  const auto* owner = kube::controller_of(claim.metadata());
  if (owner != nullptr && owner->uid() == pod.metadata().uid()) return Status::ok();
  return {Code::kInvalid, "PVC \"" + claim.metadata().namespace_() + "/" + claim.metadata().name() +
                              "\" was not created for pod \"" + pod.metadata().namespace_() + "/" +
                              pod.metadata().name() + "\" (pod is not owner)"};
}

}  // namespace orlop::storage
