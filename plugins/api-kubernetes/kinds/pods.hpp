// The rules of pods, and of the pod templates that other kinds carry.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"
#include "plugins/api-kubernetes/kinds/lookup.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}

namespace k8s::io::api::core::v1 {
class AppArmorProfile;
class EnvFromSource;
class EnvVar;
class ObjectFieldSelector;
class PersistentVolumeClaimSpec;
class Pod;
class PodSpec;
class PodTemplateSpec;
class ResourceFieldSelector;
class ResourceRequirements;
class VolumeDevice;
class VolumeMount;
class VolumeResourceRequirements;
}  // namespace k8s::io::api::core::v1

namespace orlop::apikube {

namespace corev1 = k8s::io::api::core::v1;

// What holds for every pod spec, a template's too.
void set_pod_spec_defaults(corev1::PodSpec* spec);
// What holds for pods alone: requests from limits, service links, host ports of host networking.
void set_pod_defaults(corev1::Pod* pod);

// Guaranteed, Burstable or BestEffort.
std::string_view pod_qos_class(const corev1::PodSpec& spec);

// The status of a new pod: Pending, its QoS class, a SchedulingGated condition where gates hold it.
void prepare_new_pod(corev1::Pod* pod);

// Built-in admission of a new pod: service account with token volume, priority, default tolerations, runtime class
// overhead. kForbidden in Kubernetes' words. `random`: for the volume's name.
Status admit_new_pod(corev1::Pod* pod, std::string_view name_space, const ObjectReader& reader,
                     const std::string& root_ca_configmap, const std::function<uint64_t()>& random);

// `is_pod`: a pod's own spec, against a template's. `pod_name`: of a real pod; for the claims of ephemeral volumes.
void validate_pod_spec(const corev1::PodSpec& spec, const FieldPath& path, bool is_pod, FieldErrors* errors);
void validate_pod_update(const corev1::Pod& pod, const corev1::Pod& current, std::string_view subresource,
                         FieldErrors* errors);
// A template's metadata and spec.
void validate_pod_template(const corev1::PodTemplateSpec& pod_template, const FieldPath& path, FieldErrors* errors);

std::optional<int64_t> pod_grace_seconds(const corev1::Pod& pod, std::optional<int64_t> asked);

// Five characters of the alphabet that Kubernetes' generated names use.
std::string random_suffix(const std::function<uint64_t()>& random);

}  // namespace orlop::apikube
