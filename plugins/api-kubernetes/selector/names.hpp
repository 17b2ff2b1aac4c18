// The syntax of names, keys and numbers, with the sentences that Kubernetes says when one is broken
// (k8s.io/apimachinery/pkg/util/validation). Each function returns the faults; empty: the value is fine.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::apikube {

using Faults = std::vector<std::string>;

Faults dns1123_label_faults(std::string_view value);
Faults dns1123_subdomain_faults(std::string_view value);
Faults dns1035_label_faults(std::string_view value);
// "*." and a subdomain, as an Ingress host may have it.
Faults wildcard_dns1123_subdomain_faults(std::string_view value);
// "[prefix/]name", the syntax of label keys, annotations, finalizers, resource names.
Faults qualified_name_faults(std::string_view value);
Faults label_value_faults(std::string_view value);
// "http", "my-port": at most 15 of a-z, 0-9 and hyphens, with a letter.
Faults port_name_faults(std::string_view value);
Faults port_number_faults(int64_t value);
// The key of a ConfigMap or Secret.
Faults config_map_key_faults(std::string_view value);
// Of an environment variable, the relaxed form of 1.32: printable ASCII without '='.
Faults env_var_name_faults(std::string_view value);
// "10%".
Faults percent_faults(std::string_view value);
Faults http_header_name_faults(std::string_view value);
// A path segment of the API, the names of RBAC objects: not ".", "..", no '/' nor '%'.
Faults path_segment_faults(std::string_view value);
Faults in_range_faults(int64_t value, int64_t low, int64_t high);

// As Go's strconv.Quote: double quotes, escapes for what is not printable.
std::string in_quotes(std::string_view text);
// `separator` between the parts.
std::string joined(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace orlop::apikube
