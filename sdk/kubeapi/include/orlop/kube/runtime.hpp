// The messages of k8s.io/apimachinery/pkg/runtime, generated from the schema. Heavy: for .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/apimachinery/pkg/runtime/generated.pb.h"
