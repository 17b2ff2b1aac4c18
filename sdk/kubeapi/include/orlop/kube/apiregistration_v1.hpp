// The messages of k8s.io/kube-aggregator/pkg/apis/apiregistration/v1, generated. For .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/generated.pb.h"
