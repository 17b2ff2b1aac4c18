// What is wrong with a text that is not JSON, in Go's words ("invalid character 'x' looking for beginning of value").
// The fast parser only says that something is; this walks the text again, once it is known to be bad.
//
// Threads: pure function.
#pragma once

#include <string>
#include <string_view>

namespace orlop::kube {

// Never empty. A text that Go would take gets a general sentence.
std::string explain_json_error(std::string_view json);

}  // namespace orlop::kube
