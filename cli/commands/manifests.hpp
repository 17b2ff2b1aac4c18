// Objects out of the files, folders, URLs and streams that -f names.
#pragma once

#include "cli/commands/session.hpp"

#include <string>
#include <vector>

namespace orlop::cli {

struct Manifest {
  json::value object;
  std::string source;  // "web.yaml", "STDIN", the URL
  const ResourceInfo* info = nullptr;
  std::string name_space;  // empty for cluster-scoped kinds
  [[nodiscard]] std::string name() const { return client::text_of(object, "metadata.name"); }
};

// What could be read, in order, and what could not: one bad object does not keep the others back.
struct Manifests {
  std::vector<Manifest> objects;
  std::vector<Status> failures;
};

// All documents of a text: YAML documents or one JSON value, Lists taken apart. Reading stops at the first bad
// document.
void read_documents(std::string_view text, const std::string& source,
                    std::vector<std::pair<json::value, std::string>>& out, std::vector<Status>& failures);

// Everything that --filename names; kinds looked up, namespaces filled in.
Manifests read_manifests(Session& session, const std::vector<std::string>& names);

// Reads a descriptor to its end.
std::string read_descriptor(int descriptor);

}  // namespace orlop::cli
