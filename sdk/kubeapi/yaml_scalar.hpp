// What a YAML scalar stands for, by the rules of the library that kubectl reads manifests with.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace orlop::kube {

struct YamlNode;

bool is_yaml_null(std::string_view plain);

// Appends the scalar as JSON. Throws YamlError for a tag that the text does not fit, and for .inf and .nan, which JSON
// lacks.
void append_yaml_scalar(const YamlNode& node, std::string& out);

// A map's key as JSON has it: numbers and booleans become text. Throws YamlError for null, lists and maps.
std::string yaml_key(const YamlNode& node);

}  // namespace orlop::kube
