// The messages of k8s.io/api/flowcontrol/v1, generated from the schema. Heavy: for .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/api/flowcontrol/v1/generated.pb.h"
