// The messages of k8s.io/apimachinery/pkg/api/resource, generated from the schema. Heavy: for .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/apimachinery/pkg/api/resource/generated.pb.h"
