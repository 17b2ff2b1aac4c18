// JSON values as YAML, in the form that kubectl prints: members sorted by name, lists not indented below their key,
// text quoted where a YAML 1.1 reader would take it for something else.
//
// Threads: any; nothing is shared.
#pragma once

#include "cli/client/json.hpp"

#include <string>

namespace orlop::cli {

// Ends with a line end.
std::string to_yaml(const boost::json::value& value);

}  // namespace orlop::cli
