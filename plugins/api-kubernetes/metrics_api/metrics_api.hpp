// Group metrics.k8s.io/v1beta1: get and list of nodes and pods, with label and field selectors.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

namespace orlop::metrics_api {

// Whether a request is one for this folder, whatever its verb.
bool serves(const rest::RequestInfo& info);
// Answers it completely, also when it fails.
rest::Task<void> answer(rest::Call& call);

}  // namespace orlop::metrics_api
