// What may stand in a Job's spec (k8s.io/kubernetes pkg/apis/batch/validation).
#pragma once

#include "orlop/kube/batch_v1.hpp"
#include "plugins/api-kubernetes/kinds/field_errors.hpp"

namespace orlop::apikube {

// The spec of a Job or of a CronJob's template; without its selector.
void validate_job_spec(const k8s::io::api::batch::v1::JobSpec& spec, const FieldPath& path, FieldErrors* errors);

}  // namespace orlop::apikube
