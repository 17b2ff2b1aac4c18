// What the kinds with a pod template share.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <string_view>

namespace k8s::io::apimachinery::pkg::util::intstr {
class IntOrString;
}

namespace orlop::apikube {

using k8s::io::apimachinery::pkg::util::intstr::IntOrString;

void set_int(IntOrString* value, int32_t number);
void set_percent(IntOrString* value, std::string_view text);
// The number, or the percentage's: for the comparison with zero.
int int_or_percent(const IntOrString& value);
// A count of at least zero, or a percentage.
void validate_count_or_percent(const IntOrString& value, const FieldPath& path, FieldErrors* errors);
void validate_at_most_100_percent(const IntOrString& value, const FieldPath& path, FieldErrors* errors);
ShownValue shown(const IntOrString& value);

// Selector given, not empty, and matching the template. `noun`: "deployment".
void validate_selected_template(bool has_selector, const metav1::LabelSelector& selector,
                                const corev1::PodTemplateSpec& pod_template, std::string_view noun,
                                std::string_view kind, const FieldPath& path, FieldErrors* errors);
void require_restart_always(const corev1::PodTemplateSpec& pod_template, const FieldPath& path, std::string_view kind,
                            FieldErrors* errors);

}  // namespace orlop::apikube
