// The rules of what tells a container of its pod: env, envFrom, and the references to fields and resources that volumes
// use too.
#pragma once

#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <string_view>
#include <vector>

namespace orlop::apikube {

void validate_env(const google::protobuf::RepeatedPtrField<corev1::EnvVar>& env, const FieldPath& path,
                  FieldErrors* errors);
void validate_env_from(const google::protobuf::RepeatedPtrField<corev1::EnvFromSource>& sources, const FieldPath& path,
                       FieldErrors* errors);

// `supported`: sorted.
void validate_field_ref(const corev1::ObjectFieldSelector& reference, const std::vector<std::string_view>& supported,
                        const FieldPath& path, FieldErrors* errors);
// In a volume the container must be named.
void validate_resource_ref(const corev1::ResourceFieldSelector& reference, bool in_volume, const FieldPath& path,
                           FieldErrors* errors);

}  // namespace orlop::apikube
