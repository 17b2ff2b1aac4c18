// YAML manifests to JSON, read as kubectl reads them (sigs.k8s.io/yaml, which is YAML 1.1 with 1.2's octals): plain
// yes, no, on, off, y and n are booleans, quoted scalars are strings, timestamps stay strings, `<<` merges. No protobuf
// and no schema in it (target orlop_yaml).
//
// Threads: any, nothing is shared.
#pragma once

#include "orlop/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::kube {

struct YamlLimits {
  size_t bytes_max = 16 * 1024 * 1024;  // of the text
  int depth_max = 200;
  // Nodes that aliases may add, over all documents: a few lines of aliases of aliases would fill the memory.
  size_t alias_nodes_max = 100'000;
};

struct YamlDocument {
  std::string json;
  int line = 1;  // where the document's content begins, from 1
};

// Each document that holds something, in order; keys keep the order of the text. Failures, all with the line from 1:
//   kBadRequest  error converting YAML to JSON: yaml: line N: …                       not YAML, or nested too deeply
//                error converting YAML to JSON: yaml: unmarshal errors:\n  line N: key "x" already set in map
//                error converting YAML to JSON: yaml: document contains excessive aliasing
//   kTooLarge    the text is above the limit
Result<std::vector<YamlDocument>> yaml_documents(std::string_view yaml, const YamlLimits& limits = {});

// The same without the lines.
Result<std::vector<std::string>> yaml_to_json(std::string_view yaml);

// Whether kubectl would read the text as JSON: its first character that is no space is a brace.
bool looks_like_json(std::string_view text);

}  // namespace orlop::kube
