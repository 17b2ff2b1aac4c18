// The standard library, protobuf, and the groups of Kubernetes' messages that most plugins handle. See README.md.
#pragma once

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/autoscaling_v2.hpp"
#include "orlop/kube/batch_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/discovery_v1.hpp"
#include "orlop/v1/api.pb.h"
#include "sdk/precompiled/standard.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
