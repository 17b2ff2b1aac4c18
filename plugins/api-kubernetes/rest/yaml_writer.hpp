// JSON as YAML, for answers to clients who ask for it. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace orlop::rest {

// Block style, keys in the order of the text, strings quoted wherever YAML 1.1 or 1.2 would read something else in
// them. Nothing: the text is not JSON.
std::optional<std::string> json_to_yaml(std::string_view json);

}  // namespace orlop::rest
