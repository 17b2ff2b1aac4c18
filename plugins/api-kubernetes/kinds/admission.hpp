// Built-in admission beside the pods': namespaces, default classes, protection finalizers.
#pragma once

#include "plugins/api-kubernetes/kinds/rules.hpp"

namespace orlop::apikube {

// Fills in what Kubernetes' admission plugins fill in for this kind: a claim's or ingress's default class, the
// finalizers that keep volumes in use.
Status admit_defaults(const kube::Kind& kind, const ObjectReader& reader, google::protobuf::Message* object);

// kForbidden for the namespaces that a cluster cannot do without.
Status check_delete(const kube::Kind& kind, std::string_view name);

}  // namespace orlop::apikube
