// kubectl's JSONPath templates: text outside braces, and inside them paths with members, indexes, slices, wildcards,
// recursive descent, filters, and range … end.
//
// Specification: https://kubernetes.io/docs/reference/kubectl/jsonpath/
// Threads: any; nothing is shared.
#pragma once

#include "cli/client/json.hpp"
#include "orlop/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::cli {

// The values that one path (".spec.containers[*].name", with or without braces) finds. kBadRequest: not a path.
Result<std::vector<boost::json::value>> find_path(const boost::json::value& root, std::string_view path);

// The whole template. kBadRequest: it cannot be parsed. A path that finds nothing gives no text.
Result<std::string> expand_jsonpath(const boost::json::value& root, std::string_view text);

}  // namespace orlop::cli
