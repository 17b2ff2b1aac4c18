// The messages of k8s.io/api/apidiscovery/v2, generated from the schema. Heavy: for .cpp files only.
#pragma once
#pragma GCC system_header

#include "k8s.io/api/apidiscovery/v2/generated.pb.h"
