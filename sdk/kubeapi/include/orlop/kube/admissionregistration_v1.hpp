// The messages of k8s.io/api/admissionregistration/v1, generated from Kubernetes' own schema. Heavy: include it in .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/api/admissionregistration/v1/generated.pb.h"
