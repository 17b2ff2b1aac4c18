// Whether a text is a JSON object, and what is wrong with it in the words of Go's encoding/json, which Kubernetes'
// messages carry.
#pragma once

#include <string>
#include <string_view>

namespace orlop::apikube {

// Empty: it is a JSON object (or null).
std::string json_object_fault(std::string_view text);

}  // namespace orlop::apikube
