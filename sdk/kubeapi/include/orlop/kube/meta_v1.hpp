// The messages of k8s.io/apimachinery/pkg/apis/meta/v1, generated from the schema. Heavy: for .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/apimachinery/pkg/apis/meta/v1/generated.pb.h"
