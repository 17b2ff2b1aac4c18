// The rules of containers.
#pragma once

#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

namespace orlop::apikube {

// All containers of a pod spec: main, init and ephemeral ones. `path`: of the spec.
void validate_containers(const corev1::PodSpec& spec, const KnownVolumes& volumes, const FieldPath& path, bool is_pod,
                         FieldErrors* errors);

void validate_seccomp(const std::string& type, const std::string& localhost_profile, const FieldPath& path,
                      FieldErrors* errors);
void validate_app_armor(const corev1::AppArmorProfile& profile, const FieldPath& path, FieldErrors* errors);
void validate_resources(const corev1::ResourceRequirements& resources, const FieldPath& path, FieldErrors* errors);

}  // namespace orlop::apikube
