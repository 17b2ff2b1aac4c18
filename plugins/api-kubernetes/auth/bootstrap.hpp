// What a cluster holds from its first moment: the roles and bindings that Kubernetes documents as its defaults
// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings).
#pragma once

#include <string>
#include <vector>

namespace orlop::auth {

// One object: its kind as the store names it, its name, its message's bytes.
struct BootstrapObject {
  std::string kind;
  std::string name_space;
  std::string name;
  std::string value;
};

std::vector<BootstrapObject> bootstrap_access();

}  // namespace orlop::auth
