// What must exist before anybody can use the cluster: four namespaces, the default roles, the Service kubernetes and
// where it leads to. Made once; what is there already is left as it is, but for the endpoints, which follow the
// machine.
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/kinds/rules.hpp"

#include <cstdint>
#include <string>

namespace orlop::apikube {

struct FirstObjects {
  std::string service_address;    // 10.96.0.1
  std::string advertise_address;  // of this machine
  uint16_t port = 6443;
};

// Blocks until all of it is on disk. kUnavailable, kNotFound: the kernel does not know the kinds yet; try again.
Status ensure_first_objects(const Host& host, const KindRules& rules, const FirstObjects& wanted);

}  // namespace orlop::apikube
