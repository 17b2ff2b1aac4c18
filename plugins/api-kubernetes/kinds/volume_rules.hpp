// The rules of a pod's volumes.
#pragma once

#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <map>
#include <string>

namespace orlop::apikube {

// The volumes that have no fault: name to whether it is a claim (which a container may use as a block device).
using KnownVolumes = std::map<std::string, bool, std::less<>>;

KnownVolumes validate_volumes(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors);

// A path inside a volume: relative, without "..".
void validate_local_path(const std::string& value, const FieldPath& path, FieldErrors* errors);

// A container's volumeMounts and volumeDevices. `path`: of the container.
void validate_mounts(const google::protobuf::RepeatedPtrField<corev1::VolumeMount>& mounts,
                     const google::protobuf::RepeatedPtrField<corev1::VolumeDevice>& devices,
                     const KnownVolumes& volumes, bool privileged, const FieldPath& path, FieldErrors* errors);

// The spec of a claim, a template's too.
void validate_claim_spec(const corev1::PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrors* errors);

}  // namespace orlop::apikube
