// "$(NAME)" in commands, arguments, variables and subPathExpr, as Kubernetes expands it (k8s.io/kubernetes third_party
// expansion). Pure.
#pragma once

#include "orlop/pods.hpp"

#include <string>
#include <utility>
#include <vector>

namespace orlop::agent {

using Container = k8s::io::api::core::v1::Container;
// In the order in which they are defined: later ones may refer to earlier ones.
using Environment = std::vector<std::pair<std::string, std::string>>;

// "$(NAME)" becomes the variable's value, "$$(NAME)" the text "$(NAME)", an unknown name stays as it is. The names that
// were unknown are added to `missing`, when it is given.
std::string expand(const std::string& text, const Environment& environment,
                   std::vector<std::string>* missing = nullptr);

}  // namespace orlop::agent
