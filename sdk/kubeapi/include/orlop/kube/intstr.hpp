// The messages of k8s.io/apimachinery/pkg/util/intstr, generated from Kubernetes' own schema. Heavy: include it in .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/apimachinery/pkg/util/intstr/generated.pb.h"
